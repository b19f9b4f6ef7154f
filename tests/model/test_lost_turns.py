"""The dispatcher requeues turns that a first-in, first-out queue has lost, and never a mere backlog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.model.machine import TurnProtocol, machine_on
from tests.support.turn_harness import command
from workers.engine.dispatcher import LOST_AFTER_SECONDS

QUEUE = "kyb.data8"

#: A new command, the oldest message is worked on, due turns are handed out, or seconds pass.
happenings = st.lists(
    st.one_of(
        st.sampled_from(["command", "work", "work", "dispatch"]),
        st.sampled_from([1.0, 3.0, LOST_AFTER_SECONDS + 1, 60.0]),
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
        self.model = machine()
        self.commands = 0

    def happen(self, what: str | float) -> None:
        match what:
            case "command":
                self.commands += 1
                id_ = f"job-{self.commands}"
                self.model.publish(id_, command(id_, workflow="named"))
            case "work" if self.model.broker.pending:
                self.model.deliver(self.model.broker.pending[0])
            case "dispatch":
                self.model.dispatch()
            case float():
                self.model.clock.advance(what)

    def handed_out_again(self) -> set[str]:
        """Return the jobs whose turns the dispatcher finds lost."""
        before = {found.id for found in self.model.all_jobs() if found.due_at is not None}
        with self.model.database.write() as connection:
            empty = self.model.broker.queue_depth(QUEUE) == 0
            self.model.ledger.dispatch.requeue_lost(connection, QUEUE, LOST_AFTER_SECONDS, empty=empty)
        return {found.id for found in self.model.all_jobs() if found.due_at is not None} - before


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=happenings)
@example(  # a command has its place in the queue since it was published, not since it arrived
    history=["command", "command", "work", 60.0, "dispatch", LOST_AFTER_SECONDS + 1, "work"]
)
def test_backlog_is_never_redispatched(machine: type[TurnProtocol], history: list[str | float]) -> None:
    queue = Queue(machine)
    for what in history:
        queue.happen(what)
        assert queue.handed_out_again() == set()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=happenings, lost=st.integers(0, 10))
def test_overtaken_turn_is_redispatched(
    machine: type[TurnProtocol], history: list[str | float], lost: int
) -> None:
    queue = Queue(machine)
    for what in history:
        queue.happen(what)
    pending = queue.model.broker.pending
    turns = [message for message in pending if message.body is None]
    if not turns:
        return
    gone = turns[lost % len(turns)]
    pending.remove(gone)
    # later ones are handed out and taken, and the queue never runs empty
    found_lost: set[str] = set()
    for _ in range(4):
        queue.happen("command")
        queue.model.clock.advance(61.0)
        queue.model.dispatch()
        for message in queue.model.broker.pending[:-1]:
            queue.model.deliver(message)
            found_lost |= queue.handed_out_again()
    assert found_lost == {gone.job_id}


def test_turn_is_not_lost_when_it_began_before_it_was_marked_dispatched(machine: type[TurnProtocol]) -> None:
    """The worker was quicker than the dispatcher, died, and RabbitMQ lost the message."""
    model = machine()
    model.publish("a", command("a", workflow="named"))
    model.deliver(model.broker.pending[0])
    model.control("job.cancel", "a")
    model.come_to_rest()
    model.ledger.jobs.retry("a", "somebody", 600.0, repeat_effect=False)
    model.dispatch(between="quick crash")
    model.broker.pending.clear()
    model.nothing_is_lost()
    model.come_to_rest()
    assert model.ledger.queries.job("a").status == "completed"  # type: ignore[union-attr]
