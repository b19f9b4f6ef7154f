"""A circuit breaker: stops calls to a vendor that does not answer, except for one probe at a time.

    closed ──failed so often in a row──▶ open ──the pause is over──▶ one probe
      ▲                                   ▲                            │
      │                                   └── failed: a longer pause ──┤
      └───────────────────────── any answer ───────────────────────────┘

No answer and a server fault (5xx) are failures. Every other answer is a success, a refusal too.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

#: Consecutive failures that open the circuit.
THRESHOLD = 5
#: The first pause; each further one is twice as long.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
#: The longest wait that a refused caller is given during a probe, since the probe may succeed.
PROBE_WAIT = 10.0

#: The ticket of every call that is not a probe.
_ORDINARY = 0


class CircuitOpen(Exception):
    """The circuit is open; the caller may try again in `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class Breaker:
    """The circuit breaker of one vendor, shared by all threads of the process.

    Callers admit every call, and report it when it is over:

        ticket = breaker.admit()
        breaker.report(ticket, success=…)

    Args:
        threshold: failures in a row that open it.
        clock: monotonic seconds.
        jitter: 0 to 1; pauses last from half to the whole of their length.
    """

    def __init__(
        self,
        threshold: int = THRESHOLD,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._threshold = threshold
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._due_at: float | None = None  # of the next probe; None while the circuit is closed
        self._probe: int | None = None  # the ticket of the one in flight
        self._probes = 0

    def admit(self) -> int:
        """Return a ticket for one call, which the caller must report. Raises `CircuitOpen`."""
        if self._well():
            return _ORDINARY
        with self._lock:
            if self._due_at is None:
                return _ORDINARY
            left = self._due_at - self._clock()
            if left > 0:
                raise CircuitOpen(left)
            if self._probe is not None:
                raise CircuitOpen(min(self._jittered(), PROBE_WAIT))
            self._probes += 1
            self._probe = self._probes
            return self._probe

    def report(self, ticket: int, *, success: bool | None) -> None:
        """Record the end of the call with this ticket.

        Args:
            ticket: from `admit`.
            success: whether the vendor answered; None if the call was not made after all.
        """
        if success and ticket == _ORDINARY and self._well():
            return
        with self._lock:
            probed = ticket == self._probe
            if probed:
                self._probe = None
            if success is None:
                return
            if success:
                self._failures = 0
                self._pause = FIRST_PAUSE
                self._due_at = None
            elif self._due_at is None:
                self._failures += 1
                if self._failures >= self._threshold:
                    self._due_at = self._clock() + self._jittered()
            elif probed:
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
                self._due_at = self._clock() + self._jittered()

    def _well(self) -> bool:
        """Return whether no call has failed since the last success; reads without the lock, as this is the common case."""
        return self._failures == 0

    def _jittered(self) -> float:
        return self._pause * (0.5 + 0.5 * self._jitter())
