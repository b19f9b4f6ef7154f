"""What others do, what we do, and the best that can be done."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.polling.workloads import VendorJob
from workers.ledger.records import DurationSample
from workers.polling.history import History
from workers.polling.next_poll import REPORTED_SHARE_MAX
from workers.polling.policy import PollState, next_poll_delay

#: Shortest wait of every policy of ours, in seconds.
MIN_DELAY = 1.0

#: Gives the next wait from seconds elapsed, looks so far and the share done; None is no share.
Policy = Callable[[float, int, float | None], float]


@dataclass(frozen=True)
class Watched:
    """How the watching of one job went."""

    looks: int
    delay: float
    duration: float


def watch(job: VendorJob, policy: Policy, *, told: bool = False) -> Watched:
    """Look at a job as the policy says until it is seen done."""
    at, looks, share = 0.0, 0, None
    while True:
        at += policy(at, looks, share)
        looks += 1
        if at >= job.duration:
            return Watched(looks, at - job.duration, job.duration)
        share = job.share(at) if told else None


def fixed(seconds: float) -> Policy:
    """The same wait always."""
    return lambda _at, _looks, _share: seconds


def exponential(r: random.Random, first: float, cap: float) -> Policy:
    """Twice as long every time, with full jitter above one half."""
    return lambda _at, looks, _share: min(first * 2 ** min(looks, 40), cap) * r.uniform(0.5, 1.0)


def dramatiq(r: random.Random) -> Policy:
    """Dramatiq's default retries: 15 s times two to the power of the attempt, times 1 to 2, at most 7 days."""
    return lambda _at, looks, _share: min(15.0 * 2 ** min(looks, 40), 604_800.0) * r.uniform(1, 2)


def fibonacci(cap: float = 300.0) -> Policy:
    """5, 5, 10, 15, 25 … s."""
    row = [5.0, 5.0]
    while row[-1] < cap:
        row.append(min(row[-1] + row[-2], cap))
    return lambda _at, looks, _share: row[min(looks, len(row) - 1)]


def extrapolation() -> Policy:
    """When the percentage says it will be done, 5 to 300 s from now; every 60 s without one."""

    def wait(at: float, _looks: int, share: float | None) -> float:
        return 60.0 if not share else min(max(at / share - at, 5.0), 300.0)

    return wait


@dataclass
class Learner:
    """Our rule, which learns from what it has itself seen and from nothing else."""

    max_delay: float
    told: bool = False
    pasts: list[DurationSample] = field(default_factory=list)
    history: History = field(default_factory=History)
    clock: float = 0.0

    def watch(self, job: VendorJob) -> Watched:
        """Look at a job until it is seen done, and remember what the ledger would."""
        at = seen = moved = 0.0
        looks, share = 0, None
        kept: tuple[float, float] | tuple[None, None] = (None, None)
        while True:
            evidence = PollState(at, looks, job.size, share, moved)
            at += next_poll_delay(evidence, MIN_DELAY, self.max_delay, self.history)
            looks += 1
            if at >= job.duration:
                self.pasts.insert(0, DurationSample(at, seen, job.size, kept[0], kept[1], self.clock))
                self.clock += at
                return Watched(looks, at - job.duration, job.duration)
            seen = at
            if self.told:
                now = job.share(at)
                moved = moved if now == share else at
                share = now
                if 0 < share <= REPORTED_SHARE_MAX:
                    kept = share, moved

    def learn(self) -> None:
        """Take what was seen into account."""
        del self.pasts[400:]
        self.history = History(self.pasts)


def trained(learner: Learner, jobs: list[VendorJob]) -> Learner:
    """After having watched these jobs, from nothing on."""
    for number, job in enumerate(jobs, 1):
        learner.watch(job)
        if number < 8 or number % max(4, number // 8) == 0:
            learner.learn()
    learner.learn()
    return learner


def optimum(durations: list[float], price: float, max_gap: float, points: int = 500) -> list[float]:
    """The times of looks that cost least if the durations are known to be drawn from these.

    Dynamic programming, backwards over `points` candidate times: quantiles of the durations, and the longest
    one of all, by which every job is done.
    """
    ordered = sorted(durations)
    total = len(ordered)
    span = ordered[-1] * 1.0001
    marks = {ordered[min(int(total * k / points), total - 1)] for k in range(1, points + 1)}
    gap = min(max_gap, span)
    marks |= {gap * k / 4 for k in range(1, int(4 * span / gap) + 1)}
    times = [0.0, *sorted(mark for mark in marks if mark < span), span]
    sums = [0.0]
    for duration in ordered:
        sums.append(sums[-1] + duration)
    passed = [bisect_left(ordered, time) for time in times]
    last = len(times) - 1
    cost = [0.0] * len(times)
    best = [last] * len(times)
    for i in range(last - 1, -1, -1):
        alive = price * (total - passed[i])
        cost[i] = float("inf")
        for j in range(i + 1, last + 1):
            if times[j] - times[i] > max_gap and j > i + 1:
                break
            late = (passed[j] - passed[i]) * times[j] - (sums[passed[j]] - sums[passed[i]])
            candidate = alive + late + cost[j]
            if candidate < cost[i]:
                cost[i], best[i] = candidate, j
            elif late > cost[i]:
                break
    looks = []
    i = 0
    while i < last:
        i = best[i]
        looks.append(times[i])
    return looks


def scheduled(looks: list[float], then: float) -> Policy:
    """Looks at fixed times; after the last of them every `then` seconds."""
    row = list(looks)

    def wait(at: float, looks_made: int, _share: float | None) -> float:
        return row[looks_made] - at if looks_made < len(row) else then

    return wait
