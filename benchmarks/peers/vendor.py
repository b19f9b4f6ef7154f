"""Data8's stand-in with durations drawn by lot, which notes when each job was started, asked for and fetched."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter, defaultdict

from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import Sandbox
from sandbox.core import Fault, SandboxState

_LOOK = re.compile(r"/data8/Job/(?P<name>[^/]+)")
_FETCH = re.compile(r"/data8/Dataset/out_(?P<id>[a-z0-9]+)_.*companies")
_START = "data8.jobs.create"


def id_of(name: str) -> str:
    """The command's id in a job's name, which may have a random part behind it."""
    return name.partition("-")[0]


class Drawn(SandboxState):
    """A world in which every job takes another time: log-normal, the same sequence after the same `deal`."""

    def __init__(self, median: float, sigma: float) -> None:
        self._median, self._sigma = median, sigma
        self._last = 0.0
        #: When each job, by its name, is over at the vendor.
        self.ends: dict[str, float] = {}
        self.deal(0)
        super().__init__(queue_seconds=0.0)

    def deal(self, seed: int) -> None:
        """Begin a sequence."""
        self._random = random.Random(seed)

    @property
    def job_seconds(self) -> float:
        """The next job's duration."""
        self._last = self._random.lognormvariate(0.0, self._sigma) * self._median
        return self._last

    @job_seconds.setter
    def job_seconds(self, _: float) -> None:
        """It cannot be set."""

    def effect(self, operation: str, key: str) -> None:
        """Counts as ever; the duration of a job that starts has been drawn just before."""
        super().effect(operation, key)
        if operation == _START:
            self.ends[key] = self.clock() + self._last


class Vendor(Sandbox):
    """The stand-in, with notes of who was asked for when (epoch seconds)."""

    def __init__(self, state: Drawn) -> None:
        super().__init__(state=state)
        self.drawn = state
        self._server.config.app = self._watching(self._server.config.app)  # type: ignore[arg-type]
        self._news = threading.Condition()
        #: Starts of jobs that were asked for.
        self.asked = 0
        #: Looks at each job, by its name.
        self.looks: defaultdict[str, list[float]] = defaultdict(list)
        #: When the outputs of each command's job were asked for first, which is the last call of all.
        self.fetched: dict[str, float] = {}

    def starts(self, prefix: str) -> Counter[str]:
        """How often the job of each command was started."""
        return Counter(
            {
                id: sum(n for (op, key), n in self.state.effects.items() if op == _START and id_of(key) == id)
                for id in {id_of(key) for op, key in self.state.effects if op == _START}
                if id.startswith(prefix)
            }
        )

    def slow_starts(self, seconds: float | None) -> None:
        """Answer the start of a job so late from now on; it takes effect whoever hangs up."""
        self.state.faults.pop(_START, None)
        if seconds is not None:
            self.state.faults[_START].append(Fault("slow", times=1_000_000, seconds=seconds))

    def await_start(self, asked: int, seconds: float) -> bool:
        """Wait until more starts of jobs than that were asked for."""
        until = time.monotonic() + seconds
        with self._news:
            while self.asked <= asked and (rest := until - time.monotonic()) > 0:
                self._news.wait(rest)
            return self.asked > asked

    def await_fetched(self, ids: set[str], seconds: float) -> set[str]:
        """Wait until the outputs of all were asked for; gives those of which they were not."""
        until = time.monotonic() + seconds
        with self._news:
            while (left := ids - self.fetched.keys()) and (rest := until - time.monotonic()) > 0:
                self._news.wait(rest)
        return left

    def await_looks(self, name: str, number: int, seconds: float) -> bool:
        """Wait until a job was looked at so often."""
        until = time.monotonic() + seconds
        with self._news:
            while len(self.looks[name]) < number and (rest := until - time.monotonic()) > 0:
                self._news.wait(rest)
            return len(self.looks[name]) >= number

    def _watching(self, app: ASGIApp) -> ASGIApp:
        async def watch(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self._note(scope["method"], scope["path"])
            await app(scope, receive, send)

        return watch

    def _note(self, method: str, path: str) -> None:
        now = time.time()
        with self._news:
            if method == "POST":
                self.asked += path == "/data8/Job"
            elif look := _LOOK.fullmatch(path):
                self.looks[look["name"]].append(now)
            elif fetch := _FETCH.fullmatch(path):
                self.fetched.setdefault(fetch["id"], now)
            self._news.notify_all()


def outcome(vendor: Vendor, ids: set[str]) -> tuple[list[int], list[float]]:
    """Of each job: the looks at it, and the seconds from its end to the look that found it out."""
    looks, delays = [], []
    for name, end in vendor.drawn.ends.items():
        if id_of(name) in ids:
            seen = vendor.looks[name]
            looks.append(len(seen))
            delays += [next(at for at in seen if at >= end) - end] if any(at >= end for at in seen) else []
    return looks, delays
