"""Timers, the outbox and lost turns: what the dispatcher asks of the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import (
    Connection,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)

from messages.events import Status
from workers.ledger.database import Database
from workers.ledger.locks import build_locks
from workers.ledger.records import DueTurn, StoredEvent
from workers.ledger.schema import event, job

_DUE = (job.c.id, job.c.command, job.c.queue, job.c.turn, job.c.rate_limit)
_ENDED = [status.value for status in Status if status.ended]

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


class DispatchQueue:
    """Due turns and unpublished events.

    Args:
        database: the ledger's.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._locks = build_locks(database)

    @contextmanager
    def try_lead(self, connection: Connection) -> Iterator[bool]:
        """The right to dispatch; gives False if another process has it."""
        with self._locks.hold(connection, "dispatcher") as held:
            yield held

    def due(
        self, connection: Connection, limit: int, horizon: float = 0.0
    ) -> tuple[list[DueTurn], float | None]:
        """Turns whose time has come, the longest overdue first, and seconds until the next one.

        Only a next one within `horizon` seconds is looked for.
        """
        now = self.database.now()
        rows = connection.execute(_DUE_UNTIL, {"until": now + horizon, "most": limit}).all()
        later = next((row.due_at - now for row in rows if row.due_at > now), None)
        return [DueTurn(*row[:-1]) for row in rows if row.due_at <= now], later

    def due_except_polls(self, connection: Connection, budgets: Sequence[str], limit: int) -> list[DueTurn]:
        """Turns whose time has come, but for looks at vendors that count among `budgets`."""
        others = or_(job.c.rate_limit.is_(None), job.c.rate_limit.not_in(budgets))
        rows = connection.execute(
            select(*_DUE)
            .where(job.c.due_at <= self.database.now(), others)
            .order_by(job.c.due_at)
            .limit(limit)
        )
        return [DueTurn(*row) for row in rows]

    def due_polls(self, connection: Connection, budget: str, limit: int) -> list[DueTurn]:
        """Looks whose time has come and that count among `budget`, the latest by expectation first."""
        now = self.database.now()
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

    def mark_dispatched(self, connection: Connection, turns: Sequence[DueTurn]) -> None:
        """The broker has confirmed these turns: their timers end, unless they were set anew meanwhile."""
        now = self.database.now()
        connection.execute(
            _HANDED, [{"job": turn.job_id, "its_turn": turn.turn, "now": now} for turn in turns]
        )

    def heartbeat(self, connection: Connection, turns: Sequence[tuple[str, int]]) -> None:
        """These turns, by job and number, are in the hands of a worker that has not come to them or works on them.

        They wait in no queue, so `recover_lost` would take them for lost.
        """
        statement = (
            update(job)
            .where(job.c.id == bindparam("job"), job.c.turn == bindparam("its_turn"))
            .where(job.c.due_at.is_(None), job.c.ended_at.is_(None))
            .values(updated_at=self.database.now())
        )
        connection.execute(statement, [{"job": job_id, "its_turn": turn} for job_id, turn in turns])

    def unpublished_events(self, connection: Connection, limit: int) -> list[StoredEvent]:
        """Events that the outbox still holds, oldest first."""
        rows = connection.execute(_UNPUBLISHED, {"most": limit})
        return [StoredEvent(*row) for row in rows]

    def mark_published(self, connection: Connection, events: Sequence[StoredEvent]) -> None:
        """The broker has confirmed these events."""
        numbers = [stored.number for stored in events]
        connection.execute(_PUBLISHED, {"numbers": numbers, "now": self.database.now()})

    def requeue_lost(self, connection: Connection, queue: str, older_than: float, *, empty: bool) -> int:
        """Make turns due again whose hand-off must have been lost; gives how many.

        A queue is first in, first out: a turn handed out more than `older_than` seconds before another
        one that was taken since, or before a moment at which the queue was found `empty`, is not coming.
        A mere backlog is left alone. Turns that still run are told apart by their hold when they are taken.

        A turn that nobody is known to have handed out came with its command, whose place in the queue is not
        known, or was taken before the dispatcher could say so: it can be overtaken, but overtakes nobody.
        """
        now = self.database.now()
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
            update(job)
            .where(job.c.due_at.is_(None), job.c.status.not_in(_ENDED))
            .values(due_at=self.database.now())
        )
