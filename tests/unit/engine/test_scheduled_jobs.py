"""Scheduled jobs: commands with a `notbefore`, which wait in the ledger."""

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


def receive(harness: TurnHarness, after: float, id: str = "job", **data: Any) -> Job:
    event = json.loads(command(id, **data))
    event["notbefore"] = to_datetime(harness.ledger.database.now() + after).isoformat()
    harness.turns.receive_command(json.dumps(event).encode())
    return harness.job(id)


def event_types(harness: TurnHarness) -> list[str]:
    return [event.type.rpartition(".")[2] for event in harness.ledger.queries.events(job_id="job")]


def test_scheduled_job_is_accepted_at_once_and_begins_when_due(harness: TurnHarness) -> None:
    job = receive(harness, 0.3)

    assert (job.status, job.turns, event_types(harness)) == (Status.ACCEPTED, 0, ["accepted"])
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


def test_scheduled_job_begins_no_earlier_when_its_command_is_repeated(harness: TurnHarness) -> None:
    first = receive(harness, 3_600)

    for again in (receive(harness, 3_600), receive(harness, 7_200), receive(harness, -1)):
        assert again == first
    harness.arrive()  # the same command without `notbefore`
    assert harness.job("job") == first
    assert event_types(harness) == ["accepted"]


def test_scheduled_job_can_be_cancelled_before_it_begins(harness: TurnHarness) -> None:
    receive(harness, 3_600)
    harness.control("end", "job.cancel", job_id="job")

    with harness.database.read() as connection:
        assert [turn.job_id for turn in harness.ledger.dispatch.due(connection, 10)[0]] == ["job"]
    assert harness.drive().status is Status.CANCELLED
    assert event_types(harness) == ["accepted", "cancelled"]


def test_scheduled_job_begins_at_once_when_its_time_is_past(harness: TurnHarness) -> None:
    assert receive(harness, -3_600).status is Status.COMPLETED


def test_command_is_rejected_when_its_time_is_too_far_ahead(harness: TurnHarness) -> None:
    receive(harness, (SCHEDULE_LIMIT_DAYS - 1) * 86_400)
    with pytest.raises(Reject, match=f"notbefore: is more than {SCHEDULE_LIMIT_DAYS} days ahead"):
        receive(harness, (SCHEDULE_LIMIT_DAYS + 1) * 86_400, "other")

    assert harness.ledger.queries.job("other") is None
