"""The dispatch queue: timers, the outbox, lost turns and leader election."""

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
from workers.ledger.locks import Locks
from workers.ledger.records import DueTurn, StoredEvent
from workers.ledger.schema import event, job

_DUE = (job.c.id, job.c.command, job.c.queue, job.c.turn, job.c.rate_limit)
_ENDED = [status.value for status in Status if status.ended]

_DUE_UNTIL = (
    select(*_DUE, job.c.due_at)
    .where(job.c.due_at <= bindparam("until"))
    .order_by(job.c.due_at)
    .limit(bindparam("limit"))
)
_MARK_DISPATCHED = (
    update(job)
    .where(
        job.c.id == bindparam("job"), job.c.turn == bindparam("its_turn"), job.c.due_at <= bindparam("now")
    )
    .values(due_at=None, dispatched_at=bindparam("now"))
)
_UNPUBLISHED_EVENTS = (
    select(event.c.number, event.c.id, event.c.type, event.c.body)
    .where(event.c.published_at.is_(None))
    .order_by(event.c.number)
    .limit(bindparam("limit"))
)
_MARK_PUBLISHED = (
    update(event)
    .where(event.c.number.in_(bindparam("numbers", expanding=True)))
    .values(published_at=bindparam("now"))
)


class DispatchQueue:
    """Due turns and unpublished events.

    Args:
        database: the ledger's.
        locks: of this ledger in this process.
    """

    def __init__(self, database: Database, locks: Locks) -> None:
        self.database = database
        self._locks = locks

    @contextmanager
    def try_lead(self, connection: Connection) -> Iterator[bool]:
        """Become the leader within the block; yield False if another process is."""
        with self._locks.hold(connection, "dispatcher") as held:
            yield held

    def due(
        self, connection: Connection, limit: int, horizon: float = 0.0
    ) -> tuple[list[DueTurn], float | None]:
        """Return due turns, the longest overdue first, and the seconds until the next one.

        The next one is searched for within `horizon` seconds only.
        """
        now = self.database.now()
        rows = connection.execute(_DUE_UNTIL, {"until": now + horizon, "limit": limit}).all()
        later = next((row.due_at - now for row in rows if row.due_at > now), None)
        return [DueTurn(*row[:-1]) for row in rows if row.due_at <= now], later

    def due_except_polls(
        self, connection: Connection, rate_limits: Sequence[str], limit: int
    ) -> list[DueTurn]:
        """Return due turns other than polls that count against one of the rate limits, the longest overdue first."""
        others = or_(job.c.rate_limit.is_(None), job.c.rate_limit.not_in(rate_limits))
        rows = connection.execute(
            select(*_DUE)
            .where(job.c.due_at <= self.database.now(), others)
            .order_by(job.c.due_at)
            .limit(limit)
        )
        return [DueTurn(*row) for row in rows]

    def due_polls(self, connection: Connection, rate_limit: str, limit: int) -> list[DueTurn]:
        """Return due polls that count against the rate limit, the one with the longest expected delay first."""
        now = self.database.now()
        waited = now - job.c.delay_since
        acceleration = case((waited > 0, job.c.delay_accel * waited), else_=0.0)
        grown = (job.c.delay_rate + acceleration) * waited
        late = job.c.delay_base + case(
            (grown > waited, waited), else_=grown
        )  # as in polling.policy.DelayCurve
        rows = connection.execute(
            select(*_DUE)
            .where(job.c.due_at <= now, job.c.rate_limit == rate_limit)
            .order_by(late.desc())
            .limit(limit)
        )
        return [DueTurn(*row) for row in rows]

    def polls_in_flight(self, connection: Connection, rate_limits: Sequence[str]) -> dict[str, int]:
        """Return how many polls of each rate limit are dispatched and not begun."""
        rows = connection.execute(
            select(job.c.rate_limit, func.count().label("polls"))
            .where(job.c.due_at.is_(None), job.c.ended_at.is_(None), job.c.begin_count == 0)
            .where(job.c.rate_limit.in_(rate_limits))
            .group_by(job.c.rate_limit)
        )
        return {row.rate_limit: int(row.polls) for row in rows}

    def mark_dispatched(self, connection: Connection, turns: Sequence[DueTurn]) -> None:
        """Record that the broker has confirmed these turns: their timers end, unless they were set again in the meantime."""
        now = self.database.now()
        connection.execute(
            _MARK_DISPATCHED, [{"job": turn.job_id, "its_turn": turn.turn, "now": now} for turn in turns]
        )

    def heartbeat(self, connection: Connection, turns: Sequence[tuple[str, int]]) -> None:
        """Record that this process has received these turns (job id, turn) and not settled them.

        They wait in no queue, so `requeue_lost` would take them for lost.
        """
        statement = (
            update(job)
            .where(job.c.id == bindparam("job"), job.c.turn == bindparam("its_turn"))
            .where(job.c.due_at.is_(None), job.c.ended_at.is_(None))
            .values(updated_at=self.database.now())
        )
        connection.execute(statement, [{"job": job_id, "its_turn": turn} for job_id, turn in turns])

    def unpublished_events(self, connection: Connection, limit: int) -> list[StoredEvent]:
        """Return events that are not published yet, oldest first."""
        rows = connection.execute(_UNPUBLISHED_EVENTS, {"limit": limit})
        return [StoredEvent(*row) for row in rows]

    def mark_published(self, connection: Connection, events: Sequence[StoredEvent]) -> None:
        """Record that the broker has confirmed these events."""
        numbers = [stored.number for stored in events]
        connection.execute(_MARK_PUBLISHED, {"numbers": numbers, "now": self.database.now()})

    def requeue_lost(self, connection: Connection, queue: str, older_than: float, *, empty: bool) -> int:
        """Make turns due again whose message must have been lost; return how many.

        A queue is first in, first out. A turn that was dispatched more than `older_than` seconds before another one that was
        begun since, or before a time at which the queue was found `empty`, will not come. A mere backlog is left alone.
        Turns that still run are recognised by their lock when they are begun.

        A turn without `dispatched_at` came with its command, or was begun before the dispatcher could record it. It can be
        overtaken, but overtakes no other.
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
        """Make every dispatched turn due again: the embedded broker loses them with its process."""
        connection.execute(
            update(job)
            .where(job.c.due_at.is_(None), job.c.status.not_in(_ENDED))
            .values(due_at=self.database.now())
        )
