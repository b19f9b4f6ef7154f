"""The Data8 simulator with jobs of one family, shortened, which records every call."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.peers.vendor import RandomDurations, Vendor

#: Draws a duration in seconds.
Draw = Callable[[random.Random], float]


class FamilyDurations(RandomDurations):
    """Durations drawn from a family, the same sequence for every user in the order of the starts."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        super().__init__(1.0, 0.0)

    @property
    def job_seconds(self) -> float:
        """The duration of the next job."""
        self._last = self._draw(self._random)
        return self._last

    @job_seconds.setter
    def job_seconds(self, _: float) -> None:
        """Ignore the value: durations are drawn."""


class CountingVendor(Vendor):
    """The simulator, with the time of every call except token calls, and of the poll that found each job done."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(FamilyDurations(draw))
        #: Times of the calls (epoch seconds).
        self.calls: list[float] = []
        #: By job, the time of the poll that found it done.
        self.detected: dict[str, float] = {}

    def await_detected(self, more_than: int, seconds: float) -> bool:
        """Wait until more jobs than that were found done; return whether that happened in time."""
        until = time.monotonic() + seconds
        with self._changed:
            while len(self.detected) <= more_than and (rest := until - time.monotonic()) > 0:
                self._changed.wait(rest)
            return len(self.detected) > more_than

    def _recording(self, app: ASGIApp) -> ASGIApp:
        recording = super()._recording(app)

        async def record(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("path", "")
            if path.startswith("/data8/Job"):
                self.calls.append(time.time())
            await recording(scope, receive, send)
            name = path.removeprefix("/data8/Job/")
            if (end := self.durations.ends.get(name)) is not None and (now := time.time()) >= end:
                with self._changed:
                    self.detected.setdefault(name, now)
                    self._changed.notify_all()

        return record


def peak(calls: Sequence[float], seconds: float) -> int:
    """Return the maximum number of calls in any window of that length."""
    ordered = sorted(calls)
    return max((bisect_right(ordered, at) - bisect_right(ordered, at - seconds) for at in ordered), default=0)
