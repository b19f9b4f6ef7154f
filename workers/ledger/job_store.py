"""The job store: commands become jobs, and turns get the exclusive right to run them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Executable,
    Float,
    Table,
    bindparam,
    or_,
    select,
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
from workers.ledger.locks import Locks
from workers.ledger.outbox import EventPayload, append_event, append_rejection, republish_last_event
from workers.ledger.records import Job, encode
from workers.ledger.schema import job, step

_ENDED = [status.value for status in Status if status.ended]


def _accept(insert: Callable[[Table], postgresql.Insert | sqlite.Insert]) -> Executable:
    """Return the statement that inserts a job unless its id exists; parameters other than `now` are its columns."""
    now: BindParameter[float] = bindparam("now", type_=Float(53))
    statement = insert(job).values(sequence=first_sequence(now) + 1, restored_at=restored_at(now))
    return statement.on_conflict_do_nothing().returning(job)


_ACCEPT, _ACCEPT_SQLITE = _accept(postgresql.insert), _accept(sqlite.insert)


class Acceptance(Enum):
    """The acceptance of a received command."""

    NEW = "new"
    SCHEDULED = "scheduled"  # new or a duplicate; its first turn is not due yet
    DUPLICATE = "duplicate"  # the same command again; its job has not ended
    DUPLICATE_ENDED = "duplicate_ended"  # the same command again; its final event is published again
    CONFLICT = "conflict"  # the id belongs to another command


class NotRetryable(Exception):
    """The job cannot be retried; the message says why."""


@dataclass(frozen=True)
class JobLock:
    """The exclusive right to run turns of one job, until the connection ends."""

    database: Database
    connection: Connection
    job_id: str

    def take(
        self, turn: int, admit: Callable[[int], bool] = lambda _: True, *, redelivered: bool = False
    ) -> Claim | None:
        """Begin the turn; return None if it was begun before or the job has ended. Arguments as in `Claim.take`."""
        return Claim.take(self.database, self.connection, self.job_id, turn, admit, redelivered=redelivered)

    def resume(self, job: Job) -> Claim:
        """Return the claim of the first turn of a new job, which was begun when the job was recorded and has no steps.

        If another worker has begins_now the job since, the first write is fenced.
        """
        return Claim(self.database, self.connection, job, {})


class JobStore:
    """Jobs, as turns and commands change them.

    Args:
        database: the ledger's.
        locks: of this ledger in this process.
    """

    def __init__(self, database: Database, locks: Locks) -> None:
        self.database = database
        self._locks = locks

    def accept(
        self, request: Request, deadline: float, *, claim_first_turn: bool
    ) -> tuple[Acceptance, Job | None]:
        """Record a command as a job, once.

        Args:
            request: the valid command.
            deadline: seconds that the job may take, from when it may begin.
            claim_first_turn: whether the caller runs the first turn now, if the job may begin now. Otherwise that turn is due at
                once, or waits for a timer if the job is scheduled for later.

        Returns:
            What became of the command, and the job if its first turn was begun with it (see `JobLock.resume`).
        """
        data = encode(dump(request.command))
        # Defaults are left out: a field that a later version adds does not change the fingerprint of earlier commands.
        non_defaults = encode(request.command.model_dump(mode="json", by_alias=True, exclude_defaults=True))
        fingerprint = hashlib.sha256(f"{request.type}\n{non_defaults}".encode()).hexdigest()
        with self.database.write() as connection:
            now = self.database.now()
            begin = max(now, request.not_before.timestamp()) if request.not_before else now
            begins_now = claim_first_turn and begin == now
            values = {
                "id": request.id, "command": request.type, "queue": request.command.queue(),
                "vendor": request.command.vendor(), "source": request.source,
                "correlation_id": request.correlation_id, "traceparent": request.traceparent,
                "tracestate": request.tracestate, "data": data, "fingerprint": fingerprint,
                "status": Status.ACCEPTED.value, "turn": 1, "begin_count": int(begins_now), "fence": int(begins_now),
                "due_at": None if begins_now else begin,
                "deadline_at": begin + deadline, "accepted_at": now, "updated_at": now,
            }  # fmt: skip
            statement = _ACCEPT_SQLITE if self.database.sqlite else _ACCEPT
            added = connection.execute(statement, {"now": now, **values}).one_or_none()
            if added is None:
                return self._classify_duplicate(connection, request.id, fingerprint, now), None
            new = Job.from_row(added)
            append_event(connection, new, EventPayload(Outcome.ACCEPTED, Status.ACCEPTED), new.sequence, now)
            accepted = Acceptance.NEW if begin == now else Acceptance.SCHEDULED
            return accepted, new if begins_now else None

    def _classify_duplicate(
        self, connection: Connection, id: str, fingerprint: str, now: float
    ) -> Acceptance:
        known = Job.from_row(connection.execute(select(job).where(job.c.id == id)).one())
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
            append_rejection(connection, invalid, body, self.database.now())

    @contextmanager
    def lock(self, job_id: str) -> Iterator[JobLock | None]:
        """Lock a job for running its turns; yield None if another worker holds the lock."""
        with self.database.connect() as connection, self._locks.hold(connection, f"job {job_id}") as held:
            yield JobLock(self.database, connection, job_id) if held else None

    def reschedule(self, job_id: str, turn: int, delay: float) -> None:
        """Dispatch the turn again in `delay` seconds, unless it has ended by then."""
        with self.database.write() as connection:
            now = self.database.now()
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

    def cancel(self, job_id: str) -> Status | None:
        """Request the end of a job and wake it if it waits; return its status, None if there is no such job."""
        with self.database.write() as connection:
            now = self.database.now()
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
        """Let a failed or cancelled job continue, once for each `by`.

        A `by` that is the id of a `job.retry` refers to an ending before that command. Repeated later, it changes nothing.

        Returns:
            The job's status; None if there is no such job.

        Raises:
            NotRetryable: the job failed as `outcome_unknown`, and `repeat_effect` is false.
        """
        with self.database.write() as connection:
            row = connection.execute(select(job).where(job.c.id == job_id).with_for_update()).one_or_none()
            if row is None:
                return None
            retried, now = Job.from_row(row), self.database.now()
            requested_at = connection.scalar(select(job.c.accepted_at).where(job.c.id == by))
            too_late = requested_at is not None and (retried.ended_at or 0.0) > requested_at
            if (
                too_late
                or retried.retried_by == by
                or retried.status not in {Status.FAILED, Status.CANCELLED}
            ):
                return retried.status
            if retried.error is not None and retried.error["code"] == Code.OUTCOME_UNKNOWN:
                if not repeat_effect:
                    msg = "its effect may have happened: check at the vendor, then retry with repeat_effect"
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

    def _status(self, connection: Connection, job_id: str) -> Status | None:
        status: Any = connection.scalar(select(job.c.status).where(job.c.id == job_id))
        return None if status is None else Status(status)
