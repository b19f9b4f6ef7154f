"""A circuit breaker: a vendor that does not answer is left alone, and one call at a time finds out when it does.

    closed ──failed so often in a row──▶ open ──the pause is over──▶ one probe
      ▲                                   ▲                            │
      │                                   └── failed: a longer pause ──┤
      └───────────────────────── any answer ───────────────────────────┘

A failure is no answer or a server fault (5xx). Whatever else the vendor answers, a refusal too, is a success.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

#: So many failures in a row open the circuit.
THRESHOLD = 5
#: Seconds of the first pause; each further one is twice as long.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
#: Seconds after which asking again is worth it at the latest while a probe is under way: it may succeed.
PROBE_WAIT = 10.0

#: The ticket of every call that is no probe.
_ORDINARY = 0


class CircuitOpen(Exception):
    """No call now; asking again is worth it in `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class Breaker:
    """The circuit of one vendor, shared by all threads of the process.

    Every call is admitted, and reported when it is over:

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
        """A ticket for one call, to be reported whatever becomes of it. Raises `CircuitOpen`."""
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
        """The call with this ticket is over.

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
        """Whether nothing has failed since the last success, as is nearly always so: looked at without a lock."""
        return self._failures == 0

    def _jittered(self) -> float:
        return self._pause * (0.5 + 0.5 * self._jitter())
