from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from clients.breaker import FIRST_PAUSE, LONGEST_PAUSE, THRESHOLD, Breaker, CircuitOpen
from tests.support.clock import Clock


def fail(breaker: Breaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.report(breaker.admit(), success=False)


def refusal(breaker: Breaker) -> float:
    with pytest.raises(CircuitOpen) as refused:
        breaker.admit()
    return refused.value.retry_after


@pytest.fixture
def clock() -> Clock:
    return Clock(1_000.0)


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock=clock, jitter=lambda: 1.0)


def test_pauses_grow_to_a_bound_with_one_probe_after_each(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, THRESHOLD)
    pauses = []
    for _ in range(9):
        pauses.append(refusal(breaker))
        clock.now += pauses[-1]
        fail(breaker)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    clock.now += LONGEST_PAUSE
    breaker.report(breaker.admit(), success=True)
    fail(breaker, THRESHOLD)
    assert refusal(breaker) == FIRST_PAUSE  # the next outage begins anew


def test_pauses_are_jittered(clock: Clock) -> None:
    jitters = iter([0.0, 0.5])
    breaker = Breaker(threshold=1, clock=clock, jitter=lambda: next(jitters))
    fail(breaker)
    assert refusal(breaker) == FIRST_PAUSE * 0.5
    clock.now += 0.5
    fail(breaker)
    assert refusal(breaker) == 2 * FIRST_PAUSE * 0.75


def test_failures_that_are_not_in_a_row_open_nothing(breaker: Breaker) -> None:
    for _ in range(3):
        fail(breaker, THRESHOLD - 1)
        breaker.report(breaker.admit(), success=True)


def test_a_probe_that_was_not_made_leaves_its_place_to_another(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, THRESHOLD)
    clock.now += FIRST_PAUSE
    probe = breaker.admit()
    assert refusal(breaker) > 0
    breaker.report(probe, success=None)
    breaker.report(breaker.admit(), success=True)


def test_calls_that_began_before_the_circuit_opened_do_not_end_the_probe(
    breaker: Breaker, clock: Clock
) -> None:
    late = breaker.admit()
    fail(breaker, THRESHOLD)
    clock.now += FIRST_PAUSE
    probe = breaker.admit()
    breaker.report(late, success=False)
    assert refusal(breaker) > 0
    breaker.report(probe, success=True)
    breaker.admit()


def test_of_many_threads_one_probes(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, THRESHOLD)
    clock.now += FIRST_PAUSE
    together = threading.Barrier(8)

    def attempt(_: int) -> bool:
        together.wait()
        try:
            breaker.admit()
        except CircuitOpen:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(8))) == 1


class Calls(RuleBasedStateMachine):
    """Calls that begin, end and overlap in any order, while time passes."""

    tickets = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock(1_000.0)
        self.in_a_row = 0  # failures reported since the last success
        self.probing: set[int] = set()

    @initialize(threshold=st.integers(1, 4), jitter=st.floats(0, 1))
    def begin(self, threshold: int, jitter: float) -> None:
        self.threshold = threshold
        self.breaker = Breaker(threshold, self.clock, lambda: jitter)

    def admitted(self) -> int | float:
        """A ticket, or the seconds to wait."""
        try:
            ticket = self.breaker.admit()
        except CircuitOpen as refused:
            return float(refused.retry_after)
        if ticket:
            self.probing.add(ticket)
        return ticket

    @rule(target=tickets)
    def call(self) -> int | None:
        ticket = self.admitted()
        if isinstance(ticket, int):
            return ticket
        assert self.in_a_row >= self.threshold
        assert 0 < ticket <= LONGEST_PAUSE
        return None

    @rule(ticket=consumes(tickets), success=st.sampled_from([True, False, None]))
    def end(self, ticket: int | None, success: bool | None) -> None:
        if ticket is None:
            return
        self.probing.discard(ticket)
        self.breaker.report(ticket, success=success)
        if success is not None:
            self.in_a_row = 0 if success else self.in_a_row + 1
        if success:
            assert self.admitted() == 0  # closed

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: not self.probing)
    @rule(target=tickets)
    def wait_as_told(self) -> int:
        ticket = self.admitted()
        if isinstance(ticket, float):
            self.clock.now += ticket + 1e-6
            ticket = self.admitted()
        assert isinstance(ticket, int)  # with no probe under way it is let through
        return ticket

    @invariant()
    def one_probe_at_most(self) -> None:
        assert len(self.probing) <= 1


TestCalls = Calls.TestCase
