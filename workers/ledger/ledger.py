"""The ledger's operations on whole jobs; `workers.ledger.claim` has those of one turn."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Executable,
    Float,
    Table,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from messages.base import dump
from messages.envelope import InvalidCommand, Request
from messages.errors import Code
from messages.events import Outcome, Status
from workers.ledger.claim import Claim
from workers.ledger.database import Database
from workers.ledger.disaster_recovery import first_sequence, restored_at
from workers.ledger.locks import build_locks
from workers.ledger.outbox import EventPayload, append_event, append_rejection, republish_last_event
from workers.ledger.records import DueTurn, Job, Step, StoredEvent, encode
from workers.ledger.schema import event, job, step
from workers.ledger.statistics import LedgerStats, collect_stats

_DUE = (job.c.id, job.c.command, job.c.queue, job.c.turn, job.c.rate_limit)
_ENDED = [status.value for status in Status if status.ended]

# Statements of every job and every round of the dispatcher, built once, as in `workers.ledger.claim`.


def _accept(insert: Callable[[Table], postgresql.Insert | sqlite.Insert]) -> Executable:
    """Adds a job unless there is one of its id; what is given beyond `now` are its columns."""
    now: BindParameter[float] = bindparam("now", type_=Float(53))
    statement = insert(job).values(sequence=first_sequence(now) + 1, restored_at=restored_at(now))
    return statement.on_conflict_do_nothing().returning(job)


_ACCEPT, _ACCEPT_SQLITE = _accept(postgresql.insert), _accept(sqlite.insert)
_DUE_UNTIL = (
    select(*_DUE, job.c.due_at)
    .where(job.c.due_at <= bindparam("until"))
    .order_by(job.c.due_at)
    .limit(bindparam("most"))
)
_HANDED = (
    update(job)
    .where(
        job.c.id == bindparam("job"), job.c.turn == bindparam("its_turn"), job.c.due_at <= bindparam("now")
    )
    .values(due_at=None, dispatched_at=bindparam("now"))
)
_UNPUBLISHED = (
    select(event.c.number, event.c.id, event.c.type, event.c.body)
    .where(event.c.published_at.is_(None))
    .order_by(event.c.number)
    .limit(bindparam("most"))
)
_PUBLISHED = (
    update(event)
    .where(event.c.number.in_(bindparam("numbers", expanding=True)))
    .values(published_at=bindparam("now"))
)


class Acceptance(Enum):
    """What became of a command that arrived."""

    NEW = "new"
    SCHEDULED = "scheduled"  # new or again, its first turn not due yet: nothing is to be done now
    DUPLICATE = "duplicate"  # the same command again, its job has not ended
    DUPLICATE_ENDED = "duplicate_ended"  # the same command again, its final event is published again
    CONFLICT = "conflict"  # the id means another command


class NotErasable(Exception):
    """The job cannot be forgotten now; the message says why."""


class NotRetryable(Exception):
    """The job cannot be retried; the message says why."""


@dataclass(frozen=True)
class JobLock:
    """The exclusive right to run turns of one job, for as long as the connection lives."""

    database: Database
    connection: Connection
    job_id: str

    def take(
        self, turn: int, admit: Callable[[int], bool] = lambda _: True, *, again: bool = False
    ) -> Claim | None:
        """Begin turn `turn`; None if it was taken before or the job has ended. The rest as in `Claim.take`."""
        return Claim.take(self.database, self.connection, self.job_id, turn, admit, again=again)

    def begun(self, job: Job) -> Claim:
        """Go on with the first turn of a job, taken as it was recorded: it has no steps yet.

        Should somebody have taken the job since, the first write finds out, as ever.
        """
        return Claim(self.database, self.connection, job, {})


class Ledger:
    """The record of all jobs."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._locks = build_locks(database)

    def now(self) -> float:
        """Epoch seconds by the ledger's clock."""
        return self.database.now()

    # -- commands ---------------------------------------------------------------------------------------

    def accept(self, request: Request, deadline: float, *, handed: bool) -> tuple[Acceptance, Job | None]:
        """Record a command as a job, once; gives the job if its first turn was taken with that, see `Hold.begun`.

        Args:
            request: the valid command.
            deadline: seconds that the job may take from when it may begin.
            handed: whether its first turn is in the caller's hands, and taken, if it may begin now; otherwise it is
                due at once. That of a job that may begin later is a timer, like every other wait.
        """
        data = encode(dump(request.command))
        # Without what only says the default: a field that a later version adds changes no command sent before it.
        said = encode(request.command.model_dump(mode="json", by_alias=True, exclude_defaults=True))
        fingerprint = hashlib.sha256(f"{request.type}\n{said}".encode()).hexdigest()
        with self.database.write() as connection:
            now = self.now()
            begin = max(now, request.not_before.timestamp()) if request.not_before else now
            taken = handed and begin == now
            values = {
                "id": request.id, "command": request.type, "queue": request.command.queue(),
                "vendor": request.command.vendor(), "source": request.source,
                "correlation_id": request.correlation_id, "traceparent": request.traceparent,
                "tracestate": request.tracestate, "data": data, "fingerprint": fingerprint,
                "status": Status.ACCEPTED.value, "turn": 1, "begin_count": int(taken), "fence": int(taken),
                "due_at": None if taken else begin,
                "deadline_at": begin + deadline, "accepted_at": now, "updated_at": now,
            }  # fmt: skip
            statement = _ACCEPT_SQLITE if self.database.sqlite else _ACCEPT
            added = connection.execute(statement, {"now": now, **values}).one_or_none()
            if added is None:
                return self._again(connection, request.id, fingerprint, now), None
            new = Job.of(added)
            append_event(connection, new, EventPayload(Outcome.ACCEPTED, Status.ACCEPTED), new.sequence, now)
            accepted = Acceptance.NEW if begin == now else Acceptance.SCHEDULED
            return accepted, new if taken else None

    def _again(self, connection: Connection, id: str, fingerprint: str, now: float) -> Acceptance:
        known = Job.of(connection.execute(select(job).where(job.c.id == id)).one())
        if known.fingerprint != fingerprint:
            return Acceptance.CONFLICT
        if known.turn == 1 and known.due_at is not None and known.due_at > now:
            return Acceptance.SCHEDULED
        if known.status not in _ENDED:
            return Acceptance.DUPLICATE
        republish_last_event(connection, id)
        return Acceptance.DUPLICATE_ENDED

    def reject(self, invalid: InvalidCommand, body: bytes) -> None:
        """Record the `rejected` event of a message that is no valid command."""
        with self.database.write() as connection:
            append_rejection(connection, invalid, body, self.now())

    # -- turns ------------------------------------------------------------------------------------------

    @contextmanager
    def hold(self, job_id: str) -> Iterator[JobLock | None]:
        """The exclusive right to run turns of a job; None if somebody else has it."""
        with self.database.connect() as connection, self._locks.hold(connection, f"job {job_id}") as held:
            yield JobLock(self.database, connection, job_id) if held else None

    @contextmanager
    def try_lead(self, connection: Connection) -> Iterator[bool]:
        """The right to dispatch; gives False if another process has it."""
        with self._locks.hold(connection, "dispatcher") as held:
            yield held

    def reschedule(self, job_id: str, turn: int, delay: float) -> None:
        """Have turn `turn` handed out again in `delay` seconds, unless it has ended by then."""
        with self.database.write() as connection:
            now = self.now()
            connection.execute(
                update(job)
                .where(
                    job.c.id == job_id,
                    job.c.turn == turn,
                    job.c.status.not_in(_ENDED),
                    or_(job.c.due_at.is_(None), job.c.due_at <= now),
                )
                .values(due_at=now + delay)
            )

    # -- dispatch ---------------------------------------------------------------------------------------

    def due(
        self, connection: Connection, limit: int, horizon: float = 0.0
    ) -> tuple[list[DueTurn], float | None]:
        """Turns whose time has come, the longest overdue first, and seconds until the next one.

        Only a next one within `horizon` seconds is looked for.
        """
        now = self.now()
        rows = connection.execute(_DUE_UNTIL, {"until": now + horizon, "most": limit}).all()
        later = next((row.due_at - now for row in rows if row.due_at > now), None)
        return [DueTurn(*row[:-1]) for row in rows if row.due_at <= now], later

    def due_except_polls(self, connection: Connection, budgets: Sequence[str], limit: int) -> list[DueTurn]:
        """Turns whose time has come, but for looks at vendors that count among `budgets`."""
        others = or_(job.c.rate_limit.is_(None), job.c.rate_limit.not_in(budgets))
        rows = connection.execute(
            select(*_DUE).where(job.c.due_at <= self.now(), others).order_by(job.c.due_at).limit(limit)
        )
        return [DueTurn(*row) for row in rows]

    def due_polls(self, connection: Connection, budget: str, limit: int) -> list[DueTurn]:
        """Looks whose time has come and that count among `budget`, the latest by expectation first."""
        now = self.now()
        waited = now - job.c.delay_since
        bend = case((waited > 0, job.c.delay_accel * waited), else_=0.0)
        grown = (job.c.delay_rate + bend) * waited
        late = job.c.delay_base + case((grown > waited, waited), else_=grown)  # as polling.Lateness has it
        rows = connection.execute(
            select(*_DUE)
            .where(job.c.due_at <= now, job.c.rate_limit == budget)
            .order_by(late.desc())
            .limit(limit)
        )
        return [DueTurn(*row) for row in rows]

    def polls_in_flight(self, connection: Connection, budgets: Sequence[str]) -> dict[str, int]:
        """How many looks of each budget are handed out and have not begun yet."""
        rows = connection.execute(
            select(job.c.rate_limit, func.count().label("polls"))
            .where(job.c.due_at.is_(None), job.c.ended_at.is_(None), job.c.begin_count == 0)
            .where(job.c.rate_limit.in_(budgets))
            .group_by(job.c.rate_limit)
        )
        return {row.rate_limit: int(row.polls) for row in rows}

    def handed(self, connection: Connection, turns: Sequence[DueTurn]) -> None:
        """The broker has confirmed these turns: their timers end, unless they were set anew meanwhile."""
        now = self.now()
        connection.execute(
            _HANDED, [{"job": turn.job_id, "its_turn": turn.turn, "now": now} for turn in turns]
        )

    def held(self, connection: Connection, turns: Sequence[tuple[str, int]]) -> None:
        """These turns, by job and number, are in the hands of a worker that has not come to them or works on them.

        They wait in no queue, so `recover_lost` would take them for lost.
        """
        statement = (
            update(job)
            .where(job.c.id == bindparam("job"), job.c.turn == bindparam("its_turn"))
            .where(job.c.due_at.is_(None), job.c.ended_at.is_(None))
            .values(updated_at=self.now())
        )
        connection.execute(statement, [{"job": job_id, "its_turn": turn} for job_id, turn in turns])

    def unpublished(self, connection: Connection, limit: int) -> list[StoredEvent]:
        """Events that the outbox still holds, oldest first."""
        rows = connection.execute(_UNPUBLISHED, {"most": limit})
        return [StoredEvent(*row) for row in rows]

    def published(self, connection: Connection, events: Sequence[StoredEvent]) -> None:
        """The broker has confirmed these events."""
        numbers = [stored.number for stored in events]
        connection.execute(_PUBLISHED, {"numbers": numbers, "now": self.now()})

    def requeue_lost(self, connection: Connection, queue: str, older_than: float, *, empty: bool) -> int:
        """Make turns due again whose hand-off must have been lost; gives how many.

        A queue is first in, first out: a turn handed out more than `older_than` seconds before another
        one that was taken since, or before a moment at which the queue was found `empty`, is not coming.
        A mere backlog is left alone. Turns that still run are told apart by their hold when they are taken.

        A turn that nobody is known to have handed out came with its command, whose place in the queue is not
        known, or was taken before the dispatcher could say so: it can be overtaken, but overtakes nobody.
        """
        now = self.now()
        overtaker = select(func.max(job.c.dispatched_at)).where(
            job.c.queue == queue,
            or_(job.c.due_at.is_not(None), job.c.status.in_(_ENDED)),
            job.c.updated_at > job.c.dispatched_at,
        )
        newest = now if empty else connection.scalar(overtaker)
        if newest is None:
            return 0
        lost = connection.execute(
            update(job)
            .where(
                job.c.queue == queue,
                job.c.due_at.is_(None),
                job.c.ended_at.is_(None),
                func.coalesce(job.c.dispatched_at, job.c.updated_at) < min(newest, now) - older_than,
                job.c.updated_at < now - older_than,
            )
            .values(due_at=now)
        )
        return int(lost.rowcount)

    def requeue_all(self, connection: Connection) -> None:
        """Make every handed-off turn due again: the embedded broker forgets them with its process."""
        connection.execute(
            update(job).where(job.c.due_at.is_(None), job.c.status.not_in(_ENDED)).values(due_at=self.now())
        )

    # -- control ----------------------------------------------------------------------------------------

    def cancel(self, job_id: str) -> Status | None:
        """Ask a job to end; a waiting one is woken. Gives its status, None if there is no such job."""
        with self.database.write() as connection:
            now = self.now()
            connection.execute(
                update(job)
                .where(job.c.id == job_id, job.c.status.not_in(_ENDED))
                .values(cancel_requested=True, updated_at=now)
            )
            connection.execute(
                update(job).where(job.c.id == job_id, job.c.due_at.is_not(None)).values(due_at=now)
            )
            return self._status(connection, job_id)

    def retry(self, job_id: str, by: str, deadline: float, *, repeat_effect: bool) -> Status | None:
        """Let a failed or cancelled job go on, once for each `by`. Raises `NotRetryable`.

        A `by` that is the id of a `job.retry` is about an ending before it: repeated later, it changes nothing.
        """
        with self.database.write() as connection:
            row = connection.execute(select(job).where(job.c.id == job_id).with_for_update()).one_or_none()
            if row is None:
                return None
            found, now = Job.of(row), self.now()
            asked_at = connection.scalar(select(job.c.accepted_at).where(job.c.id == by))
            too_late = asked_at is not None and (found.ended_at or 0.0) > asked_at
            if too_late or found.retried_by == by or found.status not in {Status.FAILED, Status.CANCELLED}:
                return found.status
            if found.error is not None and found.error["code"] == Code.OUTCOME_UNKNOWN:
                if not repeat_effect:
                    msg = "its effect may have happened: look at the vendor, then retry with repeat_effect"
                    raise NotRetryable(msg)
                connection.execute(
                    update(step)
                    .where(step.c.job_id == job_id, step.c.state == "intended")
                    .values(state="void", generation=step.c.generation + 1, started_at=now)
                )
            connection.execute(
                update(job)
                .where(job.c.id == job_id)
                .values(
                    status=Status.RUNNING.value, turn=job.c.turn + 1, begin_count=0, due_at=now, dispatched_at=None,
                    deadline_at=now + deadline, cancel_requested=False, attempt=job.c.attempt + 1,
                    retried_by=by, consecutive_failures=0, error=None, ended_at=None, updated_at=now,
                )
            )  # fmt: skip
            return Status.RUNNING

    def purge(self, older_than: float) -> int:
        """Forget jobs that ended more than `older_than` seconds ago, with steps and published events."""
        before = self.now() - older_than
        with self.database.write() as connection:
            old = select(job.c.id).where(job.c.status.in_(_ENDED), job.c.ended_at < before)
            waiting = select(event.c.job_id).where(event.c.published_at.is_(None))
            gone = list(connection.scalars(old.where(job.c.id.not_in(waiting))))
            for start in range(0, len(gone), 500):
                ids = gone[start : start + 500]
                connection.execute(delete(event).where(event.c.job_id.in_(ids)))
                connection.execute(delete(step).where(step.c.job_id.in_(ids)))
                connection.execute(delete(job).where(job.c.id.in_(ids)))
            connection.execute(
                delete(event).where(
                    event.c.sequence.is_(None), event.c.created_at < before, event.c.published_at.is_not(None)
                )
            )
            return len(gone)

    def erase(self, job_id: str) -> None:
        """Forget one job that has ended, with all that is stored of it. Raises `NotErasable`."""
        with self.database.write() as connection:
            status = self._status(connection, job_id)
            if status is None:
                raise NotErasable(f"there is no job {job_id}")
            if not status.ended:
                raise NotErasable(f"{job_id} is {status}: cancel it first")
            untold = select(event.c.number).where(event.c.job_id == job_id, event.c.published_at.is_(None))
            if connection.scalar(untold.limit(1)) is not None:
                raise NotErasable(f"{job_id}: its last events are not published yet, try again")
            for table, column in ((event, event.c.job_id), (step, step.c.job_id), (job, job.c.id)):
                connection.execute(delete(table).where(column == job_id))

    # -- looking ----------------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job | None:
        """One job."""
        with self.database.read() as connection:
            row = connection.execute(select(job).where(job.c.id == job_id)).one_or_none()
            return None if row is None else Job.of(row)

    def jobs(
        self,
        *,
        statuses: Sequence[str] = (),
        command: str | None = None,
        code: str | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Jobs, the last accepted first; `code` is the error code of failed ones."""
        where: list[ColumnElement[bool]] = []
        if statuses:
            where.append(job.c.status.in_(statuses))
        if command is not None:
            where.append(job.c.command == command)
        if code is not None:
            where.append(and_(job.c.status == Status.FAILED.value, job.c.error.contains(f'"code":"{code}"')))
        with self.database.read() as connection:
            rows = connection.execute(
                select(job).where(*where).order_by(job.c.accepted_at.desc()).limit(limit)
            )
            return [Job.of(row) for row in rows]

    def steps(self, job_id: str) -> list[Step]:
        """A job's steps in the order in which they began."""
        with self.database.read() as connection:
            rows = connection.execute(select(step).where(step.c.job_id == job_id).order_by(step.c.started_at))
            return [Step.of(row) for row in rows]

    def events(
        self, *, after: int = 0, since: float = 0.0, job_id: str | None = None, limit: int = 500
    ) -> list[StoredEvent]:
        """Events in the order in which they were written, numbers above `after`."""
        mine: ColumnElement[bool] = true() if job_id is None else event.c.job_id == job_id
        with self.database.read() as connection:
            rows = connection.execute(
                select(event.c.number, event.c.id, event.c.type, event.c.body)
                .where(event.c.number > after, event.c.created_at >= since, mine)
                .order_by(event.c.number)
                .limit(limit)
            )
            return [StoredEvent(*row) for row in rows]

    def stats(self) -> LedgerStats:
        """How all jobs stand, for whoever watches. Raises `LedgerUnavailable`."""
        with self.database.read() as connection:
            return collect_stats(self.database, connection)

    def check(self) -> None:
        """Raise unless the ledger can be reached and used."""
        self.database.check()

    def _status(self, connection: Connection, job_id: str) -> Status | None:
        found: Any = connection.scalar(select(job.c.status).where(job.c.id == job_id))
        return None if found is None else Status(found)
