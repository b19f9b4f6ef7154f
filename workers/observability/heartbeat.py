"""Heartbeats: signs of life, and since when they have come without a gap."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Heartbeat:
    """The heartbeat of a thread or a server. Reading it never waits.

    Args:
        timeout: seconds without a beat after which it no longer counts as alive.
        clock: returns monotonic seconds.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._last_beat: float | None = None
        self._alive_since = clock()

    def beat(self) -> None:
        """Record a sign of life."""
        with self._lock:
            now = self._clock()
            if self._last_beat is None or now - self._last_beat > self.timeout:
                self._alive_since = now
            self._last_beat = now

    def stop(self) -> None:
        """Record a failure: it is not alive until the next beat."""
        with self._lock:
            self._last_beat = None

    @property
    def alive(self) -> bool:
        """Whether the last beat is within the timeout."""
        with self._lock:
            return self._last_beat is not None and self._clock() - self._last_beat <= self.timeout

    @property
    def healthy_for(self) -> float:
        """Seconds that it has been alive without a gap; 0 if it is not alive."""
        with self._lock:
            now = self._clock()
            if self._last_beat is None or now - self._last_beat > self.timeout:
                return 0.0
            return now - self._alive_since
