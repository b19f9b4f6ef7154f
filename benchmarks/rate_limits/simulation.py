"""Jobs that wait at one vendor, and its calls, one after the other: a simulation with the product's own decisions."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.polling.policies import Policy, Watched
from benchmarks.polling.workloads import LONGEST, SHORTEST, Family, VendorJob
from workers.ledger.records import DurationSample
from workers.polling.history import History
from workers.polling.policy import PollState, delay_curve, forecast, next_poll_delay

#: Seconds after which histories are read anew.
LEARN = 60.0
#: Bounds of a wait, the settings' defaults.
MIN_DELAY, MAX_DELAY = 1.0, 300.0


@dataclass(frozen=True)
class Load:
    """What is asked of the vendor.

    Attributes:
        jobs: that wait there at once.
        calls: that it allows in a minute, starts and looks.
        kept: whether a job that is found done is followed by another; else all begin together, and the next as many
            when the last of them is found.
    """

    jobs: int
    calls: int
    kept: bool = True


@dataclass
class Waiting:
    """A job that waits at its vendor; times are seconds since the simulation began."""

    number: int
    job: VendorJob
    began: float
    looks: int = 0
    seen: float = 0.0
    due: float = 0.0
    late: Callable[[float], float] = lambda _: 0.0


class Manner(Protocol):
    """When a job is to be looked at, and who goes first if several are."""

    def plan(self, waiting: Waiting, now: float) -> None:
        """Set `due`, and what `first` needs."""

    def first(self, due: Sequence[Waiting], now: float) -> Waiting:
        """Whose look is next."""

    def done(self, waiting: Waiting, now: float) -> None:
        """It was found finished."""


class FirstCome:
    """Every job by its own policy; who has waited longest for the limiter goes first."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def plan(self, waiting: Waiting, now: float) -> None:
        """By the policy."""
        waiting.due = now + self._policy(now - waiting.began, waiting.looks, None)

    def first(self, due: Sequence[Waiting], now: float) -> Waiting:  # noqa: ARG002 - as Manner has it
        """The one that was due first."""
        return min(due, key=lambda waiting: waiting.due)

    def done(self, waiting: Waiting, now: float) -> None:
        """Nothing is learned."""


@dataclass
class Latest:
    """As the product does it: waits learned from earlier jobs, and the latest by expectation goes first.

    Args:
        exact: whether by the expectation itself, and not by its curve through three numbers that the ledger sorts by.
        budgeted: whether a look is worth as much as where calls are limited.
    """

    exact: bool = False
    budgeted: bool = True
    pasts: list[DurationSample] = field(default_factory=list)
    _history: History = field(default_factory=History)
    _learned: float = -math.inf

    def plan(self, waiting: Waiting, now: float) -> None:
        """By the rule."""
        if now - self._learned >= LEARN:
            self._history, self._learned = History(self.pasts[::-1]), now
        history, elapsed = self._history, now - waiting.began
        evidence = PollState(elapsed, waiting.looks, waiting.job.size, budgeted=self.budgeted)
        waiting.due = now + next_poll_delay(evidence, MIN_DELAY, MAX_DELAY, history)
        if self.exact:
            waiting.late = lambda at: forecast(evidence, at - now, history).late
        else:
            expected = delay_curve(evidence, history)
            waiting.late = lambda at: expected.after(at - now)

    def first(self, due: Sequence[Waiting], now: float) -> Waiting:
        """The one that is expected to have sat finished for longest."""
        return max(due, key=lambda waiting: waiting.late(now))

    def done(self, waiting: Waiting, now: float) -> None:
        """Later jobs learn from it. Seen before its first look is its start, as in the ledger."""
        seen = max(waiting.seen - waiting.began, 0.0)
        self.pasts.append(DurationSample(now - waiting.began, seen, waiting.job.size, began=waiting.began))


def watch_all(
    family: Family, load: Load, manner: Manner, count: int, cold: int, sequence: int = 0
) -> list[Watched]:
    """How the watching of `count` jobs went, after `cold` others and while more come.

    Args:
        family: what the jobs are like.
        load: how many there are, and how many looks.
        manner: when and who.
        count: jobs that are told of.
        cold: jobs before them.
        sequence: of durations, another for each number.
    """
    r = random.Random(f"{family.name} {sequence}")
    planned: list[tuple[float, int, Waiting]] = []
    due: list[Waiting] = []
    watched: dict[int, Watched] = {}
    measured = range(cold, cold + count)
    coming = deque(sorted(r.uniform(0, 1_200) if load.kept else 0.0 for _ in range(load.jobs)))
    number = running = 0
    now = 0.0
    while len(watched) < count:
        now += 60.0 / load.calls
        if coming and coming[0] <= now:  # a start is a call, too, and goes first
            coming.popleft()
            duration, size = family.draw(r)
            waiting = Waiting(number, VendorJob(min(max(duration, SHORTEST), LONGEST), size), now)
            manner.plan(waiting, now)
            heapq.heappush(planned, (waiting.due, number, waiting))
            number, running = number + 1, running + 1
            continue
        while planned and planned[0][0] <= now:
            due.append(heapq.heappop(planned)[2])
        if not due:
            continue
        waiting = manner.first(due, now)
        due.remove(waiting)
        waiting.looks += 1
        ends = waiting.began + waiting.job.duration
        if now < ends:
            waiting.seen = now
            manner.plan(waiting, now)
            heapq.heappush(planned, (waiting.due, waiting.number, waiting))
            continue
        manner.done(waiting, now)
        running -= 1
        if load.kept or not running:
            coming += [now] * (1 if load.kept else load.jobs)
        if waiting.number in measured:
            watched[waiting.number] = Watched(waiting.looks, now - ends, waiting.job.duration)
    return list(watched.values())
