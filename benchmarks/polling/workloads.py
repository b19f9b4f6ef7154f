"""Families of vendor jobs, and vendors that report progress honestly or not. All of it is seeded."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

#: Bounds of a job's duration.
DURATION_MIN_SECONDS, DURATION_MAX_SECONDS = 1.0, 43_200.0

#: Draws a duration in seconds, and the rows if they are known.
Draw = Callable[[random.Random], tuple[float, int | None]]


@dataclass(frozen=True)
class Family:
    """Jobs whose durations follow one distribution."""

    name: str
    draw: Draw


@dataclass(frozen=True)
class VendorJob:
    """One job at the vendor.

    Attributes:
        duration: seconds.
        size: rows, if known.
        queue: share of the duration before progress begins.
        bend: progress is time to the power of this.
        stalls: whether progress stays at 99 % from three fifths of the time on.
        lie: what a lying vendor reports, by time; None for an honest one.
    """

    duration: float
    size: int | None
    queue: float = 0.0
    bend: float = 1.0
    stalls: bool = False
    lie: Callable[[float], float] | None = None

    def share(self, elapsed: float) -> float:
        """Return the share done that the vendor reports, in steps of 5 %."""
        time = min(elapsed / self.duration, 0.999)
        if self.lie is not None:
            return self.lie(time)
        if time <= self.queue:
            return 0.0
        done = math.pow((time - self.queue) / (1 - self.queue), self.bend)
        if self.stalls:
            done = min(done / 0.6, 0.99)
        return 0.99 if self.stalls and done >= 0.99 else math.floor(done * 20) / 20


def _lognormal(median: float, spread: float) -> Draw:
    return lambda r: (r.lognormvariate(math.log(median), spread), None)


def _bimodal(r: random.Random) -> tuple[float, None]:
    middle = 45.0 if r.random() < 0.5 else 2400.0
    return r.lognormvariate(math.log(middle), 0.25), None


def _sized(r: random.Random) -> tuple[float, int]:
    rows = int(math.exp(r.uniform(math.log(500), math.log(500_000))))
    return (20 + 0.01 * rows) * r.lognormvariate(0, 0.15), rows


FAMILIES = (
    Family("short", _lognormal(120, 0.6)),
    Family("long", _lognormal(1500, 0.8)),
    Family("bimodal", _bimodal),
    Family("heavy", lambda r: (60 * r.paretovariate(1.3), None)),
    Family("memoryless", lambda r: (r.expovariate(1 / 600), None)),
    Family("regular", lambda r: (r.gauss(900, 90), None)),
    Family("sized", _sized),
    Family("queued", lambda r: (r.uniform(0, 600) + r.lognormvariate(math.log(300), 0.4), None)),
)


def durations(family: Family, count: int, seed: str, factor: float = 1.0) -> list[VendorJob]:
    """Return jobs of a family, `factor` times as long, whose vendor reports no progress."""
    r = random.Random(f"{family.name} {seed}")
    jobs = []
    for _ in range(count):
        seconds, size = family.draw(r)
        jobs.append(VendorJob(min(max(seconds * factor, DURATION_MIN_SECONDS), DURATION_MAX_SECONDS), size))
    return jobs


def _honest(job: VendorJob, r: random.Random) -> VendorJob:
    return VendorJob(job.duration, job.size, queue=r.uniform(0, 0.1))


def _bent(job: VendorJob, r: random.Random) -> VendorJob:
    return VendorJob(
        job.duration,
        job.size,
        queue=r.uniform(0, 0.3),
        bend=math.exp(r.uniform(-0.5, 0.5)),
        stalls=r.random() < 0.15,
    )


def _stalling(job: VendorJob, r: random.Random) -> VendorJob:
    return VendorJob(job.duration, job.size, queue=r.uniform(0, 0.1), stalls=r.random() < 0.5)


def _lying(job: VendorJob, r: random.Random) -> VendorJob:
    base, waver = r.random(), r.uniform(5, 40)
    lies = (
        lambda _: base,  # always the same
        lambda t: 0.01 + 0.98 * abs(math.sin(base + waver * t)),  # up and down
        lambda t: max(0.95 - t * 0.9, 0.01),  # backwards
        lambda t: min(0.02 + t * base / 4, 0.99),  # much too slow
        lambda t: min(0.2 + t * 6, 0.94),  # much too fast
    )
    return VendorJob(job.duration, job.size, lie=r.choice(lies))


#: How a vendor reports progress; `none` is not at all.
REPORTING: dict[str, Callable[[VendorJob, random.Random], VendorJob] | None] = {
    "none": None,
    "honest": _honest,
    "bent": _bent,
    "stalling": _stalling,
    "lying": _lying,
}


def reporting(jobs: list[VendorJob], how: str, seed: str) -> list[VendorJob]:
    """Return the same jobs at a vendor that reports progress in that way."""
    change = REPORTING[how]
    r = random.Random(f"{how} {seed}")
    return jobs if change is None else [change(job, r) for job in jobs]
