"""Runs jobs through a real installation and reads their resource usage from the kernel and from PostgreSQL."""

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
WARM_UP_JOBS = 20


@dataclass(frozen=True)
class Sample:
    """The resources that some jobs used.

    Attributes:
        jobs: how many.
        turns: of all of them.
        seconds: from the first to the last.
        cpu: CPU seconds of `worker`, `postgresql` and `rabbitmq`.
        commits: transactions of PostgreSQL.
        wal: bytes of its write-ahead log.
        stored: growth of the ledger, in bytes.
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


class MeasuredInstallation:
    """RabbitMQ, PostgreSQL and two workers; the sandbox is not counted."""

    def __init__(self, folder: Path, rabbitmq: RabbitMQ, postgres: Postgres, state: SandboxState) -> None:
        self._state = state
        self._installation = Installation(folder, Sandbox(state=state), rabbitmq, postgres)
        self._installation.settings = {"KYB_POLLING__MIN_DELAY": "0.5", "KYB_POLLING__MAX_DELAY": "0.5"}
        self._folder = folder
        self._roots = {"rabbitmq": rabbitmq.port, "postgresql": postgres.port}
        self._number = 0

    def run(self, jobs: int, vendor_seconds: float) -> Sample:
        """Run that many jobs at a vendor that takes that long; each polls twice a second."""
        self._state.job_seconds = vendor_seconds
        with (
            closing(Database(self._installation.ledger_url)) as database,
            self._installation.sandbox as sandbox,
        ):
            database.upgrade()
            ledger = Ledger(database)
            self._installation.workers.start()
            data = SCENARIOS["data8.start_job"].data(self._folder, sandbox)
            self._run(ledger, data, WARM_UP_JOBS)
            before, began = self._reading(), time.monotonic()
            ids = self._run(ledger, data, jobs)
            seconds = time.monotonic() - began
            time.sleep(1.5)  # PostgreSQL's counters follow within a second
            after = self._reading()
            done = [job for job in ledger.queries.jobs(limit=jobs) if job.id in ids]
        turns = sum(job.turns for job in done)
        events = int(self._query("SELECT count(*) FROM event WHERE job_id = ANY(%s)", list(ids)))
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
        """Stop the workers."""
        self._installation.close()

    def _run(self, ledger: Ledger, data: dict[str, object], jobs: int) -> set[str]:
        ids = []
        for _ in range(jobs):
            self._number += 1
            ids.append(f"job-{self._number}")
            body = command_body("data8.start_job", ids[-1], data)
            ledger.jobs.accept(parse(body), 86_400.0, claim_first_turn=False)
        remaining = set(ids)
        while remaining:
            remaining -= {job.id for job in ledger.queries.jobs(statuses=["completed"], limit=jobs)}
            time.sleep(0.3)
        return set(ids)

    def _reading(self) -> dict[str, float]:
        workers = [worker.pid for worker in self._installation.workers.running]
        return {
            "worker": sum(map(_tree_seconds, workers)),
            "postgresql": _tree_seconds(_listener(self._roots["postgresql"])),
            "rabbitmq": _tree_seconds(_listener(self._roots["rabbitmq"])),
            "commits": float(
                self._query("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
            ),
            "wal": float(self._query("SELECT pg_current_wal_lsn() - '0/0'")),
            "stored": float(self._query("SELECT pg_database_size(current_database())")),
        }

    def _query(self, query: str, *values: object) -> float:
        with psycopg.connect(self._installation.ledger_url, autocommit=True) as connection:
            row = connection.execute(query.encode(), values or None).fetchone()
            return float(row[0]) if row is not None else 0.0


def _tree_seconds(root: int) -> float:
    """Return the CPU seconds of a process, its children, and those that have ended."""
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
    """Return the process that listens on a port of 127.0.0.1."""
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
    raise LookupError(f"no process listens on port {port}")
