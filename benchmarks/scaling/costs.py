"""Runs jobs through a real installation and reads from the kernel and from PostgreSQL what they used."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg

from messages.envelope import parse
from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.chaos.installation import Installation
from tests.support.scenario import command_body
from tests.support.scenarios import SCENARIOS
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger

_TICK = os.sysconf("SC_CLK_TCK")
#: Jobs that are run before anything is counted.
WARM_UP = 20


@dataclass(frozen=True)
class Sample:
    """What so many jobs used.

    Attributes:
        jobs: how many.
        turns: of all of them.
        seconds: from the first to the last.
        cpu: processor seconds of `worker`, `postgresql` and `rabbitmq`.
        commits: transactions of PostgreSQL.
        wal: bytes of its log.
        stored: bytes that the ledger has grown by.
        messages: turns and events that went through RabbitMQ.
    """

    jobs: int
    turns: int
    seconds: float
    cpu: dict[str, float]
    commits: int
    wal: int
    stored: int
    messages: int


class Bench:
    """RabbitMQ, PostgreSQL, two workers and the vendors' stand-ins, which are not counted."""

    def __init__(self, folder: Path, rabbitmq: RabbitMQ, postgres: Postgres, state: SandboxState) -> None:
        self._state = state
        self._plant = Installation(folder, Sandbox(state=state), rabbitmq, postgres)
        self._plant.settings = {"KYB_POLLING__MIN_DELAY": "0.5", "KYB_POLLING__MAX_DELAY": "0.5"}
        self._folder = folder
        self._roots = {"rabbitmq": rabbitmq.port, "postgresql": postgres.port}
        self._number = 0

    def run(self, jobs: int, vendor_seconds: float) -> Sample:
        """Have so many jobs done, whose vendor takes so long; each looks twice a second."""
        self._state.job_seconds = vendor_seconds
        with closing(Database(self._plant.ledger_url)) as database, self._plant.sandbox as sandbox:
            database.upgrade()
            ledger = Ledger(database)
            self._plant.workers.start()
            data = SCENARIOS["data8.start_job"].data(self._folder, sandbox)
            self._play(ledger, data, WARM_UP)
            before, began = self._reading(), time.monotonic()
            ids = self._play(ledger, data, jobs)
            seconds = time.monotonic() - began
            time.sleep(1.5)  # PostgreSQL's counters follow within a second
            after = self._reading()
            done = [job for job in ledger.queries.jobs(limit=jobs) if job.id in ids]
        turns = sum(job.turns for job in done)
        events = int(self._ask("SELECT count(*) FROM event WHERE job_id = ANY(%s)", list(ids)))
        used = {name: after[name] - before[name] for name in after}
        cpu = {name: used[name] for name in ("worker", "postgresql", "rabbitmq")}
        return Sample(
            jobs,
            turns,
            seconds,
            cpu,
            int(used["commits"]),
            int(used["wal"]),
            int(used["stored"]),
            turns + events,
        )

    def close(self) -> None:
        """End the workers."""
        self._plant.close()

    def _play(self, ledger: Ledger, data: dict[str, object], jobs: int) -> set[str]:
        ids = []
        for _ in range(jobs):
            self._number += 1
            ids.append(f"job-{self._number}")
            body = command_body("data8.start_job", ids[-1], data)
            ledger.jobs.accept(parse(body), 86_400.0, handed=False)
        left = set(ids)
        while left:
            left -= {job.id for job in ledger.queries.jobs(statuses=["completed"], limit=jobs)}
            time.sleep(0.3)
        return set(ids)

    def _reading(self) -> dict[str, float]:
        workers = [worker.pid for worker in self._plant.workers.running]
        return {
            "worker": sum(map(_tree_seconds, workers)),
            "postgresql": _tree_seconds(_listener(self._roots["postgresql"])),
            "rabbitmq": _tree_seconds(_listener(self._roots["rabbitmq"])),
            "commits": float(
                self._ask("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
            ),
            "wal": float(self._ask("SELECT pg_current_wal_lsn() - '0/0'")),
            "stored": float(self._ask("SELECT pg_database_size(current_database())")),
        }

    def _ask(self, query: str, *values: object) -> float:
        with psycopg.connect(self._plant.ledger_url, autocommit=True) as connection:
            row = connection.execute(query.encode(), values or None).fetchone()
            return float(row[0]) if row is not None else 0.0


def _tree_seconds(root: int) -> float:
    """Processor seconds of a process, its children, and those that they have waited for."""
    return sum(_seconds(pid) for pid in _descendants(root))


def _seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICK


def _descendants(root: int) -> Iterator[int]:
    yield root
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        for child in task.read_text().split():
            yield from _descendants(int(child))


def _listener(port: int) -> int:
    """The process that listens on a port of 127.0.0.1."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
            link = f"socket:[{fields[9]}]"
            for handle in Path("/proc").glob("[0-9]*/fd/*"):
                try:
                    if str(handle.readlink()) == link:
                        return int(handle.parts[2])
                except OSError:
                    continue
    raise LookupError(f"nobody listens on port {port}")
