"""Signs of life, and since when they have come without a gap."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Heartbeat:
    """Beats while something works. Asking never waits.

    Args:
        timeout: seconds without a beat after which it no longer counts as alive.
        clock: monotonic seconds.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout = timeout
        self._clock = clock
        self._lock = threading.Lock()
        self._last: float | None = None
        self._since = clock()

    def beat(self) -> None:
        """It works."""
        with self._lock:
            now = self._clock()
            if self._last is None or now - self._last > self.timeout:
                self._since = now
            self._last = now

    def stop(self) -> None:
        """It does not work; it is alive again with the next beat."""
        with self._lock:
            self._last = None

    @property
    def alive(self) -> bool:
        """Whether it beat within its timeout."""
        with self._lock:
            return self._last is not None and self._clock() - self._last <= self.timeout

    @property
    def healthy_for(self) -> float:
        """For how many seconds it has been alive without a gap; 0 if it is not."""
        with self._lock:
            now = self._clock()
            if self._last is None or now - self._last > self.timeout:
                return 0.0
            return now - self._since
