"""Disaster recovery: a ledger restored from a backup does not know what vendors and RabbitMQ did since.

    backup ─────── what happened here is forgotten ────── restored ── commands are sent again ── finished
                   effects, jobs, events                     │                                     │
                                                jobs may have done more                new jobs are trusted
                                                than the ledger records                again

Every job that had not completed, and every new job until recovery is finished, carries the time of the restore. An
effect that the ledger has not recorded since then is looked up at the vendor before it is done (`Run.once`).
"""

from __future__ import annotations

from sqlalchemy import BindParameter, Integer, ScalarSelect, case, cast, func, insert, literal, select, update
from sqlalchemy.sql.elements import ColumnElement

from messages.events import Status
from workers.ledger.database import Database
from workers.ledger.schema import job, recovery


def start_recovery(database: Database, window: float) -> int:
    """Mark the ledger as restored now.

    Events continue from a sequence number that no forgotten event has had: the seconds since 1970, because a job
    publishes fewer than one event a second.

    Args:
        database: the ledger's.
        window: seconds in which commands may be repeats of forgotten ones.

    Returns:
        How many jobs may have done more than the ledger records.
    """
    now = database.now()
    with database.write() as connection:
        connection.execute(insert(recovery).values(at=now, until=now + window))
        marked = connection.execute(
            update(job)
            .where(job.c.status != Status.COMPLETED.value)
            .values(
                restored_at=now,
                sequence=case((job.c.sequence < int(now), int(now)), else_=job.c.sequence),
            )
        )
        return int(marked.rowcount)


def finish_recovery(database: Database) -> bool:
    """Treat new commands as new from now on; return False if they already were."""
    now = database.now()
    with database.write() as connection:
        open_ = update(recovery).where(recovery.c.until > now).values(until=now)
        return bool(connection.execute(open_).rowcount)


def restored_at(now: float | BindParameter[float]) -> ScalarSelect[float | None]:
    """Return when the ledger was restored, for a job accepted at `now`; null if recovery is finished or never began."""
    return select(func.max(recovery.c.at)).where(recovery.c.until > now).scalar_subquery()


def first_sequence(now: float | BindParameter[float]) -> ColumnElement[int]:
    """Return the number after which the events of a job accepted at `now` continue."""
    return func.coalesce(cast(restored_at(now), Integer), literal(0))
