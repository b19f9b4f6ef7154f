"""How all jobs of the ledger stand: counts and oldest, from indexes alone, however many jobs there are."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, Float, Text, case, func, literal_column, select, text

from messages.catalogue import COMMANDS, QUEUES
from workers.ledger.database import Database
from workers.ledger.schema import event, job

#: A look that takes longer than so many milliseconds is given up (PostgreSQL).
LONGEST_LOOK = 2_000


@dataclass(frozen=True)
class LedgerStats:
    """How it was at `now`, in epoch seconds.

    Attributes:
        jobs: by command and state: `waiting`, `due` or `out`.
        oldest_due: when the longest due turn became due.
        oldest_out: when the oldest turn of each queue that is not done was handed out.
        unpublished: events in the outbox.
        oldest_unpublished: when the first of them was written.
    """

    now: float
    jobs: dict[tuple[str, str], int] = field(default_factory=dict)
    oldest_due: float | None = None
    oldest_out: dict[str, float] = field(default_factory=dict)
    unpublished: int = 0
    oldest_unpublished: float | None = None


def collect_stats(database: Database, connection: Connection) -> LedgerStats:
    """Look. Raises `LedgerUnavailable` through the connection's block."""
    now = database.now()
    if not database.sqlite:
        connection.execute(text(f"SET LOCAL statement_timeout = {LONGEST_LOOK:d}"))
    jobs = {(command, state): 0 for command in COMMANDS for state in ("waiting", "due", "dispatched")}
    late = func.sum(case((job.c.due_at <= now, 1), else_=0))
    timers = (
        select(job.c.command, func.count(), late, func.min(job.c.due_at))
        .where(job.c.due_at.is_not(None))
        .group_by(job.c.command)
    )
    due: list[float] = []
    for its_command, count, overdue, first in connection.execute(timers):
        jobs[its_command, "waiting"] = count - overdue
        jobs[its_command, "due"] = int(overdue)
        due += [first] if first <= now else []
    command, queue = literal_column("command", Text), literal_column("queue", Text)
    outside = (
        select(queue, command, func.count(), func.min(literal_column("dispatched_at", Float)))
        # SQLite keeps no statistics and might take an index that holds every job.
        .select_from(text("job INDEXED BY job_in_flight" if database.sqlite else "job"))
        .where(text("due_at IS NULL AND ended_at IS NULL"))
        .group_by(queue, command)
    )
    oldest_out = dict.fromkeys(QUEUES, now)
    for its_queue, its_command, count, oldest in connection.execute(outside):
        jobs[its_command, "dispatched"] = count
        oldest_out[its_queue] = min(oldest_out.get(its_queue, now), oldest or now)
    untold = event.c.published_at.is_(None)
    return LedgerStats(
        now=now,
        jobs=jobs,
        oldest_due=min(due, default=None),
        oldest_out=oldest_out,
        unpublished=connection.scalar(select(func.count()).select_from(event).where(untold)) or 0,
        oldest_unpublished=connection.scalar(
            select(event.c.created_at).where(untold).order_by(event.c.number).limit(1)
        ),
    )
