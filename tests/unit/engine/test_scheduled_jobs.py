"""Jobs that may not begin yet: timers of the ledger, like every other wait."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from messages.events import Status
from tests.support.turn_harness import TurnHarness, command
from workers.engine.admission import SCHEDULE_LIMIT_DAYS
from workers.errors import Reject
from workers.ledger.records import Job, to_datetime

DEADLINE = 60.0


@pytest.fixture
def harness(sqlite_url: str, tmp_path: Path) -> Iterator[TurnHarness]:
    made = TurnHarness(sqlite_url, tmp_path, lambda _: {}, deadline=DEADLINE)
    yield made
    made.database.close()


def arrive(harness: TurnHarness, after: float, id: str = "job", **data: Any) -> Job:
    event = json.loads(command(id, **data))
    event["notbefore"] = to_datetime(harness.ledger.database.now() + after).isoformat()
    harness.turns.receive_command(json.dumps(event).encode())
    return harness.job(id)


def told(harness: TurnHarness) -> list[str]:
    return [event.type.rpartition(".")[2] for event in harness.ledger.queries.events(job_id="job")]


def test_it_is_accepted_at_once_and_begins_when_it_may(harness: TurnHarness) -> None:
    job = arrive(harness, 0.3)

    assert (job.status, job.turns, told(harness)) == (Status.ACCEPTED, 0, ["accepted"])
    assert job.due_at is not None
    assert job.scheduled_for == job.due_at == pytest.approx(job.accepted_at + 0.3, abs=0.1)
    assert job.deadline_at == job.due_at + DEADLINE
    with harness.database.read() as connection:
        assert harness.ledger.dispatch.due(connection, 10)[0] == []
        _, later = harness.ledger.dispatch.due(connection, 10, horizon=1.0)
    assert later is not None
    assert later <= 0.3
    assert harness.drive().status is Status.COMPLETED
    assert harness.job("job").scheduled_for is None


def test_the_same_command_again_is_the_same_job_and_begins_no_earlier(harness: TurnHarness) -> None:
    first = arrive(harness, 3_600)

    for again in (arrive(harness, 3_600), arrive(harness, 7_200), arrive(harness, -1)):
        assert again == first
    harness.arrive()  # without the attribute, too
    assert harness.job("job") == first
    assert told(harness) == ["accepted"]


def test_it_can_be_cancelled_meanwhile(harness: TurnHarness) -> None:
    arrive(harness, 3_600)
    harness.control("end", "job.cancel", job_id="job")

    with harness.database.read() as connection:
        assert [turn.job_id for turn in harness.ledger.dispatch.due(connection, 10)[0]] == ["job"]
    assert harness.drive().status is Status.CANCELLED
    assert told(harness) == ["accepted", "cancelled"]


def test_a_time_that_is_past_means_now(harness: TurnHarness) -> None:
    assert arrive(harness, -3_600).status is Status.COMPLETED


def test_a_time_too_far_ahead_is_rejected(harness: TurnHarness) -> None:
    arrive(harness, (SCHEDULE_LIMIT_DAYS - 1) * 86_400)
    with pytest.raises(Reject, match=f"notbefore: is more than {SCHEDULE_LIMIT_DAYS} days ahead"):
        arrive(harness, (SCHEDULE_LIMIT_DAYS + 1) * 86_400, "other")

    assert harness.ledger.queries.job("other") is None
