"""One disturbance while jobs are in flight, and what must be true after it, whatever was disturbed."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pika

from messages.catalogue import QUEUES
from tests.chaos.plant import Plant
from tests.chaos.upstream import FINAL, Upstream
from tests.chaos.work import Task, essence, tasks
from workers.admission import Admission
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.storage import Storage

#: Seconds after the disturbance in which all jobs must have ended.
PATIENCE = 150.0
#: The one way in which a job may fail, where answers are lost: its vendor has no way to tell.
UNKNOWABLE = ("outcome_unknown", "creditsafe.run_matching", True)
#: Results of a run that nothing disturbed, by the number of the job.
Expected = dict[int, Any]


@dataclass
class Situation:
    """What a disturbance can get hold of."""

    plant: Plant
    tasks: list[Task]
    #: Seconds that a lasting disturbance lasts.
    length: float
    #: What it wants to be said in the report.
    notes: list[str] = field(default_factory=list)


def _nothing(_: Plant) -> None:
    """Most scenarios need no preparation."""


@dataclass(frozen=True)
class Scenario:
    """A disturbance.

    Attributes:
        name: a few words.
        disturb: does it; the trial's jobs are being published and run meanwhile.
        prepare: what must be set before the workers start.
        embedded: one process with the embedded broker and SQLite.
        resend: seconds after which the upstream sends unanswered commands again, where RabbitMQ loses its data.
        answers_lost: whether vendors' answers, or the processes that wait for them, are lost in it: then a
            start of a matching run may end as `outcome_unknown`, and only then.
        quick: part of the short run.
        poison: jobs among them that kill their process; then all are published at once.
    """

    name: str
    disturb: Callable[[Situation], None]
    prepare: Callable[[Plant], None] = _nothing
    embedded: bool = False
    resend: float | None = None
    answers_lost: bool = False
    quick: bool = False
    poison: int = 0


@dataclass
class Finding:
    """What a trial showed. `wrong` lists whatever must not be."""

    name: str
    jobs: int
    completed: int = 0
    unknown: int = 0
    lost: int = 0
    doubled: int = 0
    seconds: float = 0.0
    first_turn: float | None = None
    recovery: list[float] = field(default_factory=list)
    deaths: int = 0
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    results: Expected = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Seconds from the end of the disturbance to the end of the job in the middle."""
        return statistics.median(self.recovery) if self.recovery else 0.0

    @property
    def p99(self) -> float:
        """Seconds from the end of the disturbance to the end of all but one in a hundred."""
        ordered = sorted(self.recovery)
        return ordered[min(len(ordered) - 1, round(0.99 * len(ordered)))] if ordered else 0.0


def undisturbed(_: Situation) -> None:
    """Nothing happens."""


class Trial:
    """Jobs of one plant under one disturbance.

    Args:
        plant: not started yet.
        scenario: the disturbance.
        count: how many jobs.
        expected: their results; None in the undisturbed run.
    """

    def __init__(self, plant: Plant, scenario: Scenario, count: int, expected: Expected | None) -> None:
        self._plant = plant
        self._scenario = scenario
        self._expected = expected
        self._database = Database(plant.ledger_url)
        self._database.upgrade()
        self._ledger = Ledger(self._database)
        prefix = "".join(c if c.isalnum() else "-" for c in scenario.name)
        self._tasks = tasks(prefix, count, plant.folder, plant.sandbox)
        self._poison = [
            Task(f"poison-{n}", "data8.start_job", {"workflow": "Echo"}) for n in range(scenario.poison)
        ]
        self._upstream = None if plant.embedded else Upstream(plant.amqp_url)
        self._finding = Finding(scenario.name, count)

    def play(self, spread: float, length: float) -> Finding:
        """Publish the jobs within `spread` seconds, disturb them for `length`, wait for the end of all, and look."""
        self._scenario.prepare(self._plant)
        self._plant.workers.start()
        try:
            began = self._publish(spread)
            situation = Situation(self._plant, self._tasks, length)
            self._scenario.disturb(situation)
            over, over_epoch = time.monotonic(), time.time()
            ends = self._await_ends()
            self._finding.notes = situation.notes
            self._finding.seconds = time.monotonic() - began
            self._finding.recovery = [max(0.0, at - over) for at in ends.values()]
            self._finding.deaths = self._plant.workers.deaths
            if self._scenario.disturb is not undisturbed:
                self._finding.first_turn = self._plant.workers.first_turn_after(over_epoch)
            self._look(ends)
        finally:
            if self._upstream is not None:
                self._upstream.stop()
            self._database.close()
        return self._finding

    def _publish(self, spread: float) -> float:
        """Give the jobs to whom they belong; the moment at which that began."""
        if self._upstream is not None:
            self._upstream.start()
            self._plant.rabbitmq.sync()
            middle = len(self._tasks) // 2
            mixed = self._tasks[:middle] + self._poison + self._tasks[middle:]
            arguments = (mixed, 0.0 if self._poison else spread)
            threading.Thread(target=self._upstream.publish, args=arguments, daemon=True).start()
            return time.monotonic()
        folder = self._plant.folder
        admission = Admission(self._ledger, Storage([str(folder)], str(folder / "results")), 86_400)
        for task in self._tasks:
            admission.accept(task.body, None, handed=False)
        return time.monotonic()

    def _await_ends(self) -> dict[str, float]:
        """When each job that has ended did."""
        wanted = self._tasks + self._poison
        if self._upstream is not None:
            self._upstream.await_finals(wanted, PATIENCE, self._scenario.resend)
            heard = self._upstream.finals
            return {
                task.id: min(at for at, _ in heard[task.id].values()) for task in wanted if heard[task.id]
            }
        ends: dict[str, float] = {}
        deadline = time.monotonic() + PATIENCE
        while len(ends) < len(wanted) and time.monotonic() < deadline:
            for job in self._ledger.jobs(limit=len(wanted)):
                if job.status.ended:
                    ends.setdefault(job.id, time.monotonic())
            time.sleep(0.05)  # a ledger has no event to await
        return ends

    def _look(self, ends: dict[str, float]) -> None:
        wrong = self._finding.wrong
        for number, task in enumerate(self._tasks):
            if task.id in ends:
                self._judge(number, task)
            else:
                self._finding.lost += 1
                wrong.append(f"never ended: {self._standing(task.id)}")
        for task in self._poison:
            job = self._ledger.job(task.id)
            if job is None or job.error is None or job.error["code"] != "internal_error":
                wrong.append(f"poison: {self._standing(task.id)}")
        _effects(self._finding, self._plant, self._tasks)
        if self._upstream is not None:
            _queues(self._finding, self._plant, rejected=len(self._upstream.rejected))

    def _judge(self, number: int, task: Task) -> None:
        finding, job = self._finding, self._ledger.job(task.id)
        events = self._ledger.events(job_id=task.id)
        written = {event.id for event in events if event.type.endswith(FINAL)}
        if len(written) != 1:
            finding.wrong.append(f"{task.id}: final events written: {sorted(written)}")
        if self._upstream is not None and set(self._upstream.finals[task.id]) != written:
            finding.wrong.append(f"{task.id}: final events heard: {sorted(self._upstream.finals[task.id])}")
        assert job is not None
        if job.error is None:
            finding.completed += 1
            finding.results[number] = essence(job.result)
            if self._expected is not None and finding.results[number] != self._expected[number]:
                finding.wrong.append(
                    f"{task.id}: {finding.results[number]} instead of {self._expected[number]}"
                )
        elif (job.error["code"], task.type, self._scenario.answers_lost) == UNKNOWABLE:
            finding.unknown += 1
        else:
            finding.wrong.append(f"{task.id}: {job.error['code']}: {job.error['message']}")

    def _standing(self, id: str) -> str:
        job = self._ledger.job(id)
        if job is None:
            return f"{id} is not in the ledger"
        steps = {step.name: step.state for step in self._ledger.steps(id)}
        return f"{id}: {job.status}, turn {job.turn}, takes {job.takes}, due {job.due_at}, error {job.error}, {steps}"


#: Effects of one job that ends well, by command; blocks of an upload to Data8 count one by one.
EFFECTS = {
    "creditsafe.import_file": Counter(
        {"creditsafe.portfolios.create": 1, "creditsafe.records.import_file": 1}
    ),
    "creditsafe.run_matching": Counter({"creditsafe.matching.start": 1}),
    "data8.start_job": Counter({"data8.datasets.create": 1, "data8.jobs.create": 1}),
    "sayari.resolve_entities": Counter(
        {"sayari.projects.create": 1, "sayari.projects.resolutions.upload": 1}
    ),
}


def _effects(finding: Finding, plant: Plant, mine: list[Task]) -> None:
    effects = plant.sandbox.world.effects
    doubled = {key: n for key, n in effects.items() if n != 1}
    totals: Counter[str] = Counter()
    for (operation, _), n in effects.items():
        totals[operation] += n
    most: Counter[str] = sum((EFFECTS[task.type] for task in mine), Counter())
    beyond = {op: f"{totals[op]} of {n}" for op, n in most.items() if totals[op] > n}
    if finding.completed == len(mine):
        beyond |= {op: f"{totals[op]} of {n}" for op, n in most.items() if totals[op] != n}
    finding.doubled = sum(n - 1 for n in doubled.values())
    if doubled or beyond:
        finding.wrong.append(f"effects not exactly once: {doubled} {beyond}")


def _queues(finding: Finding, plant: Plant, rejected: int) -> None:
    """Nothing is left over: no message waits, and dead letters are those that were rejected."""
    connection = pika.BlockingConnection(pika.URLParameters(plant.amqp_url))
    channel = connection.channel()

    def count(queues: list[str]) -> int:
        return sum(channel.queue_declare(name, passive=True).method.message_count for name in queues)

    deadline = time.monotonic() + PATIENCE
    while count([*QUEUES]) and time.monotonic() < deadline:
        connection.sleep(0.1)  # duplicates; nobody tells when the last one is gone
    if left := count([*QUEUES]):
        finding.wrong.append(f"{left} messages are left")
    letters = [f"{name}.dead" for name in QUEUES]
    if (dead := count(letters)) != rejected:
        finding.wrong.append(f"{dead} dead letters, {rejected} commands rejected")
    for name in letters:
        channel.queue_purge(name)
    connection.close()
