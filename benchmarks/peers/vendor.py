"""The Data8 simulator with random durations, which records when each job is started, polled and fetched."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter, defaultdict

from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import Sandbox
from sandbox.core import Fault, SandboxState

_POLL = re.compile(r"/data8/Job/(?P<name>[^/]+)")
_FETCH = re.compile(r"/data8/Dataset/out_(?P<id>[a-z0-9]+)_.*companies")
_START = "data8.jobs.create"


def id_of(name: str) -> str:
    """Return the command's id in a job's name, which may be followed by a random part."""
    return name.partition("-")[0]


class RandomDurations(SandboxState):
    """A state in which job durations are log-normal; the same `reseed` gives the same sequence."""

    def __init__(self, median: float, sigma: float) -> None:
        self._median, self._sigma = median, sigma
        self._last = 0.0
        #: By job name, when it ends at the vendor.
        self.ends: dict[str, float] = {}
        self.reseed(0)
        super().__init__(queue_seconds=0.0)

    def reseed(self, seed: int) -> None:
        """Begin a sequence of durations."""
        self._random = random.Random(seed)

    @property
    def job_seconds(self) -> float:
        """The duration of the next job."""
        self._last = self._random.lognormvariate(0.0, self._sigma) * self._median
        return self._last

    @job_seconds.setter
    def job_seconds(self, _: float) -> None:
        """Ignore the value: durations are drawn."""

    def effect(self, operation: str, key: str) -> None:
        """Count the effect, and note the end of a job that starts; its duration was drawn just before."""
        super().effect(operation, key)
        if operation == _START:
            self.ends[key] = self.clock() + self._last


class Vendor(Sandbox):
    """The simulator, with a record of its calls (times are epoch seconds)."""

    def __init__(self, state: RandomDurations) -> None:
        super().__init__(state=state)
        self.durations = state
        self._server.config.app = self._recording(self._server.config.app)  # type: ignore[arg-type]
        self._changed = threading.Condition()
        #: Requested starts of jobs.
        self.start_calls = 0
        #: By job name, the times of its polls.
        self.polls: defaultdict[str, list[float]] = defaultdict(list)
        #: By command, when the outputs of its job were fetched first, which is the last call of all.
        self.fetched: dict[str, float] = {}

    def starts(self, prefix: str) -> Counter[str]:
        """Return how often the job of each command was started."""
        return Counter(
            {
                id: sum(n for (op, key), n in self.state.effects.items() if op == _START and id_of(key) == id)
                for id in {id_of(key) for op, key in self.state.effects if op == _START}
                if id.startswith(prefix)
            }
        )

    def slow_starts(self, seconds: float | None) -> None:
        """Delay the answers to starts from now on; a start takes effect even if its caller hangs up."""
        self.state.faults.pop(_START, None)
        if seconds is not None:
            self.state.faults[_START].append(Fault("slow", times=1_000_000, seconds=seconds))

    def await_start(self, more_than: int, seconds: float) -> bool:
        """Wait until more starts than that were requested; return whether that happened in time."""
        until = time.monotonic() + seconds
        with self._changed:
            while self.start_calls <= more_than and (rest := until - time.monotonic()) > 0:
                self._changed.wait(rest)
            return self.start_calls > more_than

    def await_fetched(self, ids: set[str], seconds: float) -> set[str]:
        """Wait until the outputs of all jobs were fetched; return the ids of the others."""
        until = time.monotonic() + seconds
        with self._changed:
            while (remaining := ids - self.fetched.keys()) and (rest := until - time.monotonic()) > 0:
                self._changed.wait(rest)
        return remaining

    def await_polls(self, name: str, number: int, seconds: float) -> bool:
        """Wait until a job was polled that often; return whether that happened in time."""
        until = time.monotonic() + seconds
        with self._changed:
            while len(self.polls[name]) < number and (rest := until - time.monotonic()) > 0:
                self._changed.wait(rest)
            return len(self.polls[name]) >= number

    def _recording(self, app: ASGIApp) -> ASGIApp:
        async def record(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self._note(scope["method"], scope["path"])
            await app(scope, receive, send)

        return record

    def _note(self, method: str, path: str) -> None:
        now = time.time()
        with self._changed:
            if method == "POST":
                self.start_calls += path == "/data8/Job"
            elif poll := _POLL.fullmatch(path):
                self.polls[poll["name"]].append(now)
            elif fetch := _FETCH.fullmatch(path):
                self.fetched.setdefault(fetch["id"], now)
            self._changed.notify_all()


def outcome(vendor: Vendor, ids: set[str]) -> tuple[list[int], list[float]]:
    """Return the number of polls of each job, and the detection delays in seconds."""
    polls, delays = [], []
    for name, end in vendor.durations.ends.items():
        if id_of(name) in ids:
            times = vendor.polls[name]
            polls.append(len(times))
            detected = next((at for at in times if at >= end), None)
            if detected is not None:
                delays.append(detected - end)
    return polls, delays
