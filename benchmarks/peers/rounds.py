"""Three trials of a contender: how much a job costs, what a kill -9 does, what waiting costs."""

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

#: Jobs done before anything is measured: imports, pools, prepared statements, what is learned of durations.
WARM = 20
#: Seconds after the last call in which acknowledgements and records are written.
SETTLE = 1.0
#: Seconds within which all jobs must have ended.
PATIENCE = 180.0
#: Seconds after the last kill after which a job that has not ended is lost: the longest takes 20.
GIVEN_UP = 40.0
#: Seconds that the vendor takes to answer a start while workers are killed.
SLOW_START = 0.3
DAY = 86_400.0
#: A look that is so many seconds late is not waited for any longer.
NEVER_AFTER, NEVER = 30.0, float("inf")


def say(text: str) -> None:
    """Progress, for who watches."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201


@dataclass(frozen=True)
class Speed:
    """What the jobs of one round used."""

    jobs: int
    seconds: float
    usage: Usage
    memory: float
    looks: list[int] = field(repr=False)
    delays: list[float] = field(repr=False)


def speed(site: Site, installation: Installation, jobs: int, number: int) -> Speed:
    """Start the workers, warm them up, and let them do so many jobs; they are killed at the end."""
    installation.start()
    try:
        do(site, installation, f"{installation.contender.key}{number}w", WARM, seed=-1)
        time.sleep(SETTLE)
        before = installation.usage(counts_first=True)
        began = time.monotonic()
        ids = do(site, installation, f"{installation.contender.key}{number}x", jobs, seed=number)
        seconds = time.monotonic() - began
        resident = installation.memory()
        time.sleep(SETTLE)
        usage = installation.usage(counts_first=False).since(before)
    finally:
        installation.kill()
    looks, delays = outcome(site.vendor, ids)
    return Speed(jobs, seconds, usage, resident, looks, delays)


def do(site: Site, installation: Installation, prefix: str, jobs: int, seed: int) -> set[str]:
    """Have so many jobs done, with durations drawn from `seed` on; gives their ids."""
    site.vendor.drawn.deal(seed)
    ids = [f"{prefix}{n}" for n in range(jobs)]
    installation.contender.send(installation.environment, ids)
    left = site.vendor.await_fetched(set(ids), PATIENCE)
    if left:
        raise RuntimeError(
            f"{installation.contender.title}: {len(left)} of {jobs} have not ended; {installation.complaints()}"
        )
    return set(ids)


@dataclass(frozen=True)
class Crash:
    """What became of jobs whose workers were killed.

    Half of them have ids that the others take as names of vendor jobs as they are (`plain`); those of the other half
    get a random part.
    """

    jobs: int
    kills: int
    lost: int
    doubled: int
    plain_lost: int
    plain_doubled: int


def crash(site: Site, installation: Installation, jobs: int, kills: int) -> Crash:
    """Kill all workers while they work, start them again, and wait for the end.

    Each kill comes at another moment of the second after the first start: they are spread evenly over it, so that as
    many meet calls on their way for whoever begins all its jobs at once as for whoever does not.
    """
    vendor, chance = site.vendor, random.Random(7)
    prefix = installation.contender.key
    installation.start()
    try:
        do(site, installation, f"{prefix}w", 5, seed=-1)
        ids = [f"{prefix}{'xf' if n % 2 else PLAIN_NAMES}{n // 2}" for n in range(jobs)]
        chance.shuffle(ids)
        vendor.slow_starts(SLOW_START)
        for n in range(kills):
            asked = vendor.asked
            with ThreadPoolExecutor(1) as upstream:
                sent = upstream.submit(installation.contender.send, installation.environment, ids[n::kills])
                vendor.await_start(asked, 30.0)  # they work again
                time.sleep((n + chance.random()) / kills)
                installation.kill()
                sent.result()
            installation.start()
        left = vendor.await_fetched(set(ids), GIVEN_UP)
    finally:
        vendor.slow_starts(None)
        installation.kill()
    lost = [sum(kind in id for id in left) for kind in ("xf", PLAIN_NAMES)]
    doubled = [
        sum(n - 1 for n in vendor.starts(f"{prefix}{kind}").values() if n > 1) for kind in ("xf", PLAIN_NAMES)
    ]
    return Crash(jobs, kills, lost[0], doubled[0], lost[1], doubled[1])


@dataclass(frozen=True)
class Waiting:
    """What it costs that jobs wait. Memory in MB grown, times in seconds."""

    jobs: int
    made: float
    workers: float
    broker: float
    database: float
    late: list[float]
    restart: float


def waiting(site: Site, installation: Installation, jobs: int, probes: int = 3) -> Waiting:
    """Let jobs wait for a day, and see what becomes of ones that are due soon, before and after a restart."""
    contender = installation.contender
    installation.start()
    try:
        do(site, installation, f"{contender.key}w", 5, seed=-1)
        _settle(installation)
        before = _memories(site, installation)
        began = time.monotonic()
        if contender.ours:
            with closing(Database(installation.database_url)) as database:
                ledger = Ledger(database)
                wait(ledger, "far", [ledger.database.now() + DAY + n for n in range(jobs)])
        else:
            contender.wait(installation.environment, [f"far{n}" for n in range(jobs)], DAY)
        made = time.monotonic() - began
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
    grown = [b - a for a, b in zip(before, after, strict=True)]
    return Waiting(jobs, made, grown[0], grown[1], grown[2], late, restart)


def _memories(site: Site, installation: Installation) -> tuple[float, float, float]:
    return installation.memory(), memory(site.rabbitmq.pid), memory(site.postgres.pid)


def _settle(installation: Installation) -> None:
    """Until the workers' memory stands still."""
    last = 0.0
    while abs((now := installation.memory()) - last) > 1.0:
        last = now
        time.sleep(2.0)


def _probe(site: Site, installation: Installation, name: str) -> float:
    """Seconds by which a look that is due in 2 s comes late."""
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
    if not vendor.await_looks(name, 1, due_in + NEVER_AFTER):
        return NEVER
    return vendor.looks[name][0] - sent - due_in
