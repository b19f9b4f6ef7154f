"""Trials at the stand-in: a crowd of jobs watched by the product or by a bare loop, all behind the same budget."""

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

from benchmarks.budget.simulation import Latest, Load, watch_all
from benchmarks.budget.site import DATASET, Installation, client, prepare
from benchmarks.budget.vendor import Counting, Draw, most_in_a_window
from benchmarks.polling.policies import exponential
from benchmarks.polling.workloads import Family
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ
from workers.ledger.records import DurationSample
from workers.rate_limits.limiter import WINDOW_SLACK_SECONDS
from workers.settings import Rate

#: The vendor's jobs, the budget's window and all pauses are so many times shorter than in earnest.
SHORTER = 20
#: What waits at the vendor, and the calls that it allows in a minute.
CROWD = Load(100, 30)
RATE = Rate(calls=CROWD.calls, seconds=60 / SHORTER)
#: Seconds over which the first jobs of a crowd begin.
BEGIN = 1_200 / SHORTER
#: Jobs before those that are told of.
BEFORE = 2 * CROWD.jobs
#: Seconds within which another job must have been found done.
PATIENCE = 120.0
#: The trial of windows: seconds of a job, jobs that wait, and windows that are watched.
SHORT_JOB, SHORT_JOBS, WINDOWS = (2.0, 6.0), 60, 6


@dataclass(frozen=True)
class Watching:
    """How the watching of some jobs went; seconds as they would be in earnest.

    Attributes:
        delays: seconds from each job's end to the look that found it out.
        looks: at each job.
        peak: the most calls in any window.
        pace: calls a minute.
    """

    delays: list[float] = field(repr=False)
    looks: list[int] = field(repr=False)
    peak: int
    pace: float

    @property
    def delay(self) -> float:
        """Mean seconds."""
        return statistics.fmean(self.delays)

    @property
    def look(self) -> float:
        """Mean looks at a job."""
        return statistics.fmean(self.looks)


@contextmanager
def servers() -> Iterator[tuple[RabbitMQ, Postgres]]:
    """RabbitMQ and PostgreSQL."""
    with closing(RabbitMQ()) as rabbitmq, closing(Postgres()) as postgres:
        rabbitmq.start()
        postgres.start()
        yield rabbitmq, postgres


def learned(family: Family, jobs: int) -> list[DurationSample]:
    """Waits of so many jobs of that family, as the product has watched them in the simulation with the same load."""
    watcher = Latest()
    watch_all(family, CROWD, watcher, jobs, 0)
    return [shortened(past) for past in watcher.pasts]


def compare(
    rabbitmq: RabbitMQ, postgres: Postgres, family: Family, jobs: int, pasts: Sequence[DurationSample]
) -> tuple[Watching, Watching]:
    """A bare loop and the product watch a crowd of that family at the same time, each at a vendor of its own.

    The first jobs are not told of: short ones are many among them, until enough slots hold long ones.

    Args:
        rabbitmq: the product's broker.
        postgres: its database.
        family: what the jobs are like.
        jobs: that are told of.
        pasts: what the product has seen of earlier jobs.
    """
    with (
        ThreadPoolExecutor(1) as beside,
        Counting(drawing(family)) as theirs,
        Counting(drawing(family)) as ours,
    ):
        prepare(theirs)
        prepare(ours)
        workers = Installation(rabbitmq, postgres, ours, 2, RATE, SHORTER)
        with closing(workers):
            workers.remember(pasts)
            workers.start()
            bare = beside.submit(loop, theirs, CROWD.jobs, lambda: len(measured(theirs, jobs)) < jobs)
            keep(ours, workers, CROWD.jobs, BEGIN, lambda: len(measured(ours, jobs)) < jobs)
            bare.result()
        return watching(theirs, jobs), watching(ours, jobs)


def windows(rabbitmq: RabbitMQ, postgres: Postgres, workers: int) -> tuple[int, int]:
    """So many workers with more to do than the budget allows: most calls in a window, and calls in all."""
    with Counting(lambda r: r.uniform(*SHORT_JOB)) as vendor:
        prepare(vendor)
        installation = Installation(rabbitmq, postgres, vendor, workers, RATE, SHORTER)
        with closing(installation):
            installation.start()
            enough = RATE.calls * WINDOWS
            keep(vendor, installation, SHORT_JOBS, 0.0, lambda: len(vendor.calls) < enough)
        return most_in_a_window(vendor.calls, RATE.seconds), len(vendor.calls)


def keep(
    vendor: Counting, workers: Installation, jobs: int, begin: float, wanted: Callable[[], bool]
) -> None:
    """Keep so many jobs waiting at the vendor while that is wanted; the first come over `begin` seconds."""
    began, sent = time.monotonic(), 0
    while wanted():
        found = len(vendor.found)
        come = min(jobs, 1 + int(jobs * (time.monotonic() - began) / begin)) if begin else jobs
        workers.send([f"job{n}" for n in range(sent, come + found)])
        sent = come + found
        if not vendor.await_found(found, begin / jobs if come < jobs else PATIENCE) and come == jobs:
            raise RuntimeError(f"no job was found done for {PATIENCE:.0f} s; {workers.complaints()}")


def loop(vendor: Counting, jobs: int, wanted: Callable[[], bool]) -> None:
    """A bare loop: every job backs off by itself, up to a minute, behind a limiter that serves who came first."""
    policy = exponential(random.Random("60"), 1, 60)
    numbers = count()
    made: deque[float] = deque(maxlen=RATE.calls)
    started: dict[str, float] = {}
    looks: dict[str, int] = {}
    due = [(time.monotonic() + BEGIN * n / jobs, n, f"job{next(numbers)}") for n in range(jobs)]
    with closing(client(vendor)) as data8:
        while wanted():
            at, order, name = heapq.heappop(due)
            free = made[0] + RATE.seconds + WINDOW_SLACK_SECONDS if len(made) == RATE.calls else 0.0
            time.sleep(max(at - time.monotonic(), free - time.monotonic(), 0.0))
            made.append(time.monotonic())
            if name not in started:
                data8.jobs.create(name, "Echo", input_datasets={"Companies": DATASET})
                started[name], looks[name] = time.monotonic(), 0
            elif data8.jobs.get(name).finished:
                name = f"job{next(numbers)}"
                heapq.heappush(due, (time.monotonic(), order, name))
                continue
            else:
                looks[name] += 1
            elapsed = (time.monotonic() - started[name]) * SHORTER
            pause = policy(elapsed, looks[name], None) / SHORTER
            heapq.heappush(due, (time.monotonic() + pause, order, name))


def measured(vendor: Counting, jobs: int) -> list[str]:
    """Of the jobs that are told of, those that have been found done."""
    started = list(vendor.drawn.ends)[BEFORE : BEFORE + jobs]
    return [name for name in started if name in vendor.found]


def watching(vendor: Counting, jobs: int) -> Watching:
    """How it went."""
    names = measured(vendor, jobs)
    ends = vendor.drawn.ends
    delays = [(vendor.found[name] - ends[name]) * SHORTER for name in names]
    looks = [len(vendor.looks[name]) for name in names]
    minutes = (max(vendor.calls) - min(vendor.calls)) * SHORTER / 60
    return Watching(delays, looks, most_in_a_window(vendor.calls, RATE.seconds), len(vendor.calls) / minutes)


def drawing(family: Family) -> Draw:
    """Durations of that family as they are here."""
    return lambda r: max(family.draw(r)[0], 1.0) / SHORTER


def shortened(past: DurationSample) -> DurationSample:
    """A wait as it would have been here."""
    return DurationSample(past.ended / SHORTER, past.after / SHORTER, began=past.began / SHORTER)
