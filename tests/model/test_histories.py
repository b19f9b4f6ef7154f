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
def world(tmp_path: Path, sqlite_url: str) -> Iterator[TurnProtocol]:
    made = machine_on(sqlite_url, str(tmp_path))
    yield made()
    made.database.close()


def arrive(world: TurnProtocol, kind: str, plan: Plan | None = None) -> None:
    """A command comes in and takes its first turn."""
    world.publish("a", command("a", workflow=kind))
    world.deliver(world.broker.pending[0], plan)


def turn(world: TurnProtocol, plan: Plan | None = None, seconds: float = 61.0) -> Job:
    """The job's next turn comes due and is taken."""
    world.clock.advance(seconds)
    world.dispatch()
    for message in list(world.broker.pending):
        world.deliver(message, plan)
    return job(world)


def job(world: TurnProtocol) -> Job:
    found = world.ledger.job("a")
    assert found is not None
    return found


def code(world: TurnProtocol) -> str:
    error = job(world).error
    assert error is not None
    return str(error["code"])


def test_recovery_that_takes_long_is_not_trusted_from_its_end(world: TurnProtocol) -> None:
    """The request arrives while the vendor says that there is nothing yet."""
    arrive(world, "labelled", Plan(call=0, trouble="lands late, answer lost"))
    turn(world, Plan(call=0, trouble="slow"), seconds=IN_FLIGHT - 10)
    world.no_effect_is_done_twice()
    world.come_to_rest()
    world.no_effect_is_done_twice()
    assert job(world).status is Status.COMPLETED


def test_lost_answer_at_the_deadline_leaves_a_way_to_find_out(world: TurnProtocol) -> None:
    """An effect that can be found again is looked for by a plain retry: nobody need decide anything."""
    arrive(world, "named", Plan(call=0, trouble="down"))
    turn(world, Plan(call=0, trouble="lost after"), seconds=DEADLINE + 1)
    assert code(world) == Code.VENDOR_UNAVAILABLE
    world.ledger.retry("a", "somebody", DEADLINE, repeat_effect=False)
    world.come_to_rest()
    assert job(world).status is Status.COMPLETED
    assert world.vendor.count("named", "a") == 1


def test_lost_answer_that_nobody_can_find_out_fails_at_the_deadline_too(world: TurnProtocol) -> None:
    arrive(world, "keyless", Plan(call=0, trouble="down"))
    turn(world, Plan(call=0, trouble="lost after"), seconds=DEADLINE + 1)
    assert code(world) == Code.OUTCOME_UNKNOWN
    world.come_to_rest()
    assert world.vendor.count("keyless", "a") == 1


def test_second_attempt_that_is_not_sent_does_not_settle_the_first(world: TurnProtocol) -> None:
    """The first request is on its way while the second meets a vendor that is away."""
    arrive(world, "named", Plan(call=0, trouble="lands late, answer lost"))
    turn(world, Plan(call=1, trouble="down"), seconds=3.0)
    turn(world, seconds=IN_FLIGHT)
    world.come_to_rest()
    assert job(world).status is Status.COMPLETED
    assert world.vendor.count("named", "a") == 1


def test_repeat_effect_counts_the_edition_on(world: TurnProtocol) -> None:
    """The vendor's first job failed; the answer to the second one was lost for good."""
    arrive(world, "keyless")
    turn(world, Plan(call=0, trouble="vendor job fails"))
    assert code(world) == Code.VENDOR_FAILED
    world.ledger.retry("a", "first", DEADLINE, repeat_effect=False)
    turn(world, Plan(call=0, trouble="lost after"))
    turn(world)
    assert code(world) == Code.OUTCOME_UNKNOWN
    world.ledger.retry("a", "second", DEADLINE, repeat_effect=True)
    world.come_to_rest()
    assert world.vendor.done == {("keyless", "a/1"): 1, ("keyless", "a/2"): 1, ("keyless", "a/3"): 1}


def test_retry_whose_worker_died_does_not_take_effect_after_another_one(world: TurnProtocol) -> None:
    arrive(world, "keyless", Plan(call=0, trouble="lost after"))
    turn(world)
    world.control("job.retry", "a", repeat_effect=True)
    first = world.broker.pending[0]
    world.work(first, Plan(commit=2, breaks="crash after"))  # accepted, taken, retried
    assert job(world).attempt == 2
    world.broker.pending.remove(first)
    turn(world, Plan(call=0, trouble="lost after"))
    turn(world)
    world.control("job.retry", "a", repeat_effect=True)
    world.deliver(world.broker.pending[-1])
    turn(world, Plan(call=0, trouble="lost after"))
    turn(world)
    assert (job(world).attempt, job(world).status) == (3, Status.FAILED)
    world.deliver(first)
    assert job(world).attempt == 3


def test_usurped_turn_that_suspends_ends_quietly(world: TurnProtocol) -> None:
    arrive(world, "named")
    turn(world, Plan(call=0, trouble="usurped after"))
    world.each_ending_is_told_once_and_last()
    world.come_to_rest()
    assert job(world).status is Status.COMPLETED


def test_turn_that_arrives_before_its_predecessor_lets_go_is_looked_at_again(world: TurnProtocol) -> None:
    """A worker is quicker than the one that has the hold, and than the dispatcher that marks the turn."""
    arrive(world, "named")

    def busy() -> None:
        with world.ledger.hold("a"):
            for message in list(world.broker.pending):
                world.deliver(message)

    world.clock.advance(61.0)
    world.broker.between = busy
    with world.database.connect() as connection:
        world.dispatcher._tick(connection.execution_options(kyb_read=True))
    due_at = job(world).due_at
    assert due_at is not None
    assert due_at > world.clock.seconds
