"""How long earlier jobs took: the samples that the polling policy learns from."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, union_all

from workers.ledger.database import translated
from workers.ledger.records import DurationSample
from workers.ledger.schema import job, step


def read_duration_samples(
    connection: Connection, steps: Sequence[tuple[str, str]], limit: int
) -> list[DurationSample]:
    """Return the last `limit` finished polls of comparable steps, newest first.

    Args:
        connection: to the ledger, outside a transaction.
        steps: the steps whose durations are comparable, each as (command, step name).
        limit: largest number of samples.

    Raises:
        LedgerUnavailable: the ledger cannot be reached.
    """
    polls = [
        select(
            step.c.started_at,
            step.c.ended_at,
            step.c.last_polled_at,
            step.c.size,
            step.c.reported_share,
            step.c.reported_at,
        )
        .join(job, job.c.id == step.c.job_id)
        .where(step.c.kind == "poll", step.c.name == name, step.c.ended_at.is_not(None))
        .where(job.c.command == command)
        .order_by(step.c.ended_at.desc())
        .limit(limit)
        .subquery()
        for command, name in steps
    ]
    newest = union_all(*(select(each) for each in polls)).subquery()
    with translated(), connection.begin():
        rows = connection.execute(select(newest).order_by(newest.c.ended_at.desc()).limit(limit)).all()
    return [
        DurationSample(
            ended=row.ended_at - row.started_at,
            seen=None if row.last_polled_at is None else row.last_polled_at - row.started_at,
            size=row.size,
            reported_share=row.reported_share,
            reported_after=None if row.reported_at is None else row.reported_at - row.started_at,
            began=row.started_at,
        )
        for row in rows
    ]
