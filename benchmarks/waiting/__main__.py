"""`python -m benchmarks.waiting`: measure what waiting jobs cost, and how late their turns are; exit 1 if a bound fails.

`--write FOLDER` writes the tables into `waiting.md` there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.page import stamp, write
from benchmarks.waiting.process import cpu_share, resident
from benchmarks.waiting.waits import analyze, lateness, wait
from sandbox import Sandbox
from tests.chaos.installation import Installation
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ
from workers.broker.publisher import Publisher
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger

DAY_SECONDS = 86_400.0
#: How long an idle worker is measured.
IDLE_SECONDS = 10.0


@dataclass(frozen=True)
class Measure:
    """A measured value and its bound, if it has one."""

    name: str
    value: float
    unit: str
    bound: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the value is within its bound."""
        return self.bound is None or self.value <= self.bound


class Trial:
    """An installation whose ledger is filled with waiting jobs.

    Args:
        installation: RabbitMQ and PostgreSQL, or the embedded default.
        jobs: how many wait.
        rate: how many turns per second are due for a while.
    """

    def __init__(self, installation: Installation, jobs: int, rate: int) -> None:
        self._installation = installation
        self._jobs = jobs
        self._rate = rate
        self.measures: list[Measure] = []

    def run(self) -> list[Measure]:
        """Return all measures."""
        installation = self._installation
        with closing(Database(installation.ledger_url)) as database:
            database.upgrade()
            ledger = Ledger(database)
            installation.workers.start()
            self._warm(ledger)
            before = resident(self._pid)
            self._add(
                "CPU share of an idle worker, nothing waiting",
                100 * cpu_share(self._pid, IDLE_SECONDS),
                "%",
                5.0,
            )
            now = ledger.database.now()
            wait(ledger, "far", [now + DAY_SECONDS + n for n in range(self._jobs)])
            analyze(ledger)
            self._add(
                f"the same with {self._jobs:,} jobs waiting",
                100 * cpu_share(self._pid, IDLE_SECONDS),
                "%",
                5.0,
            )
            self._add("growth of the worker's memory", resident(self._pid) - before, "MB", 5.0)
            self._soon(ledger)
            self._many(ledger)
            self._add("growth of the worker's memory after that", resident(self._pid) - before, "MB")
            if not installation.embedded:
                with closing(Publisher(installation.amqp_url)) as publisher:
                    messages = sum(
                        publisher.queue_depth(f"kyb.{vendor}") for vendor in ("data8", "creditsafe", "sayari")
                    )
                self._add("messages in RabbitMQ's queues", messages, "", 0)
            self._after("kill -9 of a worker, until a due turn has ended", ledger, self._kill, 5.0)
            if not installation.embedded:
                self._after(
                    "a restart of RabbitMQ, once it is back, until a due turn has ended",
                    ledger,
                    installation.rabbitmq.restart,
                    15.0,
                )
        return self.measures

    @property
    def _pid(self) -> int:
        return self._installation.workers.running[0].pid

    def _add(self, name: str, value: float, unit: str, bound: float | None = None) -> None:
        self.measures.append(Measure(name, value, unit, bound))
        print(f"{name}: {value:.2f} {unit}", file=sys.stderr, flush=True)  # noqa: T201 - progress

    def _warm(self, ledger: Ledger) -> None:
        due = [ledger.database.now()] * 200
        wait(ledger, "warm", due, end=True)
        lateness(ledger, "warm", due)

    def _soon(self, ledger: Ledger) -> None:
        seconds = []
        for number in range(20):
            due = [ledger.database.now() + 1.0]
            wait(ledger, f"soon{number}", due, end=True)
            seconds += lateness(ledger, f"soon{number}", due)
        self._add("lateness of a turn due in 1 s, worst of 20", max(seconds), "s", 0.5)

    def _many(self, ledger: Ledger) -> None:
        start = ledger.database.now() + 3.0
        due = [start + n / self._rate for n in range(self._rate * 20)]
        wait(ledger, "many", due, end=True)
        seconds = sorted(lateness(ledger, "many", due))
        name = f"{self._rate} turns per second for 20 s: lateness"
        self._add(f"{name}, median", seconds[len(seconds) // 2], "s")
        self._add(f"{name}, 99th percentile", seconds[int(0.99 * len(seconds))], "s", 0.5)

    def _kill(self) -> None:
        self._installation.workers.kill_one(0)

    def _after(self, what: str, ledger: Ledger, disturb: Callable[[], None], bound: float) -> None:
        disturb()
        name = f"after{len(self.measures)}"
        due = [ledger.database.now()]
        wait(ledger, name, due, end=True)
        self._add(f"after {what}", lateness(ledger, name, due)[0], "s", bound)


def main() -> int:
    """Run everything; return 0 if all bounds are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000, help="waiting jobs on PostgreSQL")
    parser.add_argument("--write", type=Path, help="folder of waiting.md")
    options = parser.parse_args()
    tables = []
    kept = True
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        with closing(RabbitMQ()) as rabbitmq, closing(Postgres()) as postgres:
            rabbitmq.start()
            postgres.start()
            installation = Installation(Path(folder, "servers"), sandbox, rabbitmq, postgres)
            tables.append(
                (
                    f"RabbitMQ and PostgreSQL, two workers, {options.jobs:,} jobs waiting",
                    _trial(installation, options.jobs, 200),
                )
            )
        installation = Installation(Path(folder, "embedded"), sandbox)
        few = options.jobs // 10
        tables.append(
            (f"Embedded broker and SQLite, one process, {few:,} jobs waiting", _trial(installation, few, 50))
        )
    text = [f"{stamp()}, two cores."]
    for title, measures in tables:
        text += ["", f"{title}:", "", "| measure | value | bound |", "| --- | --: | --: |"]
        text += [
            f"| {each.name} | {each.value:.2f} {each.unit} | {'' if each.bound is None else f'{each.bound:g}'} |"
            for each in measures
        ]
        kept = kept and all(each.kept for each in measures)
    sys.stdout.write("\n".join(text) + "\n")
    if options.write is not None:
        write(options.write / "waiting.md", "waiting", "\n".join(text))
    return 0 if kept else 1


def _trial(installation: Installation, jobs: int, rate: int) -> list[Measure]:
    installation.folder.mkdir()
    installation.settings = {"KYB_WORKER__THREADS": "8"}
    with closing(installation):
        return Trial(installation, jobs, rate).run()


if __name__ == "__main__":
    sys.exit(main())
