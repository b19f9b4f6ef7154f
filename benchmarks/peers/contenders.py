"""The contenders: how the workers of each are started, and how they are given work."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from workers.broker.publisher import CLOUD_EVENT, Publisher
from workers.broker.publisher_connection import OutboundMessage
from workers.ledger.database import Database

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[2]
#: The programs of the other contenders' virtual environment.
PEER_BIN = ROOT / ".venv-peers" / "bin"
PROCESSES, THREADS = 2, 8
#: How long it may take to give work to a contender.
SEND_TIMEOUT_SECONDS = 900


@dataclass(frozen=True)
class Contender:
    """A tool that does the jobs.

    Attributes:
        key: a short name of letters only; job ids begin with it.
        title: the name in tables.
        waits: where a waiting job is kept.
        workers: one command line for each group of worker processes.
        script: its file in `apps`, which also sends work.
        waiting: how many jobs can be made to wait within some minutes.
        settings: additional environment variables.
        trials: the trials that it takes part in.
    """

    key: str
    title: str
    waits: str
    workers: tuple[tuple[str, ...], ...]
    script: str
    waiting: int = 100_000
    settings: tuple[tuple[str, str], ...] = ()
    trials: tuple[str, ...] = ("speed", "crash", "waiting")

    @property
    def ours(self) -> bool:
        """Whether it is kyb-workers."""
        return self.script == "ours.py"

    def prepare(self, environment: dict[str, str]) -> None:
        """Create the tables that it needs."""
        if self.ours:
            with closing(Database(environment["KYB_LEDGER_URL"])) as database:
                database.upgrade()
        elif self.key == "dbos":
            self._run_script(environment, ["prepare"], [])

    def send(self, environment: dict[str, str], ids: Iterable[str]) -> None:
        """Send it commands."""
        if self.ours:
            _commands(environment["KYB_BROKER_URL"], ids)
        else:
            self._run_script(environment, ["send"], ids)

    def wait(self, environment: dict[str, str], names: Iterable[str], seconds: float) -> float:
        """Send it vendor jobs to be polled in that many seconds; return when the last one was sent."""
        return float(self._run_script(environment, ["wait", str(seconds)], names).split()[-1])

    def _run_script(self, environment: dict[str, str], arguments: list[str], lines: Iterable[str]) -> str:
        done = subprocess.run(  # noqa: S603 - programs beside this file
            [PEER_BIN / "python", APPS / self.script, *arguments],
            env=environment,
            input="\n".join(lines),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=SEND_TIMEOUT_SECONDS,
        )
        return done.stdout


def _commands(url: str, ids: Iterable[str]) -> None:
    with closing(Publisher(url)) as publisher:
        publisher.publish(
            OutboundMessage("kyb.commands", "data8.start_job", json.dumps(_command(id)).encode(), CLOUD_EVENT)
            for id in ids
        )


def _command(id: str) -> dict[str, object]:
    data = {"workflow": "Echo", "name": id}
    return {"specversion": "1.0", "id": id, "source": "/benchmarks", "type": "data8.start_job", "data": data}


def _peer(*line: str) -> tuple[str, ...]:
    return (str(PEER_BIN / line[0]), *line[1:])


_OURS = ((sys.executable, str(APPS / "ours.py"), "worker"),) * PROCESSES

CONTENDERS = (
    Contender(
        "baseline", "baseline: pika + httpx", "the worker's memory",
        (_peer("python", str(APPS / "baseline.py"), "work"),) * PROCESSES, "baseline.py",
    ),
    Contender(
        "ours", "kyb-workers", "the ledger", _OURS, "ours.py",
    ),
    Contender(
        "steady", "kyb-workers, 1 poll/s", "the ledger", _OURS, "ours.py",
        settings=(("KYB_POLLING__MIN_DELAY", "1"), ("KYB_POLLING__MAX_DELAY", "1")), trials=("speed",),
    ),
    Contender(
        "dramatiq", "Dramatiq, retries", "the worker's memory",
        (_peer("dramatiq", "with_dramatiq", "--processes", str(PROCESSES), "--threads", str(THREADS)),),
        "with_dramatiq.py",
    ),
    Contender(
        "celery", "Celery, countdown", "queues of RabbitMQ",
        (_peer("celery", "-A", "with_celery", "worker", "--pool", "threads", "--concurrency", str(THREADS),
                "--loglevel", "warning", "--hostname", "one@%h"),
         _peer("celery", "-A", "with_celery", "worker", "--pool", "threads", "--concurrency", str(THREADS),
                "--loglevel", "warning", "--hostname", "two@%h")),
        "with_celery.py",
    ),
    Contender(
        "taskiq", "TaskIQ, delay", "a queue of RabbitMQ",
        (_peer("taskiq", "worker", "with_taskiq:broker", "--workers", str(PROCESSES), "--log-level", "WARNING"),),
        "with_taskiq.py",
    ),
    Contender(
        "dbos", "DBOS on PostgreSQL", "the worker's memory and its database",
        tuple(_peer("python", str(APPS / "with_dbos.py"), "work", f"executor-{n}") for n in range(PROCESSES)),
        "with_dbos.py", waiting=3_000,  # each is begun and put to sleep by a worker
    ),
)  # fmt: skip
