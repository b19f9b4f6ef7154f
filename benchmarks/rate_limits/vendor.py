"""Data8's stand-in with jobs of one family, many times shorter than in earnest, which notes every call."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from benchmarks.peers.vendor import Drawn, Vendor

#: Draws a duration in seconds.
Draw = Callable[[random.Random], float]


class Family(Drawn):
    """A world whose jobs take so long as is drawn, the same for everybody in the order of their starts."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        super().__init__(1.0, 0.0)

    @property
    def job_seconds(self) -> float:
        """The next job's duration."""
        self._last = self._draw(self._random)
        return self._last

    @job_seconds.setter
    def job_seconds(self, _: float) -> None:
        """It cannot be set."""


class Counting(Vendor):
    """The stand-in, with the time of every call but those for tokens, and of each job's end being found out."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(Family(draw))
        #: When calls came (epoch seconds).
        self.calls: list[float] = []
        #: By job, when the first look came that showed it done.
        self.found: dict[str, float] = {}

    def await_found(self, more_than: int, seconds: float) -> bool:
        """Wait until the ends of more jobs than that were found out."""
        until = time.monotonic() + seconds
        with self._news:
            while len(self.found) <= more_than and (rest := until - time.monotonic()) > 0:
                self._news.wait(rest)
            return len(self.found) > more_than

    def _watching(self, app: ASGIApp) -> ASGIApp:
        noting = super()._watching(app)

        async def watch(scope: Scope, receive: Receive, send: Send) -> None:
            path = scope.get("path", "")
            if path.startswith("/data8/Job"):
                self.calls.append(time.time())
            await noting(scope, receive, send)
            name = path.removeprefix("/data8/Job/")
            if (end := self.drawn.ends.get(name)) is not None and (now := time.time()) >= end:
                with self._news:
                    self.found.setdefault(name, now)
                    self._news.notify_all()

        return watch


def most_in_a_window(calls: Sequence[float], seconds: float) -> int:
    """The most calls in any window of that length."""
    ordered = sorted(calls)
    return max((bisect_right(ordered, at) - bisect_right(ordered, at - seconds) for at in ordered), default=0)
