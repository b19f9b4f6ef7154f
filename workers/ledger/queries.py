"""Queries of operators: jobs, steps, events and statistics; purging and erasing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    select,
    true,
)

from messages.events import Status
from workers.ledger.database import Database
from workers.ledger.records import Job, Step, StoredEvent
from workers.ledger.schema import event, job, step
from workers.ledger.statistics import LedgerStats, collect_stats

_ENDED = [status.value for status in Status if status.ended]


class NotErasable(Exception):
    """The job cannot be erased now; the message says why."""


class LedgerQueries:
    """Reads the ledger, and deletes what is no longer needed.

    Args:
        database: the ledger's.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def job(self, job_id: str) -> Job | None:
        """Return a job; None if there is none."""
        with self.database.read() as connection:
            row = connection.execute(select(job).where(job.c.id == job_id)).one_or_none()
            return None if row is None else Job.from_row(row)

    def jobs(
        self,
        *,
        statuses: Sequence[str] = (),
        command: str | None = None,
        code: str | None = None,
        limit: int = 50,
    ) -> list[Job]:
        """Return jobs, the last accepted first; `code` is the error code of failed ones."""
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
            return [Job.from_row(row) for row in rows]

    def steps(self, job_id: str) -> list[Step]:
        """Return a job's steps in the order in which they began."""
        with self.database.read() as connection:
            rows = connection.execute(select(step).where(step.c.job_id == job_id).order_by(step.c.started_at))
            return [Step.from_row(row) for row in rows]

    def events(
        self, *, after: int = 0, since: float = 0.0, job_id: str | None = None, limit: int = 500
    ) -> list[StoredEvent]:
        """Return events in the order in which they were written, with numbers above `after`."""
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
        """Return the statistics of all jobs. Raises `LedgerUnavailable`."""
        with self.database.read() as connection:
            return collect_stats(self.database, connection)

    def check(self) -> None:
        """Raise `LedgerUnavailable` or `LedgerOutdated` unless the ledger can be used."""
        self.database.check()

    def purge(self, older_than: float) -> int:
        """Delete jobs that ended more than `older_than` seconds ago, with steps and published events; return how many."""
        before = self.database.now() - older_than
        with self.database.write() as connection:
            old = select(job.c.id).where(job.c.status.in_(_ENDED), job.c.ended_at < before)
            waiting = select(event.c.job_id).where(event.c.published_at.is_(None))
            deleted = list(connection.scalars(old.where(job.c.id.not_in(waiting))))
            for start in range(0, len(deleted), 500):
                ids = deleted[start : start + 500]
                connection.execute(delete(event).where(event.c.job_id.in_(ids)))
                connection.execute(delete(step).where(step.c.job_id.in_(ids)))
                connection.execute(delete(job).where(job.c.id.in_(ids)))
            connection.execute(
                delete(event).where(
                    event.c.sequence.is_(None), event.c.created_at < before, event.c.published_at.is_not(None)
                )
            )
            return len(deleted)

    def erase(self, job_id: str) -> None:
        """Delete one job that has ended, with everything stored of it. Raises `NotErasable`."""
        with self.database.write() as connection:
            status = self._status(connection, job_id)
            if status is None:
                raise NotErasable(f"there is no job {job_id}")
            if not status.ended:
                raise NotErasable(f"{job_id} is {status}: cancel it first")
            unpublished = select(event.c.number).where(
                event.c.job_id == job_id, event.c.published_at.is_(None)
            )
            if connection.scalar(unpublished.limit(1)) is not None:
                raise NotErasable(f"{job_id}: its last events are not published yet, try again")
            for table, column in ((event, event.c.job_id), (step, step.c.job_id), (job, job.c.id)):
                connection.execute(delete(table).where(column == job_id))

    def _status(self, connection: Connection, job_id: str) -> Status | None:
        status: Any = connection.scalar(select(job.c.status).where(job.c.id == job_id))
        return None if status is None else Status(status)
