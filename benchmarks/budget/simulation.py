"""Jobs that wait at one vendor, and its calls, one after the other: a simulation with the product's own decisions."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.polling.policies import Policy, Watched
from benchmarks.polling.workloads import LONGEST, SHORTEST, Family, VendorJob
from workers.polling import Evidence, History, Past, lateness, next_look

#: Seconds after which histories are read anew.
LEARN = 60.0
#: Bounds of a wait, the settings' defaults.
MIN_DELAY, MAX_DELAY = 1.0, 300.0


@dataclass
class Waiting:
    """A job that waits at its vendor; times are seconds since the simulation began."""

    number: int
    job: VendorJob
    began: float
    looks: int = 0
    seen: float | None = None
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
    """As the product does it: waits learned from earlier jobs, and the latest by expectation goes first."""

    _pasts: list[Past] = field(default_factory=list)
    _history: History = field(default_factory=History)
    _learned: float = -math.inf

    def plan(self, waiting: Waiting, now: float) -> None:
        """By the rule."""
        if now - self._learned >= LEARN:
            self._history, self._learned = History(self._pasts[::-1]), now
        evidence = Evidence(now - waiting.began, waiting.looks, waiting.job.size)
        delay = next_look(evidence, MIN_DELAY, MAX_DELAY, self._history)
        expected = lateness(evidence, self._history)
        waiting.late = lambda at: expected.after(at - now)
        waiting.due = now + delay

    def first(self, due: Sequence[Waiting], now: float) -> Waiting:
        """The one that is expected to have sat finished for longest."""
        return max(due, key=lambda waiting: waiting.late(now))

    def done(self, waiting: Waiting, now: float) -> None:
        """Later jobs learn from it."""
        seen = None if waiting.seen is None else waiting.seen - waiting.began
        self._pasts.append(Past(now - waiting.began, seen, waiting.job.size))


def watch_all(
    family: Family, arrivals: float, calls: float, manner: Manner, count: int, cold: int
) -> list[Watched]:
    """How the watching of `count` jobs went, after `cold` others and while more keep coming.

    Args:
        family: what the jobs are like.
        arrivals: jobs a second, at random.
        calls: looks a second that the vendor allows.
        manner: when and who.
        count: jobs that are told of.
        cold: jobs before them.
    """
    r = random.Random(family.name)
    planned: list[tuple[float, int, Waiting]] = []
    due: list[Waiting] = []
    watched: dict[int, Watched] = {}
    measured = range(cold, cold + count)
    comes = r.expovariate(arrivals)
    number = 0
    now = 0.0
    while len(watched) < count:
        now += 1.0 / calls
        while comes <= now:
            duration, size = family.draw(r)
            waiting = Waiting(number, VendorJob(min(max(duration, SHORTEST), LONGEST), size), comes)
            manner.plan(waiting, comes)
            heapq.heappush(planned, (waiting.due, number, waiting))
            number += 1
            comes += r.expovariate(arrivals)
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
        if waiting.number in measured:
            watched[waiting.number] = Watched(waiting.looks, now - ends, waiting.job.duration)
    return list(watched.values())
