"""Single histories, found by the state machine or by thought, that once went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from messages.errors import Code
from messages.events import Status
from tests.model.machine import DEADLINE, TurnProtocol, machine_on
from tests.model.simulated import IN_FLIGHT, Plan
from tests.support.turn_harness import command
from workers.ledger.records import Job


@pytest.fixture
def model(tmp_path: Path, sqlite_url: str) -> Iterator[TurnProtocol]:
    made = machine_on(sqlite_url, str(tmp_path))
    yield made()
    made.database.close()


def arrive(model: TurnProtocol, kind: str, plan: Plan | None = None) -> None:
    """A command comes in and takes its first turn."""
    model.publish("a", command("a", workflow=kind))
    model.deliver(model.broker.pending[0], plan)


def turn(model: TurnProtocol, plan: Plan | None = None, seconds: float = 61.0) -> Job:
    """The job's next turn comes due and is taken."""
    model.clock.advance(seconds)
    model.dispatch()
    for message in list(model.broker.pending):
        model.deliver(message, plan)
    return job(model)


def job(model: TurnProtocol) -> Job:
    found = model.ledger.queries.job("a")
    assert found is not None
    return found


def code(model: TurnProtocol) -> str:
    error = job(model).error
    assert error is not None
    return str(error["code"])


def test_slow_recovery_is_trusted_from_its_beginning_only(model: TurnProtocol) -> None:
    """The request arrives while the vendor says that there is nothing yet."""
    arrive(model, "labelled", Plan(call=0, trouble="lands late, answer lost"))
    turn(model, Plan(call=0, trouble="slow"), seconds=IN_FLIGHT - 10)
    model.no_effect_is_done_twice()
    model.come_to_rest()
    model.no_effect_is_done_twice()
    assert job(model).status is Status.COMPLETED


def test_retry_recovers_the_effect_when_its_answer_was_lost_at_the_deadline(model: TurnProtocol) -> None:
    """A plain retry looks up an effect that has a natural key: no person need decide."""
    arrive(model, "named", Plan(call=0, trouble="down"))
    turn(model, Plan(call=0, trouble="lost after"), seconds=DEADLINE + 1)
    assert code(model) == Code.VENDOR_UNAVAILABLE
    model.ledger.jobs.retry("a", "somebody", DEADLINE, repeat_effect=False)
    model.come_to_rest()
    assert job(model).status is Status.COMPLETED
    assert model.vendor.count("named", "a") == 1


def test_job_fails_as_unknown_when_the_vendor_cannot_say_at_the_deadline(model: TurnProtocol) -> None:
    arrive(model, "keyless", Plan(call=0, trouble="down"))
    turn(model, Plan(call=0, trouble="lost after"), seconds=DEADLINE + 1)
    assert code(model) == Code.OUTCOME_UNKNOWN
    model.come_to_rest()
    assert model.vendor.count("keyless", "a") == 1


def test_first_attempt_stays_in_doubt_when_the_second_is_not_sent(model: TurnProtocol) -> None:
    """The first request is still in flight when the second meets an unavailable vendor."""
    arrive(model, "named", Plan(call=0, trouble="lands late, answer lost"))
    turn(model, Plan(call=1, trouble="down"), seconds=3.0)
    turn(model, seconds=IN_FLIGHT)
    model.come_to_rest()
    assert job(model).status is Status.COMPLETED
    assert model.vendor.count("named", "a") == 1


def test_repeat_effect_raises_the_generation(model: TurnProtocol) -> None:
    """The vendor's first job failed; the answer to the second one was lost for good."""
    arrive(model, "keyless")
    turn(model, Plan(call=0, trouble="vendor job fails"))
    assert code(model) == Code.VENDOR_FAILED
    model.ledger.jobs.retry("a", "first", DEADLINE, repeat_effect=False)
    turn(model, Plan(call=0, trouble="lost after"))
    turn(model)
    assert code(model) == Code.OUTCOME_UNKNOWN
    model.ledger.jobs.retry("a", "second", DEADLINE, repeat_effect=True)
    model.come_to_rest()
    assert model.vendor.done == {("keyless", "a/1"): 1, ("keyless", "a/2"): 1, ("keyless", "a/3"): 1}


def test_retry_has_no_effect_when_a_later_one_took_effect_before(model: TurnProtocol) -> None:
    arrive(model, "keyless", Plan(call=0, trouble="lost after"))
    turn(model)
    model.control("job.retry", "a", repeat_effect=True)
    first = model.broker.pending[0]
    model.work(first, Plan(commit=2, breaks="crash after"))  # accepted, taken, retried
    assert job(model).attempt == 2
    model.broker.pending.remove(first)
    turn(model, Plan(call=0, trouble="lost after"))
    turn(model)
    model.control("job.retry", "a", repeat_effect=True)
    model.deliver(model.broker.pending[-1])
    turn(model, Plan(call=0, trouble="lost after"))
    turn(model)
    assert (job(model).attempt, job(model).status) == (3, Status.FAILED)
    model.deliver(first)
    assert job(model).attempt == 3


def test_fenced_turn_ends_quietly_when_it_suspends(model: TurnProtocol) -> None:
    arrive(model, "named")
    turn(model, Plan(call=0, trouble="usurped after"))
    model.each_ending_is_published_once_and_last()
    model.come_to_rest()
    assert job(model).status is Status.COMPLETED


def test_turn_is_rescheduled_when_its_predecessor_still_holds_the_lock(model: TurnProtocol) -> None:
    """A worker is quicker than the one that holds the lock, and than the dispatcher that marks the turn."""
    arrive(model, "named")

    def busy() -> None:
        with model.ledger.jobs.lock("a"):
            for message in list(model.broker.pending):
                model.deliver(message)

    model.clock.advance(61.0)
    model.broker.between = busy
    with model.database.connect() as connection:
        model.dispatcher._tick(connection.execution_options(kyb_read=True))
    due_at = job(model).due_at
    assert due_at is not None
    assert due_at > model.clock.seconds
