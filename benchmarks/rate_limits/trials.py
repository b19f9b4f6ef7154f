"""Trials with the simulator: many jobs polled by the product or by a baseline loop, under the same rate limit."""

from __future__ import annotations

import heapq
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count

from benchmarks.polling.policies import exponential
from benchmarks.polling.workloads import Family
from benchmarks.rate_limits.installation import DATASET, Installation, client, prepare
from benchmarks.rate_limits.simulation import Load, MostOverdue, simulate
from benchmarks.rate_limits.vendor import CountingVendor, Draw, peak
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ
from workers.ledger.records import DurationSample
from workers.rate_limits.limiter import WINDOW_SLACK_SECONDS
from workers.settings import Rate

#: How many times shorter than in production the vendor's jobs, the window of the rate limit and all pauses are.
TIME_SCALE = 20
#: The jobs that wait at the vendor, and the calls that it allows per minute.
LOAD = Load(100, 30)
RATE = Rate(calls=LOAD.calls, seconds=60 / TIME_SCALE)
#: The time over which the first jobs begin.
RAMP_UP_SECONDS = 1_200 / TIME_SCALE
#: How many jobs come before the measured ones.
WARM_UP_JOBS = 2 * LOAD.jobs
#: How long it may take until another job is found done.
PROGRESS_TIMEOUT_SECONDS = 120.0
#: The trial of windows: bounds of a job's duration, how many jobs wait, and how many windows are observed.
SHORT_JOB_SECONDS, SHORT_JOBS, WINDOWS = (2.0, 6.0), 60, 6


@dataclass(frozen=True)
class Measurement:
    """How some jobs were polled, in seconds scaled to production.

    Attributes:
        delays: the detection delay of each job, in seconds.
        polls: how many there were of each job.
        peak: the maximum number of calls in any window.
        rate: calls per minute.
    """

    delays: list[float] = field(repr=False)
    polls: list[int] = field(repr=False)
    peak: int
    rate: float

    @property
    def mean_delay(self) -> float:
        """The mean detection delay, in seconds."""
        return statistics.fmean(self.delays)

    @property
    def mean_polls(self) -> float:
        """The mean number of polls per job."""
        return statistics.fmean(self.polls)


@contextmanager
def servers() -> Iterator[tuple[RabbitMQ, Postgres]]:
    """Start RabbitMQ and PostgreSQL for the block."""
    with closing(RabbitMQ()) as rabbitmq, closing(Postgres()) as postgres:
        rabbitmq.start()
        postgres.start()
        yield rabbitmq, postgres


def learned(family: Family, jobs: int) -> list[DurationSample]:
    """Return samples of that many jobs of a family, as the product collects them in the simulation."""
    scheduler = MostOverdue()
    simulate(family, LOAD, scheduler, jobs, 0)
    return [shortened(sample) for sample in scheduler.samples]


def compare(
    rabbitmq: RabbitMQ, postgres: Postgres, family: Family, jobs: int, samples: Sequence[DurationSample]
) -> tuple[Measurement, Measurement]:
    """Return the measurements of the baseline loop and of the product, each at a vendor of its own at the same time.

    The first jobs are not measured: many of them are short, until enough slots hold long ones.

    Args:
        rabbitmq: the product's broker.
        postgres: its database.
        family: of the jobs.
        jobs: how many are measured.
        samples: waits of earlier jobs that the product knows.
    """
    with (
        ThreadPoolExecutor(1) as background,
        CountingVendor(durations(family)) as baseline_vendor,
        CountingVendor(durations(family)) as our_vendor,
    ):
        prepare(baseline_vendor)
        prepare(our_vendor)
        workers = Installation(rabbitmq, postgres, our_vendor, 2, RATE, TIME_SCALE)
        with closing(workers):
            workers.remember(samples)
            workers.start()
            baseline = background.submit(
                run_baseline, baseline_vendor, LOAD.jobs, lambda: len(measured(baseline_vendor, jobs)) < jobs
            )
            feed(
                our_vendor,
                workers,
                LOAD.jobs,
                RAMP_UP_SECONDS,
                lambda: len(measured(our_vendor, jobs)) < jobs,
            )
            baseline.result()
        return measurement(baseline_vendor, jobs), measurement(our_vendor, jobs)


def windows(rabbitmq: RabbitMQ, postgres: Postgres, workers: int) -> tuple[int, int]:
    """Return the peak of calls in a window and all calls, of workers with more to do than the rate limit allows."""
    with CountingVendor(lambda r: r.uniform(*SHORT_JOB_SECONDS)) as vendor:
        prepare(vendor)
        installation = Installation(rabbitmq, postgres, vendor, workers, RATE, TIME_SCALE)
        with closing(installation):
            installation.start()
            enough = RATE.calls * WINDOWS
            feed(vendor, installation, SHORT_JOBS, 0.0, lambda: len(vendor.calls) < enough)
        return peak(vendor.calls, RATE.seconds), len(vendor.calls)


def feed(
    vendor: CountingVendor, workers: Installation, jobs: int, ramp_up: float, unfinished: Callable[[], bool]
) -> None:
    """Keep that many jobs waiting at the vendor while unfinished; the first arrive over `ramp_up` seconds."""
    began, sent = time.monotonic(), 0
    while unfinished():
        detected = len(vendor.detected)
        arrived = min(jobs, 1 + int(jobs * (time.monotonic() - began) / ramp_up)) if ramp_up else jobs
        workers.send([f"job{n}" for n in range(sent, arrived + detected)])
        sent = arrived + detected
        timeout = ramp_up / jobs if arrived < jobs else PROGRESS_TIMEOUT_SECONDS
        if not vendor.await_detected(detected, timeout) and arrived == jobs:
            raise RuntimeError(f"no job was found done for {timeout:.0f} s; {workers.output()}")


def run_baseline(vendor: CountingVendor, jobs: int, unfinished: Callable[[], bool]) -> None:
    """Run the baseline loop: every job backs off on its own, up to a minute, behind a first-come limiter."""
    policy = exponential(random.Random("60"), 1, 60)
    numbers = count()
    calls: deque[float] = deque(maxlen=RATE.calls)
    started: dict[str, float] = {}
    polls: dict[str, int] = {}
    due = [(time.monotonic() + RAMP_UP_SECONDS * n / jobs, n, f"job{next(numbers)}") for n in range(jobs)]
    with closing(client(vendor)) as data8:
        while unfinished():
            at, order, name = heapq.heappop(due)
            free = calls[0] + RATE.seconds + WINDOW_SLACK_SECONDS if len(calls) == RATE.calls else 0.0
            time.sleep(max(at - time.monotonic(), free - time.monotonic(), 0.0))
            calls.append(time.monotonic())
            if name not in started:
                data8.jobs.create(name, "Echo", input_datasets={"Companies": DATASET})
                started[name], polls[name] = time.monotonic(), 0
            elif data8.jobs.get(name).finished:
                name = f"job{next(numbers)}"
                heapq.heappush(due, (time.monotonic(), order, name))
                continue
            else:
                polls[name] += 1
            elapsed = (time.monotonic() - started[name]) * TIME_SCALE
            pause = policy(elapsed, polls[name], None) / TIME_SCALE
            heapq.heappush(due, (time.monotonic() + pause, order, name))


def measured(vendor: CountingVendor, jobs: int) -> list[str]:
    """Return the measured jobs that have been found done."""
    started = list(vendor.durations.ends)[WARM_UP_JOBS : WARM_UP_JOBS + jobs]
    return [name for name in started if name in vendor.detected]


def measurement(vendor: CountingVendor, jobs: int) -> Measurement:
    """Return what the vendor recorded of the measured jobs."""
    names = measured(vendor, jobs)
    ends = vendor.durations.ends
    delays = [(vendor.detected[name] - ends[name]) * TIME_SCALE for name in names]
    polls = [len(vendor.polls[name]) for name in names]
    minutes = (max(vendor.calls) - min(vendor.calls)) * TIME_SCALE / 60
    return Measurement(delays, polls, peak(vendor.calls, RATE.seconds), len(vendor.calls) / minutes)


def durations(family: Family) -> Draw:
    """Return a source of durations of that family, shortened."""
    return lambda r: max(family.draw(r)[0], 1.0) / TIME_SCALE


def shortened(sample: DurationSample) -> DurationSample:
    """Return the sample with its times shortened."""
    return DurationSample(
        sample.ended / TIME_SCALE, sample.after / TIME_SCALE, began=sample.began / TIME_SCALE
    )
