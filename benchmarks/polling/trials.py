"""The comparison itself: every policy on every family, each against the optimum on the same jobs."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.polling.policies import (
    Learner,
    Watched,
    dramatiq,
    exponential,
    extrapolation,
    fibonacci,
    fixed,
    optimum,
    scheduled,
    trained,
    watch,
)
from benchmarks.polling.workloads import FAMILIES, TELLING, Family, VendorJob, durations, telling
from workers.ledger.records import DurationSample
from workers.polling.history import History
from workers.polling.policy import POLL_COST_SECONDS, PollState, next_poll_delay

#: The longest wait: of the settings' default, and one for vendors whose jobs take long.
DEFAULT, WIDE = 300.0, 3_600.0
#: So many different short pasts are tried, each on its share of the jobs.
PASTS = 10
#: Of a past so long there is one only, and the rule goes on learning.
LONG = 100


@dataclass
class Row:
    """One policy on all families: what it did on each, in the order of the families."""

    name: str
    watched: list[list[Watched]] = field(default_factory=list)

    @property
    def costs(self) -> list[float]:
        """Mean cost of a job in each family."""
        return [cost(family) for family in self.watched]


def cost(watched: Iterable[Watched]) -> float:
    """Mean seconds of delay and of requests at their price."""
    return statistics.fmean(one.delay + POLL_COST_SECONDS * one.looks for one in watched)


def over(row: Row, base: Row) -> float:
    """Geometric mean over the families of the cost of `row` as a multiple of that of `base`."""
    return statistics.geometric_mean(a / b for a, b in zip(row.costs, base.costs, strict=True))


def best(family: Family, jobs: list[VendorJob], max_gap: float, factor: float = 1.0) -> list[Watched]:
    """The optimum: the durations' distribution is known, given the rows where they are known."""
    known = durations(family, 12_000, "distribution", factor)
    if jobs[0].size is None:
        looks = optimum([job.duration for job in known], POLL_COST_SECONDS, max_gap)
        return [watch(job, scheduled(looks, max_gap)) for job in jobs]
    ratios = [job.duration / _usual(job) for job in known[:3_000]]
    schedules: dict[int, list[float]] = {}
    watched = []
    for job in jobs:
        bucket = round(math.log(_usual(job)) * 4)
        middle = math.exp(bucket / 4)
        if bucket not in schedules:
            looks = optimum([ratio * middle for ratio in ratios], POLL_COST_SECONDS, max_gap, 200)
            schedules[bucket] = [look / middle for look in looks]
        row = [min(look * _usual(job), max_gap * n) for n, look in enumerate(schedules[bucket], 1)]
        watched.append(watch(job, scheduled(row, max_gap)))
    return watched


def _usual(job: VendorJob) -> float:
    return 20 + 0.01 * (job.size or 0)


def ours(
    family: Family, jobs: int, past: int, how: str, max_delay: float, pasts: int = PASTS
) -> list[Watched]:
    """Our rule after `past` jobs that it watched itself, from a cold start on."""
    real = telling(durations(family, jobs, "measured"), how, "measured")
    told = how != "none"
    watched = []
    if past >= LONG:
        learner = trained(Learner(max_delay, told), telling(durations(family, past, "before"), how, "before"))
        for number, job in enumerate(real, 1):
            watched.append(learner.watch(job))
            if number % 25 == 0:
                learner.learn()
        return watched
    for trial in range(pasts):
        before = telling(durations(family, past, f"before {trial}"), how, f"before {trial}")
        learner = trained(Learner(max_delay, told), before)
        watched += [learner.watch(job) for job in real[trial::pasts]]
    return watched


def worst(row: Row, base: Row) -> float:
    """The cost of `row` as a multiple of that of `base` in the family where it is highest."""
    return max(a / b for a, b in zip(row.costs, base.costs, strict=True))


def row_of_ours(jobs: int, past: int, how: str, max_delay: float = WIDE, pasts: int = PASTS) -> Row:
    """Our rule on all families."""
    return Row(f"{past} {how}", [ours(family, jobs, past, how, max_delay, pasts) for family in FAMILIES])


def row_of_best(jobs: int, max_gap: float = WIDE) -> Row:
    """The optimum on all families."""
    return Row("optimum", [best(family, durations(family, jobs, "measured"), max_gap) for family in FAMILIES])


def rows_of_others(jobs: int) -> list[Row]:
    """What is usual elsewhere."""
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
            real = telling(durations(family, jobs, "measured"), how, "measured")
            row.watched.append([watch(job, policy, told=how != "none") for job in real])
        rows.append(row)
    return rows


def drift(family: Family, factor: float, jobs: int) -> tuple[float, float, float]:
    """Cost after durations have suddenly changed: ours, exponential with cap 60 s, the optimum of the new ones."""
    learner = trained(Learner(WIDE), durations(family, 200, "before"))
    changed = durations(family, jobs, "measured", factor)
    watched = []
    for number, job in enumerate(changed, 1):
        watched.append(learner.watch(job))
        if number % 5 == 0:
            learner.learn()
    backoff = exponential(random.Random("drift"), 1, 60)
    others = [watch(job, backoff) for job in changed]
    return cost(watched), cost(others), cost(best(family, changed, WIDE, factor))


def timing() -> tuple[float, float]:
    """Processor time in ms: of a decision with full evidence (99th percentile), of making a history of 300 waits."""
    r = random.Random("timing")
    pasts = [
        DurationSample(d, d * 0.9, 1000, 0.5, d * 0.5) for d in (r.lognormvariate(7, 1) for _ in range(300))
    ]
    start = time.thread_time()
    history = History(pasts)
    made = (time.thread_time() - start) * 1000
    taken = []
    for _ in range(3_000):
        elapsed = r.uniform(0.1, 3_000)
        evidence = PollState(elapsed, 3, 1000, r.random(), elapsed * r.random())
        start = time.thread_time()
        next_poll_delay(evidence, 1.0, WIDE, history)
        taken.append((time.thread_time() - start) * 1000)
    return sorted(taken)[int(0.99 * len(taken))], made


@dataclass(frozen=True)
class Gate:
    """One promise, and how it stands."""

    name: str
    value: float
    limit: float

    @property
    def kept(self) -> bool:
        """Whether it is kept."""
        return self.value <= self.limit


def gates(
    best_row: Row, ten: Row, many: Row, fixed_row: Row, told: dict[str, Row], told_ten: dict[str, Row]
) -> list[Gate]:
    """What is promised of the rule.

    Args:
        best_row: the optimum.
        ten: ours after 10 jobs.
        many: ours after 200 jobs.
        fixed_row: every 60 s.
        told: ours after 200 jobs with progress told in each way that is no help.
        told_ten: the same after 10 jobs.
    """
    memoryless = [family.name for family in FAMILIES].index("memoryless")
    return [
        Gate("cost ÷ optimum, 200 past jobs", over(many, best_row), 1.10),
        Gate("cost ÷ optimum, 10 past jobs", over(ten, best_row), 1.25),
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
            Gate(f"{how} progress: cost ÷ none told, 200 past jobs", over(row, many), 1.10)
            for how, row in told.items()
        ),
        *(
            Gate(f"{how} progress: cost ÷ none told, 10 past jobs", over(row, ten), 1.10)
            for how, row in told_ten.items()
        ),
    ]


HOWS = [how for how in TELLING if how != "none"]
