"""`python -m benchmarks.waiting`: prints what waiting jobs cost and how late their turns come; exit 1 if a gate fails.

`--write FOLDER` puts the numbers into `performance.md` there.
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

DAY = 86_400.0
#: Seconds for which an idle worker is watched.
IDLE = 10.0


@dataclass(frozen=True)
class Line:
    """One figure: in words, its value as shown, and the bound it is held to, if any."""

    name: str
    value: float
    unit: str
    bound: float | None = None

    @property
    def kept(self) -> bool:
        """Whether it is within its bound."""
        return self.bound is None or self.value <= self.bound


class Trial:
    """One installation with a ledger that fills up.

    Args:
        plant: RabbitMQ and PostgreSQL, or the embedded default.
        jobs: how many wait.
        rate: turns a second that fall due for a while.
    """

    def __init__(self, plant: Installation, jobs: int, rate: int) -> None:
        self._plant = plant
        self._jobs = jobs
        self._rate = rate
        self.lines: list[Line] = []

    def run(self) -> list[Line]:
        """All figures."""
        plant = self._plant
        with closing(Database(plant.ledger_url)) as database:
            database.upgrade()
            ledger = Ledger(database)
            plant.workers.start()
            self._warm(ledger)
            before = resident(self._pid)
            self._line(
                "processor share of an idle worker, nothing waiting",
                100 * cpu_share(self._pid, IDLE),
                "%",
                5.0,
            )
            now = ledger.database.now()
            wait(ledger, "far", [now + DAY + n for n in range(self._jobs)])
            analyze(ledger)
            self._line(
                f"the same with {self._jobs:,} jobs waiting", 100 * cpu_share(self._pid, IDLE), "%", 5.0
            )
            self._line("worker's memory, grown by", resident(self._pid) - before, "MB", 5.0)
            self._soon(ledger)
            self._many(ledger)
            self._line("worker's memory after that, grown by", resident(self._pid) - before, "MB")
            if not plant.embedded:
                with closing(Publisher(plant.amqp_url)) as publisher:
                    messages = sum(
                        publisher.ready(f"kyb.{vendor}") for vendor in ("data8", "creditsafe", "sayari")
                    )
                self._line("messages in RabbitMQ's queues", messages, "", 0)
            self._after("a worker's kill -9, until a turn that was due has ended", ledger, self._kill, 5.0)
            if not plant.embedded:
                self._after("RabbitMQ's restart, once it is back", ledger, plant.rabbitmq.restart, 15.0)
        return self.lines

    @property
    def _pid(self) -> int:
        return self._plant.workers.running[0].pid

    def _line(self, name: str, value: float, unit: str, bound: float | None = None) -> None:
        self.lines.append(Line(name, value, unit, bound))
        print(f"{name}: {value:.2f} {unit}", file=sys.stderr, flush=True)  # noqa: T201 - progress

    def _warm(self, ledger: Ledger) -> None:
        due = [ledger.database.now()] * 200
        wait(ledger, "warm", due, end=True)
        lateness(ledger, "warm", due)

    def _soon(self, ledger: Ledger) -> None:
        found = []
        for number in range(20):
            due = [ledger.database.now() + 1.0]
            wait(ledger, f"soon{number}", due, end=True)
            found += lateness(ledger, f"soon{number}", due)
        self._line("a turn due in 1 s ends after its time, worst of 20", max(found), "s", 0.5)

    def _many(self, ledger: Ledger) -> None:
        start = ledger.database.now() + 3.0
        due = [start + n / self._rate for n in range(self._rate * 20)]
        wait(ledger, "many", due, end=True)
        found = sorted(lateness(ledger, "many", due))
        name = f"{self._rate} turns a second for 20 s: lateness of their ends"
        self._line(f"{name}, median", found[len(found) // 2], "s")
        self._line(f"{name}, 99th percentile", found[int(0.99 * len(found))], "s", 0.5)

    def _kill(self) -> None:
        self._plant.workers.kill_one(0)

    def _after(self, what: str, ledger: Ledger, disturb: Callable[[], None], bound: float) -> None:
        disturb()
        name = f"after{len(self.lines)}"
        due = [ledger.database.now()]
        wait(ledger, name, due, end=True)
        self._line(f"after {what}", lateness(ledger, name, due)[0], "s", bound)


def main() -> int:
    """Run everything; 0 if all gates are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.waiting", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000, help="jobs that wait on PostgreSQL")
    parser.add_argument("--write", type=Path, help="folder of performance.md")
    options = parser.parse_args()
    tables = []
    kept = True
    with tempfile.TemporaryDirectory() as folder, Sandbox() as sandbox:
        with closing(RabbitMQ()) as rabbitmq, closing(Postgres()) as postgres:
            rabbitmq.start()
            postgres.start()
            plant = Installation(Path(folder, "servers"), sandbox, rabbitmq, postgres)
            tables.append(
                (
                    f"RabbitMQ and PostgreSQL, two workers, {options.jobs:,} jobs waiting",
                    _trial(plant, options.jobs, 200),
                )
            )
        plant = Installation(Path(folder, "embedded"), sandbox)
        few = options.jobs // 10
        tables.append(
            (f"Embedded broker and SQLite, one process, {few:,} jobs waiting", _trial(plant, few, 50))
        )
    text = [f"{stamp()}, two cores."]
    for title, lines in tables:
        text += ["", f"{title}:", "", "| | | bound |", "| --- | --: | --: |"]
        text += [
            f"| {one.name} | {one.value:.2f} {one.unit} | {'' if one.bound is None else f'{one.bound:g}'} |"
            for one in lines
        ]
        kept = kept and all(one.kept for one in lines)
    sys.stdout.write("\n".join(text) + "\n")
    if options.write is not None:
        write(options.write / "performance.md", "waiting", "\n".join(text))
    return 0 if kept else 1


def _trial(plant: Installation, jobs: int, rate: int) -> list[Line]:
    plant.folder.mkdir()
    plant.settings = {"KYB_WORKER__THREADS": "8"}
    with closing(plant):
        return Trial(plant, jobs, rate).run()


if __name__ == "__main__":
    sys.exit(main())
