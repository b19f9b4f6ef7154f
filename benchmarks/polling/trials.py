"""The comparison: every policy on every family, each against the optimum on the same jobs."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.polling.policies import (
    Learner,
    Wait,
    dramatiq,
    exponential,
    extrapolation,
    fibonacci,
    fixed,
    optimum,
    scheduled,
    trained,
    wait_for,
)
from benchmarks.polling.workloads import FAMILIES, REPORTING, Family, VendorJob, durations, reporting
from workers.ledger.records import DurationSample
from workers.polling.history import History
from workers.polling.policy import POLL_COST_SECONDS, PollState, next_poll_delay

#: Upper bounds of a wait: the default of the settings, and one for vendors with long jobs.
DEFAULT_MAX_DELAY_SECONDS, LONG_MAX_DELAY_SECONDS = 300.0, 3_600.0
#: How many different short histories are tried, each on its share of the jobs.
SHORT_HISTORIES = 10
#: From this many past jobs on there is one history, and the policy goes on learning.
LONG_HISTORY_JOBS = 100


@dataclass
class Row:
    """One policy on all families: its waits on each, in the order of the families."""

    name: str
    waits: list[list[Wait]] = field(default_factory=list)

    @property
    def costs(self) -> list[float]:
        """The mean cost of a job in each family."""
        return [cost(family) for family in self.waits]


def cost(waits: Iterable[Wait]) -> float:
    """Return the mean cost of a wait: the detection delay plus the cost of the polls, in seconds."""
    return statistics.fmean(one.delay + POLL_COST_SECONDS * one.polls for one in waits)


def over(row: Row, base: Row) -> float:
    """Return the geometric mean over the families of the cost of `row` as a multiple of that of `base`."""
    return statistics.geometric_mean(a / b for a, b in zip(row.costs, base.costs, strict=True))


def optimal(family: Family, jobs: list[VendorJob], max_gap: float, factor: float = 1.0) -> list[Wait]:
    """Return the optimal waits: the distribution of the durations is known, and the rows where there are any."""
    known = durations(family, 12_000, "distribution", factor)
    if jobs[0].size is None:
        polls = optimum([job.duration for job in known], POLL_COST_SECONDS, max_gap)
        return [wait_for(job, scheduled(polls, max_gap)) for job in jobs]
    ratios = [job.duration / _usual(job) for job in known[:3_000]]
    schedules: dict[int, list[float]] = {}
    waits = []
    for job in jobs:
        bucket = round(math.log(_usual(job)) * 4)
        middle = math.exp(bucket / 4)
        if bucket not in schedules:
            polls = optimum([ratio * middle for ratio in ratios], POLL_COST_SECONDS, max_gap, 200)
            schedules[bucket] = [poll / middle for poll in polls]
        times = [min(poll * _usual(job), max_gap * n) for n, poll in enumerate(schedules[bucket], 1)]
        waits.append(wait_for(job, scheduled(times, max_gap)))
    return waits


def _usual(job: VendorJob) -> float:
    return 20 + 0.01 * (job.size or 0)


def ours(
    family: Family, jobs: int, past: int, how: str, max_delay: float, histories: int = SHORT_HISTORIES
) -> list[Wait]:
    """Return the waits of our policy after `past` jobs that it observed itself, from a cold start."""
    real = reporting(durations(family, jobs, "measured"), how, "measured")
    reports = how != "none"
    waits = []
    if past >= LONG_HISTORY_JOBS:
        before = reporting(durations(family, past, "before"), how, "before")
        learner = trained(Learner(max_delay, reports), before)
        for number, job in enumerate(real, 1):
            waits.append(learner.wait_for(job))
            if number % 25 == 0:
                learner.learn()
        return waits
    for trial in range(histories):
        before = reporting(durations(family, past, f"before {trial}"), how, f"before {trial}")
        learner = trained(Learner(max_delay, reports), before)
        waits += [learner.wait_for(job) for job in real[trial::histories]]
    return waits


def worst(row: Row, base: Row) -> float:
    """Return the cost of `row` as a multiple of that of `base` in the family where it is highest."""
    return max(a / b for a, b in zip(row.costs, base.costs, strict=True))


def row_of_ours(
    jobs: int,
    past: int,
    how: str,
    max_delay: float = LONG_MAX_DELAY_SECONDS,
    histories: int = SHORT_HISTORIES,
) -> Row:
    """Return the row of our policy."""
    waits = [ours(family, jobs, past, how, max_delay, histories) for family in FAMILIES]
    return Row(f"{past} {how}", waits)


def row_of_optimum(jobs: int, max_gap: float = LONG_MAX_DELAY_SECONDS) -> Row:
    """Return the row of the optimum."""
    waits = [optimal(family, durations(family, jobs, "measured"), max_gap) for family in FAMILIES]
    return Row("optimum", waits)


def rows_of_others(jobs: int) -> list[Row]:
    """Return the rows of the usual policies."""
    rows = []
    makers: list[tuple[str, str, Callable[[random.Random], Callable[[float, int, float | None], float]]]] = [
        ("fixed 5 s", "none", lambda _: fixed(5)),
        ("fixed 15 s", "none", lambda _: fixed(15)),
        ("fixed 30 s", "none", lambda _: fixed(30)),
        ("fixed 60 s", "none", lambda _: fixed(60)),
        ("exponential ×2, jitter, cap 60 s", "none", lambda r: exponential(r, 1, 60)),
        ("exponential ×2, jitter, cap 300 s", "none", lambda r: exponential(r, 1, 300)),
        ("Dramatiq's default retries", "none", dramatiq),
        ("Fibonacci from 5 s, cap 300 s", "none", lambda _: fibonacci()),
        ("percentage extrapolated (bent)", "bent", lambda _: extrapolation()),
    ]
    for name, how, make in makers:
        policy = make(random.Random(name))
        row = Row(name)
        for family in FAMILIES:
            real = reporting(durations(family, jobs, "measured"), how, "measured")
            row.waits.append([wait_for(job, policy, reports_progress=how != "none") for job in real])
        rows.append(row)
    return rows


def drift(family: Family, factor: float, jobs: int) -> tuple[float, float, float]:
    """Return the cost after a sudden change of durations: ours, exponential up to 60 s, optimum of the new ones."""
    learner = trained(Learner(LONG_MAX_DELAY_SECONDS), durations(family, 200, "before"))
    changed = durations(family, jobs, "measured", factor)
    waits = []
    for number, job in enumerate(changed, 1):
        waits.append(learner.wait_for(job))
        if number % 5 == 0:
            learner.learn()
    backoff = exponential(random.Random("drift"), 1, 60)
    others = [wait_for(job, backoff) for job in changed]
    best = optimal(family, changed, LONG_MAX_DELAY_SECONDS, factor)
    return cost(waits), cost(others), cost(best)


def timing() -> tuple[float, float]:
    """Return two CPU times in ms: one decision with full evidence (99th percentile), and building a history of 300."""
    r = random.Random("timing")
    samples = [
        DurationSample(d, d * 0.9, 1000, 0.5, d * 0.5) for d in (r.lognormvariate(7, 1) for _ in range(300))
    ]
    start = time.thread_time()
    history = History(samples)
    building = (time.thread_time() - start) * 1000
    deciding = []
    for _ in range(3_000):
        elapsed = r.uniform(0.1, 3_000)
        state = PollState(elapsed, 3, 1000, r.random(), elapsed * r.random())
        start = time.thread_time()
        next_poll_delay(state, 1.0, LONG_MAX_DELAY_SECONDS, history)
        deciding.append((time.thread_time() - start) * 1000)
    return sorted(deciding)[int(0.99 * len(deciding))], building


@dataclass(frozen=True)
class Gate:
    """A value that must not exceed its limit."""

    name: str
    value: float
    limit: float

    @property
    def kept(self) -> bool:
        """Whether the value is within the limit."""
        return self.value <= self.limit


def gates(
    best: Row, ten: Row, many: Row, fixed_row: Row, reported: dict[str, Row], reported_ten: dict[str, Row]
) -> list[Gate]:
    """Return the gates of the policy.

    Args:
        best: the optimum.
        ten: ours after 10 jobs.
        many: ours after 200 jobs.
        fixed_row: a poll every 60 s.
        reported: ours after 200 jobs, by each kind of progress that is no help.
        reported_ten: the same after 10 jobs.
    """
    memoryless = [family.name for family in FAMILIES].index("memoryless")
    return [
        Gate("cost ÷ optimum, 200 past jobs", over(many, best), 1.10),
        Gate("cost ÷ optimum, 10 past jobs", over(ten, best), 1.25),
        Gate(
            "memoryless: cost ÷ fixed 60 s, 200 past jobs",
            many.costs[memoryless] / fixed_row.costs[memoryless],
            1.15,
        ),
        Gate(
            "memoryless: cost ÷ fixed 60 s, 10 past jobs",
            ten.costs[memoryless] / fixed_row.costs[memoryless],
            1.15,
        ),
        *(
            Gate(f"{how} progress: cost ÷ no progress reported, 200 past jobs", over(row, many), 1.10)
            for how, row in reported.items()
        ),
        *(
            Gate(f"{how} progress: cost ÷ no progress reported, 10 past jobs", over(row, ten), 1.10)
            for how, row in reported_ten.items()
        ),
    ]


PROGRESS_KINDS = [how for how in REPORTING if how != "none"]
