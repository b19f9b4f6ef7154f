"""Statistics of all jobs, read from indexes alone, however many jobs there are."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, Float, Text, case, func, literal_column, select, text

from messages.catalogue import COMMANDS, QUEUES
from workers.ledger.database import Database
from workers.ledger.schema import event, job

#: PostgreSQL cancels a statistics query that takes longer.
QUERY_TIMEOUT_MILLISECONDS = 2_000


@dataclass(frozen=True)
class LedgerStats:
    """The ledger's statistics at `now`, in epoch seconds.

    Attributes:
        jobs: number of jobs by command and state: `waiting`, `due` or `dispatched`.
        oldest_due: since when the longest overdue turn has been due.
        oldest_dispatched: when the oldest unfinished turn of each queue was dispatched.
        unpublished: number of events in the outbox.
        oldest_unpublished: when the first of them was written.
    """

    now: float
    jobs: dict[tuple[str, str], int] = field(default_factory=dict)
    oldest_due: float | None = None
    oldest_dispatched: dict[str, float] = field(default_factory=dict)
    unpublished: int = 0
    oldest_unpublished: float | None = None


def collect_stats(database: Database, connection: Connection) -> LedgerStats:
    """Read the statistics. The connection's block raises `LedgerUnavailable`."""
    now = database.now()
    if not database.sqlite:
        connection.execute(text(f"SET LOCAL statement_timeout = {QUERY_TIMEOUT_MILLISECONDS:d}"))
    jobs = {(command, state): 0 for command in COMMANDS for state in ("waiting", "due", "dispatched")}
    late = func.sum(case((job.c.due_at <= now, 1), else_=0))
    waiting = (
        select(job.c.command, func.count(), late, func.min(job.c.due_at))
        .where(job.c.due_at.is_not(None))
        .group_by(job.c.command)
    )
    due: list[float] = []
    for its_command, count, overdue, first in connection.execute(waiting):
        jobs[its_command, "waiting"] = count - overdue
        jobs[its_command, "due"] = int(overdue)
        due += [first] if first <= now else []
    command, queue = literal_column("command", Text), literal_column("queue", Text)
    dispatched = (
        select(queue, command, func.count(), func.min(literal_column("dispatched_at", Float)))
        # SQLite keeps no statistics and might take an index that holds every job.
        .select_from(text("job INDEXED BY job_in_flight" if database.sqlite else "job"))
        .where(text("due_at IS NULL AND ended_at IS NULL"))
        .group_by(queue, command)
    )
    oldest_dispatched = dict.fromkeys(QUEUES, now)
    for its_queue, its_command, count, oldest in connection.execute(dispatched):
        jobs[its_command, "dispatched"] = count
        oldest_dispatched[its_queue] = min(oldest_dispatched.get(its_queue, now), oldest or now)
    unpublished = event.c.published_at.is_(None)
    return LedgerStats(
        now=now,
        jobs=jobs,
        oldest_due=min(due, default=None),
        oldest_dispatched=oldest_dispatched,
        unpublished=connection.scalar(select(func.count()).select_from(event).where(unpublished)) or 0,
        oldest_unpublished=connection.scalar(
            select(event.c.created_at).where(unpublished).order_by(event.c.number).limit(1)
        ),
    )
