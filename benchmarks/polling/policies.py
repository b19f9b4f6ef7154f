"""Polling policies: the usual ones, ours, and the optimum."""

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

#: Lower bound of every wait of our policy.
MIN_DELAY_SECONDS = 1.0

#: Returns the next wait from the seconds elapsed, the polls so far and the reported share, None if there is none.
Policy = Callable[[float, int, float | None], float]


@dataclass(frozen=True)
class Wait:
    """How one job was waited for.

    Attributes:
        polls: how many there were.
        delay: the detection delay, in seconds.
        duration: of the job, in seconds.
    """

    polls: int
    delay: float
    duration: float


def wait_for(job: VendorJob, policy: Policy, *, reports_progress: bool = False) -> Wait:
    """Poll a job by a policy until it is found done."""
    at, polls, share = 0.0, 0, None
    while True:
        at += policy(at, polls, share)
        polls += 1
        if at >= job.duration:
            return Wait(polls, at - job.duration, job.duration)
        share = job.share(at) if reports_progress else None


def fixed(seconds: float) -> Policy:
    """Wait equally long every time."""
    return lambda _at, _polls, _share: seconds


def exponential(r: random.Random, first: float, cap: float) -> Policy:
    """Wait twice as long every time, with full jitter above one half."""
    return lambda _at, polls, _share: min(first * 2 ** min(polls, 40), cap) * r.uniform(0.5, 1.0)


def dramatiq(r: random.Random) -> Policy:
    """Wait as Dramatiq's default retries do: 15 s times two to the power of the attempt, times 1 to 2, at most 7 days."""
    return lambda _at, polls, _share: min(15.0 * 2 ** min(polls, 40), 604_800.0) * r.uniform(1, 2)


def fibonacci(cap: float = 300.0) -> Policy:
    """Wait 5, 5, 10, 15, 25 … s."""
    waits = [5.0, 5.0]
    while waits[-1] < cap:
        waits.append(min(waits[-1] + waits[-2], cap))
    return lambda _at, polls, _share: waits[min(polls, len(waits) - 1)]


def extrapolation() -> Policy:
    """Wait until the extrapolated end, 5 to 300 s from now; 60 s without a percentage."""

    def wait(at: float, _polls: int, share: float | None) -> float:
        return 60.0 if not share else min(max(at / share - at, 5.0), 300.0)

    return wait


@dataclass
class Learner:
    """Our policy, which learns only from what it observed itself."""

    max_delay: float
    reports_progress: bool = False
    samples: list[DurationSample] = field(default_factory=list)
    history: History = field(default_factory=History)
    clock: float = 0.0

    def wait_for(self, job: VendorJob) -> Wait:
        """Poll a job until it is found done, and remember what the ledger would."""
        at = last_polled = last_progress = 0.0
        polls, share = 0, None
        reported: tuple[float, float] | tuple[None, None] = (None, None)
        while True:
            state = PollState(at, polls, job.size, share, last_progress)
            at += next_poll_delay(state, MIN_DELAY_SECONDS, self.max_delay, self.history)
            polls += 1
            if at >= job.duration:
                self.samples.insert(
                    0, DurationSample(at, last_polled, job.size, reported[0], reported[1], self.clock)
                )
                self.clock += at
                return Wait(polls, at - job.duration, job.duration)
            last_polled = at
            if self.reports_progress:
                now = job.share(at)
                last_progress = last_progress if now == share else at
                share = now
                if 0 < share <= REPORTED_SHARE_MAX:
                    reported = share, last_progress

    def learn(self) -> None:
        """Rebuild the history from the samples."""
        del self.samples[400:]
        self.history = History(self.samples)


def trained(learner: Learner, jobs: list[VendorJob]) -> Learner:
    """Return the learner after it has waited for these jobs."""
    for number, job in enumerate(jobs, 1):
        learner.wait_for(job)
        if number < 8 or number % max(4, number // 8) == 0:
            learner.learn()
    learner.learn()
    return learner


def optimum(durations: list[float], price: float, max_gap: float, points: int = 500) -> list[float]:
    """Return the poll times of the lowest cost for durations drawn from these.

    It is dynamic programming, backwards over `points` candidate times: quantiles of the durations, and the longest
    one, by which every job is done.
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
    polls = []
    i = 0
    while i < last:
        i = best[i]
        polls.append(times[i])
    return polls


def scheduled(times: list[float], then: float) -> Policy:
    """Poll at fixed times, and after the last of them every `then` seconds."""

    def wait(at: float, polls: int, _share: float | None) -> float:
        return times[polls] - at if polls < len(times) else then

    return wait
