"""Jobs that may not begin yet: timers of the ledger, like every other wait."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from messages.events import Status
from tests.support.turn_harness import Bench, command
from workers.engine.admission import DAYS_AHEAD
from workers.engine.turns import Reject
from workers.ledger.records import Job, moment

DEADLINE = 60.0


@pytest.fixture
def bench(sqlite_url: str, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(sqlite_url, tmp_path, lambda _: {}, deadline=DEADLINE)
    yield made
    made.database.close()


def arrive(bench: Bench, after: float, id: str = "job", **data: Any) -> Job:
    event = json.loads(command(id, **data))
    event["notbefore"] = moment(bench.ledger.now() + after).isoformat()
    bench.turns.arrive(json.dumps(event).encode())
    return bench.job(id)


def told(bench: Bench) -> list[str]:
    return [event.type.rpartition(".")[2] for event in bench.ledger.events(job_id="job")]


def test_it_is_accepted_at_once_and_begins_when_it_may(bench: Bench) -> None:
    job = arrive(bench, 0.3)

    assert (job.status, job.turns, told(bench)) == (Status.ACCEPTED, 0, ["accepted"])
    assert job.due_at is not None
    assert job.scheduled_for == job.due_at == pytest.approx(job.accepted_at + 0.3, abs=0.1)
    assert job.deadline_at == job.due_at + DEADLINE
    with bench.database.read() as connection:
        assert bench.ledger.due(connection, 10)[0] == []
        _, later = bench.ledger.due(connection, 10, horizon=1.0)
    assert later is not None
    assert later <= 0.3
    assert bench.drive().status is Status.COMPLETED
    assert bench.job("job").scheduled_for is None


def test_the_same_command_again_is_the_same_job_and_begins_no_earlier(bench: Bench) -> None:
    first = arrive(bench, 3_600)

    for again in (arrive(bench, 3_600), arrive(bench, 7_200), arrive(bench, -1)):
        assert again == first
    bench.arrive()  # without the attribute, too
    assert bench.job("job") == first
    assert told(bench) == ["accepted"]


def test_it_can_be_cancelled_meanwhile(bench: Bench) -> None:
    arrive(bench, 3_600)
    bench.control("end", "job.cancel", job_id="job")

    with bench.database.read() as connection:
        assert [turn.job_id for turn in bench.ledger.due(connection, 10)[0]] == ["job"]
    assert bench.drive().status is Status.CANCELLED
    assert told(bench) == ["accepted", "cancelled"]


def test_a_time_that_is_past_means_now(bench: Bench) -> None:
    assert arrive(bench, -3_600).status is Status.COMPLETED


def test_a_time_too_far_ahead_is_rejected(bench: Bench) -> None:
    arrive(bench, (DAYS_AHEAD - 1) * 86_400)
    with pytest.raises(Reject, match=f"notbefore: is more than {DAYS_AHEAD} days ahead"):
        arrive(bench, (DAYS_AHEAD + 1) * 86_400, "other")

    assert bench.ledger.job("other") is None
