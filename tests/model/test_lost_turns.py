"""The keeper's rule: what a queue that is first in, first out has lost is handed out again, a backlog never."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.model.machine import TurnProtocol, machine_on
from tests.support.turn_harness import command
from workers.engine.dispatcher import LOST_AFTER

QUEUE = "kyb.data8"

#: A new command, the oldest message is worked on, due turns are handed out, or seconds pass.
happenings = st.lists(
    st.one_of(
        st.sampled_from(["command", "work", "work", "dispatch"]),
        st.sampled_from([1.0, 3.0, LOST_AFTER + 1, 60.0]),
    ),
    max_size=40,
)


@pytest.fixture
def machine(tmp_path: Path, sqlite_url: str) -> Iterator[type[TurnProtocol]]:
    made = machine_on(sqlite_url, str(tmp_path))
    yield made
    made.database.close()


class Queue:
    """One queue, first in, first out, that a slow worker takes from."""

    def __init__(self, machine: type[TurnProtocol]) -> None:
        self.world = machine()
        self.commands = 0

    def happen(self, what: str | float) -> None:
        match what:
            case "command":
                self.commands += 1
                id_ = f"job-{self.commands}"
                self.world.publish(id_, command(id_, workflow="named"))
            case "work" if self.world.broker.pending:
                self.world.deliver(self.world.broker.pending[0])
            case "dispatch":
                self.world.dispatch()
            case float():
                self.world.clock.advance(what)

    def handed_out_again(self) -> set[str]:
        """What the keeper finds lost."""
        before = {found.id for found in self.world.all_jobs() if found.due_at is not None}
        with self.world.database.write() as connection:
            empty = self.world.broker.waiting(QUEUE) == 0
            self.world.ledger.recover_lost(connection, QUEUE, LOST_AFTER, empty=empty)
        return {found.id for found in self.world.all_jobs() if found.due_at is not None} - before


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=happenings)
@example(  # a command has its place in the queue since it was published, not since it arrived
    history=["command", "command", "work", 60.0, "dispatch", LOST_AFTER + 1, "work"]
)
def test_a_mere_backlog_is_never_handed_out_again(
    machine: type[TurnProtocol], history: list[str | float]
) -> None:
    queue = Queue(machine)
    for what in history:
        queue.happen(what)
        assert queue.handed_out_again() == set()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=happenings, lost=st.integers(0, 10))
def test_what_was_overtaken_is_handed_out_again(
    machine: type[TurnProtocol], history: list[str | float], lost: int
) -> None:
    queue = Queue(machine)
    for what in history:
        queue.happen(what)
    pending = queue.world.broker.pending
    turns = [message for message in pending if message.body is None]
    if not turns:
        return
    gone = turns[lost % len(turns)]
    pending.remove(gone)
    # later ones are handed out and taken, and the queue never runs empty
    found_lost: set[str] = set()
    for _ in range(4):
        queue.happen("command")
        queue.world.clock.advance(61.0)
        queue.world.dispatch()
        for message in queue.world.broker.pending[:-1]:
            queue.world.deliver(message)
            found_lost |= queue.handed_out_again()
    assert found_lost == {gone.job_id}


def test_turn_that_was_taken_before_it_was_marked_is_not_lost_for_good(machine: type[TurnProtocol]) -> None:
    """The worker was quicker than the dispatcher, died, and RabbitMQ lost the message."""
    world = machine()
    world.publish("a", command("a", workflow="named"))
    world.deliver(world.broker.pending[0])
    world.control("job.cancel", "a")
    world.come_to_rest()
    world.ledger.retry("a", "somebody", 600.0, repeat_effect=False)
    world.dispatch(between="quick crash")
    world.broker.pending.clear()
    world.nothing_is_lost()
    world.come_to_rest()
    assert world.ledger.job("a").status == "completed"  # type: ignore[union-attr]
