"""A simulation of jobs that wait at one vendor, call by call, with the product's own decisions."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.polling.policies import Policy, Wait
from benchmarks.polling.workloads import DURATION_MAX_SECONDS, DURATION_MIN_SECONDS, Family, VendorJob
from workers.ledger.records import DurationSample
from workers.polling.history import History
from workers.polling.policy import PollState, delay_curve, forecast, next_poll_delay

#: How long a history is used before it is rebuilt.
HISTORY_TTL_SECONDS = 60.0
#: Bounds of a wait: the defaults of the settings.
MIN_DELAY_SECONDS, MAX_DELAY_SECONDS = 1.0, 300.0


@dataclass(frozen=True)
class Load:
    """The load on the vendor.

    Attributes:
        jobs: how many wait at once.
        calls: how many calls it allows per minute, starts and polls.
        steady: whether another job replaces one that is found done. Otherwise all begin together, and the next batch
            begins when the last one of them is found done.
    """

    jobs: int
    calls: int
    steady: bool = True


@dataclass
class Waiting:
    """A job that waits at its vendor. Times are seconds since the simulation began."""

    number: int
    job: VendorJob
    began: float
    polls: int = 0
    last_polled: float = 0.0
    due: float = 0.0
    expected_delay: Callable[[float], float] = lambda _: 0.0


class Scheduler(Protocol):
    """Decides when a job is polled, and which goes first if several are due."""

    def plan(self, waiting: Waiting, now: float) -> None:
        """Set `due` and what `first` needs."""

    def first(self, due: Sequence[Waiting], now: float) -> Waiting:
        """Return the job to poll next."""

    def done(self, waiting: Waiting, now: float) -> None:
        """Note that it was found done."""


class FirstCome:
    """Every job follows its own policy; the one that has waited longest for the limiter goes first."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def plan(self, waiting: Waiting, now: float) -> None:
        """Follow the policy."""
        waiting.due = now + self._policy(now - waiting.began, waiting.polls, None)

    def first(self, due: Sequence[Waiting], now: float) -> Waiting:  # noqa: ARG002 - as in Scheduler
        """Return the one that was due first."""
        return min(due, key=lambda waiting: waiting.due)

    def done(self, waiting: Waiting, now: float) -> None:
        """Learn nothing."""


@dataclass
class MostOverdue:
    """As in the product: it learns from earlier jobs, and the job with the largest expected delay goes first.

    Args:
        exact: whether to use the forecast itself instead of the delay curve that the ledger sorts by.
        rate_limited: whether a poll costs as little as under a rate limit.
    """

    exact: bool = False
    rate_limited: bool = True
    samples: list[DurationSample] = field(default_factory=list)
    _history: History = field(default_factory=History)
    _built_at: float = -math.inf

    def plan(self, waiting: Waiting, now: float) -> None:
        """Follow the polling policy."""
        if now - self._built_at >= HISTORY_TTL_SECONDS:
            self._history, self._built_at = History(self.samples[::-1]), now
        history, elapsed = self._history, now - waiting.began
        state = PollState(elapsed, waiting.polls, waiting.job.size, rate_limited=self.rate_limited)
        waiting.due = now + next_poll_delay(state, MIN_DELAY_SECONDS, MAX_DELAY_SECONDS, history)
        if self.exact:
            waiting.expected_delay = lambda at: forecast(state, at - now, history).delay
        else:
            curve = delay_curve(state, history)
            waiting.expected_delay = lambda at: curve.after(at - now)

    def first(self, due: Sequence[Waiting], now: float) -> Waiting:
        """Return the one that is expected to have been finished for longest."""
        return max(due, key=lambda waiting: waiting.expected_delay(now))

    def done(self, waiting: Waiting, now: float) -> None:
        """Keep a sample for later jobs. Before its first poll a job was last seen at its start, as in the ledger."""
        last_polled = max(waiting.last_polled - waiting.began, 0.0)
        sample = DurationSample(now - waiting.began, last_polled, waiting.job.size, began=waiting.began)
        self.samples.append(sample)


def simulate(
    family: Family, load: Load, scheduler: Scheduler, count: int, warm_up: int, sequence: int = 0
) -> list[Wait]:
    """Return the waits of `count` jobs, after `warm_up` others and while more arrive.

    Args:
        family: of the jobs.
        load: how many jobs and calls there are.
        scheduler: decides on the polls.
        count: how many jobs are measured.
        warm_up: how many jobs come before them.
        sequence: number of the random sequence of durations.
    """
    r = random.Random(f"{family.name} {sequence}")
    planned: list[tuple[float, int, Waiting]] = []
    due: list[Waiting] = []
    waits: dict[int, Wait] = {}
    measured = range(warm_up, warm_up + count)
    arrivals = deque(sorted(r.uniform(0, 1_200) if load.steady else 0.0 for _ in range(load.jobs)))
    number = running = 0
    now = 0.0
    while len(waits) < count:
        now += 60.0 / load.calls
        if arrivals and arrivals[0] <= now:  # a start is a call as well, and goes first
            arrivals.popleft()
            duration, size = family.draw(r)
            waiting = Waiting(
                number, VendorJob(min(max(duration, DURATION_MIN_SECONDS), DURATION_MAX_SECONDS), size), now
            )
            scheduler.plan(waiting, now)
            heapq.heappush(planned, (waiting.due, number, waiting))
            number, running = number + 1, running + 1
            continue
        while planned and planned[0][0] <= now:
            due.append(heapq.heappop(planned)[2])
        if not due:
            continue
        waiting = scheduler.first(due, now)
        due.remove(waiting)
        waiting.polls += 1
        ends = waiting.began + waiting.job.duration
        if now < ends:
            waiting.last_polled = now
            scheduler.plan(waiting, now)
            heapq.heappush(planned, (waiting.due, waiting.number, waiting))
            continue
        scheduler.done(waiting, now)
        running -= 1
        if load.steady or not running:
            arrivals += [now] * (1 if load.steady else load.jobs)
        if waiting.number in measured:
            waits[waiting.number] = Wait(waiting.polls, now - ends, waiting.job.duration)
    return list(waits.values())
