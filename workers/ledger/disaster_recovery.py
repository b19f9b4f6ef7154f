"""A ledger that was brought back from a back-up: the vendors and RabbitMQ went on since, it knows nothing of that.

    back-up ────── what happened here is forgotten ────── restored ── commands are sent again ── settled
                   effects, jobs, events                     │                                     │
                                                jobs may have done more                new jobs are trusted
                                                than the ledger says                   as ever

Every job that had not completed, and every new one until it is settled, bears the moment of the restoration: an
effect that the ledger has not seen since then is looked for at the vendor before it is done (`Run.once`).
"""

from __future__ import annotations

from sqlalchemy import BindParameter, Integer, ScalarSelect, case, cast, func, insert, literal, select, update
from sqlalchemy.sql.elements import ColumnElement

from messages.events import Status
from workers.ledger.database import Database
from workers.ledger.schema import job, recovery


def start_recovery(database: Database, window: float) -> int:
    """Mark the ledger as restored just now; gives the number of jobs that may have done more than it knows.

    Events go on from a number that no forgotten event has had: the seconds since 1970, since a job tells less
    than one event a second.

    Args:
        database: the ledger's.
        window: seconds in which commands may be repeats of forgotten ones.
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
    """From now on new commands are new. Gives False if they were already."""
    now = database.now()
    with database.write() as connection:
        open_ = update(recovery).where(recovery.c.until > now).values(until=now)
        return bool(connection.execute(open_).rowcount)


def restored_at(now: float | BindParameter[float]) -> ScalarSelect[float | None]:
    """What a job accepted at `now` bears: when the ledger was restored, null if that is settled or never was."""
    return select(func.max(recovery.c.at)).where(recovery.c.until > now).scalar_subquery()


def first_sequence(now: float | BindParameter[float]) -> ColumnElement[int]:
    """The number from which the events of a job accepted at `now` go on."""
    return func.coalesce(cast(restored_at(now), Integer), literal(0))
