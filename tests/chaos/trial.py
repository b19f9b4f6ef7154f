"""One disturbance while jobs are in flight, and what must be true after it, whatever was disturbed."""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from messages.catalogue import QUEUES
from tests.chaos.installation import Installation
from tests.chaos.recovery import recovery
from tests.chaos.upstream import FINAL, Upstream, connect
from tests.chaos.work import REPEATABLE_EFFECTS, Task, essence, tasks
from workers.engine.admission import Admission
from workers.files.storage import Storage
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger

#: Seconds after the disturbance in which all jobs must have ended.
PATIENCE = 150.0
#: The one way in which a job may fail, where answers are lost: its vendor has no way to tell.
UNKNOWABLE = {("outcome_unknown", type_, True) for type_ in ("creditsafe.run_matching", "creditsafe.enrich")}
#: Results of a run that nothing disturbed, by the number of the job.
Expected = dict[int, Any]


@dataclass
class Situation:
    """What a disturbance can get hold of."""

    installation: Installation
    tasks: list[Task]
    #: Seconds that a lasting disturbance lasts.
    length: float
    #: What it wants to be said in the report.
    notes: list[str] = field(default_factory=list)
    #: When there was again all that it takes to go on, in epoch seconds; the end of all is one more.
    moments: list[float] = field(default_factory=list)
    #: Messages without an id that it has sent: they end as dead letters.
    noise: int = 0

    def again(self) -> None:
        """From now on work can go on."""
        self.moments.append(time.time())


def _nothing(_: Installation) -> None:
    """Most disturbances need no preparation."""


def _no_tasks(_: Path) -> list[Task]:
    return []


@dataclass(frozen=True)
class Disturbance:
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
        besides: makes jobs that cannot complete, to be run among the others.
        at_once: all are published at once.
        cluster: RabbitMQ is three nodes.
        small_disk: PostgreSQL has a small disk of its own.
        spread: seconds within which the jobs are published, if not those of all.
        length: seconds that a lasting disturbance lasts, if not as long as all.
        within: seconds in which all but one in a hundred jobs must go on, in the long run: it is no business of tests.
    """

    name: str
    disturb: Callable[[Situation], None]
    prepare: Callable[[Installation], None] = _nothing
    embedded: bool = False
    resend: float | None = None
    answers_lost: bool = False
    quick: bool = False
    besides: Callable[[Path], list[Task]] = _no_tasks
    at_once: bool = False
    cluster: bool = False
    small_disk: bool = False
    spread: float | None = None
    length: float | None = None
    within: float | None = None


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
    late: list[float] = field(default_factory=list)
    in_doubt: int = 0
    last: float = 0.0
    deaths: int = 0
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    results: Expected = field(default_factory=dict)
    effects: dict[str, int] = field(default_factory=dict)
    rabbitmq: str = ""
    postgres: str = ""

    @property
    def median(self) -> float | None:
        """Seconds by which the job in the middle went on too late."""
        return statistics.median(self.late) if self.late else None

    @property
    def p99(self) -> float | None:
        """Seconds by which all but one in a hundred went on too late at most."""
        ordered = sorted(self.late)
        return ordered[max(0, math.ceil(0.99 * len(ordered)) - 1)] if ordered else None


def undisturbed(_: Situation) -> None:
    """Nothing happens."""


class Trial:
    """Jobs of one installation under one disturbance.

    Args:
        installation: not started yet.
        disturbance: the disturbance.
        count: how many jobs.
        expected: what they came to undisturbed; None in that run itself.
    """

    def __init__(
        self, installation: Installation, disturbance: Disturbance, count: int, expected: Finding | None
    ) -> None:
        self._plant = installation
        self._scenario = disturbance
        self._expected = expected
        self._database = Database(installation.ledger_url)
        self._database.upgrade()
        self._ledger = Ledger(self._database)
        prefix = "".join(c if c.isalnum() else "-" for c in disturbance.name)
        self._tasks = tasks(prefix, count, installation.folder, installation.sandbox)
        self._extra = disturbance.besides(installation.folder)
        self._upstream = None if installation.embedded else Upstream(installation.amqp_url)
        self._finding = Finding(disturbance.name, count)

    def play(self, spread: float, length: float) -> Finding:
        """Publish the jobs within `spread` seconds, disturb them for `length`, wait for the end of all, and look."""
        self._scenario.prepare(self._plant)
        self._plant.workers.start()
        try:
            began = self._publish(self._scenario.spread or spread)
            situation = Situation(self._plant, self._tasks, self._scenario.length or length)
            self._scenario.disturb(situation)
            over, over_epoch = time.monotonic(), time.time()
            ends = self._await_ends()
            self._finding.notes = situation.notes
            self._finding.seconds = time.monotonic() - began
            self._finding.last = max(0.0, *(at - over for at in ends.values()), 0.0)
            self._finding.deaths = self._plant.workers.deaths
            if self._scenario.disturb is not undisturbed and not self._plant.workers.others:
                self._recovered([*situation.moments, over_epoch])
            self._look(ends, situation.noise)
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
            mixed = self._tasks[:middle] + self._extra + self._tasks[middle:]
            arguments = (mixed, 0.0 if self._scenario.at_once else spread)
            threading.Thread(target=self._upstream.publish, args=arguments, daemon=True).start()
            return time.monotonic()
        folder = self._plant.folder
        admission = Admission(self._ledger.jobs, Storage([str(folder)], str(folder / "results")), 86_400)
        for task in self._tasks:
            admission.accept(task.body, None, claim_first_turn=False)
        return time.monotonic()

    def _await_ends(self) -> dict[str, float]:
        """When each job that has ended did."""
        wanted = self._tasks + self._extra
        if self._upstream is not None:
            self._upstream.await_finals(wanted, PATIENCE, self._scenario.resend)
            heard = self._upstream.finals
            return {
                task.id: min(at for at, _ in heard[task.id].values()) for task in wanted if heard[task.id]
            }
        ends: dict[str, float] = {}
        deadline = time.monotonic() + PATIENCE
        while len(ends) < len(wanted) and time.monotonic() < deadline:
            for job in self._ledger.queries.jobs(limit=len(wanted)):
                if job.status.ended:
                    ends.setdefault(job.id, time.monotonic())
            time.sleep(0.05)  # a ledger has no event to await
        return ends

    def _recovered(self, moments: list[float]) -> None:
        """How soon work went on. Clocks that differ would tell nothing."""
        finding = self._finding
        sent = self._upstream.sent if self._upstream is not None else {task.id: 0.0 for task in self._tasks}
        mine = {task.id: sent[task.id] for task in self._tasks if task.id in sent}
        found = recovery(self._plant.workers.lines(), moments, mine)
        finding.late, finding.in_doubt = found.late, found.in_doubt

    def _look(self, ends: dict[str, float], noise: int) -> None:
        wrong = self._finding.wrong
        for number, task in enumerate(self._tasks):
            if task.id in ends:
                self._judge(number, task)
            else:
                self._finding.lost += 1
                wrong.append(f"never ended: {self._standing(task.id)}")
        for task in self._extra:
            job = self._ledger.queries.job(task.id)
            if job is None or job.error is None or job.error["code"] != task.fails_as:
                wrong.append(f"not {task.fails_as}: {self._standing(task.id)}")
        _effects(self._finding, self._plant, self._expected, self._extra)
        if self._upstream is not None:
            _queues(self._finding, self._plant, rejected=len(self._upstream.rejected) + noise)

    def _judge(self, number: int, task: Task) -> None:
        finding, job = self._finding, self._ledger.queries.job(task.id)
        events = self._ledger.queries.events(job_id=task.id)
        written = {event.id for event in events if event.type.endswith(FINAL)}
        if len(written) != 1:
            finding.wrong.append(f"{task.id}: final events written: {sorted(written)}")
        if self._upstream is not None and set(self._upstream.finals[task.id]) != written:
            finding.wrong.append(f"{task.id}: final events heard: {sorted(self._upstream.finals[task.id])}")
        assert job is not None
        if job.error is None:
            finding.completed += 1
            finding.results[number] = essence(job.result)
            if self._expected is not None and finding.results[number] != self._expected.results[number]:
                finding.wrong.append(
                    f"{task.id}: {finding.results[number]} instead of {self._expected.results[number]}"
                )
        elif (job.error["code"], task.type, self._scenario.answers_lost) in UNKNOWABLE:
            finding.unknown += 1
        else:
            finding.wrong.append(f"{task.id}: {job.error['code']}: {job.error['message']}")

    def _standing(self, id: str) -> str:
        job = self._ledger.queries.job(id)
        if job is None:
            return f"{id} is not in the ledger"
        steps = {step.name: step.state for step in self._ledger.queries.steps(id)}
        return f"{id}: {job.status}, turn {job.turn}, takes {job.begin_count}, due {job.due_at}, error {job.error}, {steps}"


def _effects(
    finding: Finding, installation: Installation, undisturbed: Finding | None, besides: list[Task]
) -> None:
    """Each effect happened once, and there are as many of each kind as undisturbed, unless jobs did not complete."""
    effects = installation.sandbox.state.effects
    doubled = {key: n for key, n in effects.items() if n != 1 and key[0] not in REPEATABLE_EFFECTS}
    totals: Counter[str] = Counter()
    for (operation, _), n in effects.items():
        totals[operation] += 1 if operation in REPEATABLE_EFFECTS else n
    finding.effects = dict(totals)
    finding.doubled = sum(n - 1 for n in doubled.values())
    if undisturbed is None:
        beyond = {}
    else:
        own: Counter[str] = sum((task.effects or Counter() for task in besides), Counter())
        most = Counter(undisturbed.effects) + own
        more = {operation for operation, n in totals.items() if n > most[operation]}
        fewer = {operation for operation, n in most.items() if totals[operation] < n}
        uneven = more | fewer if finding.completed == finding.jobs else more
        beyond = {operation: f"{totals[operation]} of {most[operation]}" for operation in uneven}
    if doubled or beyond:
        finding.wrong.append(f"effects not exactly once: {doubled} {beyond}")


def _queues(finding: Finding, installation: Installation, rejected: int) -> None:
    """Nothing is left over: no message waits, and dead letters are those that were rejected."""
    connection = connect(installation.amqp_url)
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
