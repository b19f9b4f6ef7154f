"""Three trials of a contender: the cost of a job, the effect of kill -9, the cost of waiting."""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

from benchmarks.peers.processes import memory
from benchmarks.peers.site import PLAIN_NAMES, Installation, Site, Usage
from benchmarks.peers.vendor import outcome
from benchmarks.waiting.waits import lateness, wait
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger

#: Jobs done before anything is measured: imports, pools, prepared statements, the history of durations.
WARM_UP_JOBS = 20
#: After the last call, acknowledgements and records are still written.
SETTLE_SECONDS = 1.0
#: How long all jobs may take.
JOBS_TIMEOUT_SECONDS = 180.0
#: A job that has not ended this long after the last kill is lost: the longest takes 20 s.
LOST_AFTER_SECONDS = 40.0
#: How long the vendor takes to answer a start while workers are killed.
SLOW_START_SECONDS = 0.3
DAY_SECONDS = 86_400.0
#: A poll that is later than this is not awaited any longer.
LATENESS_LIMIT_SECONDS, NEVER = 30.0, float("inf")


def say(text: str) -> None:
    """Print progress to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201


@dataclass(frozen=True)
class Speed:
    """The resources that the jobs of one round used."""

    jobs: int
    seconds: float
    usage: Usage
    memory: float
    polls: list[int] = field(repr=False)
    delays: list[float] = field(repr=False)


def speed(site: Site, installation: Installation, jobs: int, number: int) -> Speed:
    """Start the workers, warm them up, let them do that many jobs, and kill them."""
    installation.start()
    try:
        do(site, installation, f"{installation.contender.key}{number}w", WARM_UP_JOBS, seed=-1)
        time.sleep(SETTLE_SECONDS)
        before = installation.usage(counts_first=True)
        began = time.monotonic()
        ids = do(site, installation, f"{installation.contender.key}{number}x", jobs, seed=number)
        seconds = time.monotonic() - began
        resident = installation.memory()
        time.sleep(SETTLE_SECONDS)
        usage = installation.usage(counts_first=False).since(before)
    finally:
        installation.kill()
    polls, delays = outcome(site.vendor, ids)
    return Speed(jobs, seconds, usage, resident, polls, delays)


def do(site: Site, installation: Installation, prefix: str, jobs: int, seed: int) -> set[str]:
    """Have that many jobs done, with durations drawn from a seed; return their ids."""
    site.vendor.durations.reseed(seed)
    ids = [f"{prefix}{n}" for n in range(jobs)]
    installation.contender.send(installation.environment, ids)
    remaining = site.vendor.await_fetched(set(ids), JOBS_TIMEOUT_SECONDS)
    if remaining:
        raise RuntimeError(
            f"{installation.contender.title}: {len(remaining)} of {jobs} have not ended; {installation.output_tail()}"
        )
    return set(ids)


@dataclass(frozen=True)
class Crash:
    """The outcome of jobs whose workers were killed.

    The other contenders use the ids of one half as names of vendor jobs (`plain`); those of the other half get a
    random part.
    """

    jobs: int
    kills: int
    lost: int
    doubled: int
    plain_lost: int
    plain_doubled: int


def crash(site: Site, installation: Installation, jobs: int, kills: int) -> Crash:
    """Kill all workers while they work, start them again, and wait for the end.

    Each kill comes at another moment of the second after the first start. They are spread evenly, so a contender that
    begins all its jobs at once is hit during calls as often as one that does not.
    """
    vendor, chance = site.vendor, random.Random(7)
    prefix = installation.contender.key
    installation.start()
    try:
        do(site, installation, f"{prefix}w", 5, seed=-1)
        ids = [f"{prefix}{'xf' if n % 2 else PLAIN_NAMES}{n // 2}" for n in range(jobs)]
        chance.shuffle(ids)
        vendor.slow_starts(SLOW_START_SECONDS)
        for n in range(kills):
            starts = vendor.start_calls
            with ThreadPoolExecutor(1) as caller:
                sent = caller.submit(installation.contender.send, installation.environment, ids[n::kills])
                vendor.await_start(starts, 30.0)  # they work again
                time.sleep((n + chance.random()) / kills)
                installation.kill()
                sent.result()
            installation.start()
        remaining = vendor.await_fetched(set(ids), LOST_AFTER_SECONDS)
    finally:
        vendor.slow_starts(None)
        installation.kill()
    lost = [sum(kind in id for id in remaining) for kind in ("xf", PLAIN_NAMES)]
    doubled = [
        sum(n - 1 for n in vendor.starts(f"{prefix}{kind}").values() if n > 1) for kind in ("xf", PLAIN_NAMES)
    ]
    return Crash(jobs, kills, lost[0], doubled[0], lost[1], doubled[1])


@dataclass(frozen=True)
class Waiting:
    """The cost of waiting jobs: growth of memory in MB, lateness in seconds."""

    jobs: int
    workers: float
    broker: float
    database: float
    lateness: list[float]
    restart: float


def waiting(site: Site, installation: Installation, jobs: int, probes: int = 3) -> Waiting:
    """Let jobs wait for a day, and measure how late others are that are due soon, before and after a restart."""
    contender = installation.contender
    installation.start()
    try:
        do(site, installation, f"{contender.key}w", 5, seed=-1)
        _settle(installation)
        before = _memories(site, installation)
        if contender.ours:
            with closing(Database(installation.database_url)) as database:
                ledger = Ledger(database)
                wait(ledger, "far", [ledger.database.now() + DAY_SECONDS + n for n in range(jobs)])
        else:
            contender.wait(installation.environment, [f"far{n}" for n in range(jobs)], DAY_SECONDS)
        _settle(installation)
        after = _memories(site, installation)
        late: list[float] = []
        while len(late) < probes and NEVER not in late:
            late.append(_probe(site, installation, f"soon{len(late)}"))
        installation.kill()
        installation.start()
        restart = _probe(site, installation, "again")
    finally:
        installation.kill()
    growth = [b - a for a, b in zip(before, after, strict=True)]
    return Waiting(jobs, growth[0], growth[1], growth[2], late, restart)


def _memories(site: Site, installation: Installation) -> tuple[float, float, float]:
    return installation.memory(), memory(site.rabbitmq.pid), memory(site.postgres.pid)


def _settle(installation: Installation) -> None:
    """Wait until the workers' memory is stable."""
    last = 0.0
    while abs((now := installation.memory()) - last) > 1.0:
        last = now
        time.sleep(2.0)


def _probe(site: Site, installation: Installation, name: str) -> float:
    """Return the lateness of a poll that is due in 2 s, in seconds."""
    due_in = 2.0
    if installation.contender.ours:
        with closing(Database(installation.database_url)) as database:
            ledger = Ledger(database)
            due = [ledger.database.now() + due_in]
            wait(ledger, name, due, end=True)
            return lateness(ledger, name, due)[0]
    vendor = site.vendor
    name = f"{installation.contender.key}{name}"
    site.start_jobs([name])
    sent = installation.contender.wait(installation.environment, [name], due_in)
    if not vendor.await_polls(name, 1, due_in + LATENESS_LIMIT_SECONDS):
        return NEVER
    return vendor.polls[name][0] - sent - due_in
