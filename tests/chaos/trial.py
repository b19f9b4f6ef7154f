"""One disturbance while jobs are in flight, and the checks that must hold after every disturbance."""

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

#: Seconds after the disturbance within which all jobs must end.
END_TIMEOUT_SECONDS = 150.0
#: The only failures allowed, where answers are lost: the vendor offers no call that shows the outcome.
ALLOWED_FAILURES = {
    ("outcome_unknown", type_, True) for type_ in ("creditsafe.run_matching", "creditsafe.enrich")
}
#: Results of a run that nothing disturbed, by the number of the job.
Expected = dict[int, Any]


@dataclass
class Situation:
    """The access that a disturbance has to the trial."""

    installation: Installation
    tasks: list[Task]
    #: Seconds that a continuous disturbance lasts.
    length: float
    #: Remarks for the report.
    notes: list[str] = field(default_factory=list)
    #: Epoch seconds at which everything needed for progress was available again; the end of the disturbance is one more.
    moments: list[float] = field(default_factory=list)
    #: Messages without an id that the disturbance sent; they become dead letters.
    noise: int = 0

    def again(self) -> None:
        """Record that work can continue from now on."""
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
        disturb: the disturbance itself; the trial's jobs are published and run meanwhile.
        prepare: runs before the workers start.
        embedded: use one process with the embedded broker and SQLite.
        resend: seconds after which the upstream sends unanswered commands again, where RabbitMQ loses its data.
        answers_lost: vendors' answers, or the processes that wait for them, are lost. Only then may the start of a
            matching run end as `outcome_unknown`.
        quick: part of the short run.
        besides: builds jobs that cannot complete, which run among the others.
        at_once: publish all jobs at once.
        cluster: use three RabbitMQ nodes.
        small_disk: give PostgreSQL a small disk.
        spread: seconds within which the jobs are published; None for the run's default.
        length: seconds that a continuous disturbance lasts; None for the run's default.
        within: seconds within which 99 % of the jobs must continue; only the long run checks it.
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
    """The findings of a trial; `wrong` lists the violations."""

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
        """Median of the seconds by which jobs continued too late."""
        return statistics.median(self.late) if self.late else None

    @property
    def p99(self) -> float | None:
        """99th percentile of the seconds by which jobs continued too late."""
        ordered = sorted(self.late)
        return ordered[max(0, math.ceil(0.99 * len(ordered)) - 1)] if ordered else None


def undisturbed(_: Situation) -> None:
    """Disturb nothing."""


class Trial:
    """Jobs of one installation under one disturbance.

    Args:
        installation: not started yet.
        disturbance: the disturbance.
        count: number of jobs.
        expected: the findings of the undisturbed run; None in that run itself.
    """

    def __init__(
        self, installation: Installation, disturbance: Disturbance, count: int, expected: Finding | None
    ) -> None:
        self._installation = installation
        self._disturbance = disturbance
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
        """Publish the jobs within `spread` seconds, disturb them for `length`, await their ends and check them."""
        self._disturbance.prepare(self._installation)
        self._installation.workers.start()
        try:
            began = self._publish(self._disturbance.spread or spread)
            situation = Situation(self._installation, self._tasks, self._disturbance.length or length)
            self._disturbance.disturb(situation)
            over, over_epoch = time.monotonic(), time.time()
            ends = self._await_ends()
            self._finding.notes = situation.notes
            self._finding.seconds = time.monotonic() - began
            self._finding.last = max(0.0, *(at - over for at in ends.values()), 0.0)
            self._finding.deaths = self._installation.workers.deaths
            if self._disturbance.disturb is not undisturbed and not self._installation.workers.others:
                self._recovered([*situation.moments, over_epoch])
            self._check_all(ends, situation.noise)
        finally:
            if self._upstream is not None:
                self._upstream.stop()
            self._database.close()
        return self._finding

    def _publish(self, spread: float) -> float:
        """Start to publish the jobs, or submit them; return when that began."""
        if self._upstream is not None:
            self._upstream.start()
            self._installation.rabbitmq.sync()
            middle = len(self._tasks) // 2
            mixed = self._tasks[:middle] + self._extra + self._tasks[middle:]
            arguments = (mixed, 0.0 if self._disturbance.at_once else spread)
            threading.Thread(target=self._upstream.publish, args=arguments, daemon=True).start()
            return time.monotonic()
        folder = self._installation.folder
        admission = Admission(self._ledger.jobs, Storage([str(folder)], str(folder / "results")), 86_400)
        for task in self._tasks:
            admission.accept(task.body, None, claim_first_turn=False)
        return time.monotonic()

    def _await_ends(self) -> dict[str, float]:
        """Return when each job ended, without those that did not."""
        tasks = self._tasks + self._extra
        if self._upstream is not None:
            self._upstream.await_finals(tasks, END_TIMEOUT_SECONDS, self._disturbance.resend)
            finals = self._upstream.finals
            return {
                task.id: min(at for at, _ in finals[task.id].values()) for task in tasks if finals[task.id]
            }
        ends: dict[str, float] = {}
        deadline = time.monotonic() + END_TIMEOUT_SECONDS
        while len(ends) < len(tasks) and time.monotonic() < deadline:
            for job in self._ledger.queries.jobs(limit=len(tasks)):
                if job.status.ended:
                    ends.setdefault(job.id, time.monotonic())
            time.sleep(0.05)  # a ledger has no event to await
        return ends

    def _recovered(self, moments: list[float]) -> None:
        """Measure how soon work continued; all workers must have the same clock."""
        finding = self._finding
        sent = self._upstream.sent if self._upstream is not None else {task.id: 0.0 for task in self._tasks}
        sent_at = {task.id: sent[task.id] for task in self._tasks if task.id in sent}
        measured = recovery(self._installation.workers.lines(), moments, sent_at)
        finding.late, finding.in_doubt = measured.late, measured.in_doubt

    def _check_all(self, ends: dict[str, float], noise: int) -> None:
        wrong = self._finding.wrong
        for number, task in enumerate(self._tasks):
            if task.id in ends:
                self._check_job(number, task)
            else:
                self._finding.lost += 1
                wrong.append(f"never ended: {self._describe(task.id)}")
        for task in self._extra:
            job = self._ledger.queries.job(task.id)
            if job is None or job.error is None or job.error["code"] != task.fails_as:
                wrong.append(f"not {task.fails_as}: {self._describe(task.id)}")
        _check_effects(self._finding, self._installation, self._expected, self._extra)
        if self._upstream is not None:
            _check_queues(self._finding, self._installation, rejected=len(self._upstream.rejected) + noise)

    def _check_job(self, number: int, task: Task) -> None:
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
        elif (job.error["code"], task.type, self._disturbance.answers_lost) in ALLOWED_FAILURES:
            finding.unknown += 1
        else:
            finding.wrong.append(f"{task.id}: {job.error['code']}: {job.error['message']}")

    def _describe(self, id: str) -> str:
        job = self._ledger.queries.job(id)
        if job is None:
            return f"{id} is not in the ledger"
        steps = {step.name: step.state for step in self._ledger.queries.steps(id)}
        return f"{id}: {job.status}, turn {job.turn}, begin count {job.begin_count}, due {job.due_at}, error {job.error}, {steps}"


def _check_effects(
    finding: Finding, installation: Installation, undisturbed: Finding | None, besides: list[Task]
) -> None:
    """Check that each effect happened once, and as many of each kind as undisturbed unless a job failed."""
    effects = installation.sandbox.state.effects
    doubled = {key: n for key, n in effects.items() if n != 1 and key[0] not in REPEATABLE_EFFECTS}
    totals: Counter[str] = Counter()
    for (operation, _), n in effects.items():
        totals[operation] += 1 if operation in REPEATABLE_EFFECTS else n
    finding.effects = dict(totals)
    finding.doubled = sum(n - 1 for n in doubled.values())
    if undisturbed is None:
        unexpected = {}
    else:
        own: Counter[str] = sum((task.effects or Counter() for task in besides), Counter())
        limits = Counter(undisturbed.effects) + own
        more = {operation for operation, n in totals.items() if n > limits[operation]}
        fewer = {operation for operation, n in limits.items() if totals[operation] < n}
        uneven = more | fewer if finding.completed == finding.jobs else more
        unexpected = {operation: f"{totals[operation]} of {limits[operation]}" for operation in uneven}
    if doubled or unexpected:
        finding.wrong.append(f"effects not exactly once: {doubled} {unexpected}")


def _check_queues(finding: Finding, installation: Installation, rejected: int) -> None:
    """Check that no message is waiting and that only rejected commands are dead letters."""
    connection = connect(installation.amqp_url)
    channel = connection.channel()

    def count(queues: list[str]) -> int:
        return sum(channel.queue_declare(name, passive=True).method.message_count for name in queues)

    deadline = time.monotonic() + END_TIMEOUT_SECONDS
    while count([*QUEUES]) and time.monotonic() < deadline:
        connection.sleep(0.1)  # duplicates; there is no event for the last one
    if waiting := count([*QUEUES]):
        finding.wrong.append(f"{waiting} messages are waiting")
    dead_letter_queues = [f"{name}.dead" for name in QUEUES]
    if (dead := count(dead_letter_queues)) != rejected:
        finding.wrong.append(f"{dead} dead letters, {rejected} commands rejected")
    for name in dead_letter_queues:
        channel.queue_purge(name)
    connection.close()
