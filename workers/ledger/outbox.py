"""Writing events into the outbox, in the transaction that changes the job."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from messages.envelope import InvalidCommand
from messages.errors import Error, FieldError
from messages.events import EventData, Outcome, Progress, Stats, Status, outcome_event
from workers.ledger.records import Job, encode, to_datetime
from workers.ledger.schema import event

_ADD = insert(event)


@dataclass(frozen=True)
class EventPayload:
    """What an event tells beyond the job itself."""

    outcome: Outcome
    status: Status
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    error: Error | None = None
    stats: Stats | None = None


def append_event(connection: Connection, job: Job, news: EventPayload, sequence: int, now: float) -> None:
    """Put the job's next event into the outbox. Its id is derived from job and sequence, so it is stable."""
    body = outcome_event(
        id=f"{job.id}.{sequence}",
        outcome=news.outcome,
        data=EventData(
            job_id=job.id,
            command=job.command,
            vendor=job.vendor,
            status=news.status,
            accepted_at=to_datetime(job.accepted_at),
            updated_at=to_datetime(now),
            progress=news.progress,
            result=news.result,
            error=news.error,
            stats=news.stats,
        ),
        time=to_datetime(now),
        correlation_id=job.correlation_id,
        sequence=sequence,
        traceparent=job.span or job.traceparent,
        tracestate=job.tracestate,
    )
    _insert(connection, body, job.id, sequence, now)


def republish_last_event(connection: Connection, job_id: str) -> None:
    """Put the last event of a job into the outbox once more.

    It gets another number, so that who is publishing it just now cannot strike that off as well.
    """
    last = select(func.max(event.c.number)).where(event.c.job_id == job_id, event.c.sequence.is_not(None))
    taken = delete(event).where(event.c.number == last.scalar_subquery()).returning(event)
    told = connection.execute(taken).mappings().one_or_none()
    if told is not None:  # else another repeat does the same at this moment
        connection.execute(
            insert(event).values(
                {name: told[name] for name in told if name not in {"number", "published_at"}}
            )
        )


def append_rejection(connection: Connection, invalid: InvalidCommand, body: bytes, now: float) -> None:
    """Put a `rejected` event into the outbox, once for the same message however often it comes."""
    if invalid.id is None:
        return
    digest = hashlib.sha256(body + invalid.code.encode()).hexdigest()[:32]
    id_ = f"{invalid.id}.rejected.{digest}"
    if connection.scalar(select(event.c.number).where(event.c.id == id_)) is not None:
        return
    command = invalid.type or "unknown"
    area = command.partition(".")[0]
    error = Error(
        code=invalid.code,
        message=str(invalid)[:1_000],
        detail=[FieldError(field=d.field, message=d.message) for d in invalid.details],
        retryable=invalid.code.retryable,
    )
    cloud_event = outcome_event(
        id=id_,
        outcome=Outcome.REJECTED,
        data=EventData(
            job_id=invalid.id,
            command=command,
            vendor=area if area in {"creditsafe", "data8", "sayari"} else None,
            status=Status.REJECTED,
            updated_at=to_datetime(now),
            error=error,
        ),
        time=to_datetime(now),
        correlation_id=invalid.correlation_id or invalid.id,
        sequence=None,
    )
    _insert(connection, cloud_event, invalid.id, None, now)


def job_stats(job: Job, now: float) -> Stats:
    """What the job has cost so far."""
    return Stats(
        turns=job.turns,
        polls=job.polls,
        vendor_calls=job.vendor_calls,
        retries=job.retries,
        seconds=round(max(now - job.accepted_at, 0.0), 3),
    )


def _insert(
    connection: Connection, body: dict[str, Any], job_id: str, sequence: int | None, now: float
) -> None:
    values = {
        "id": body["id"], "job_id": job_id, "sequence": sequence, "type": body["type"], "body": encode(body),
        "created_at": now,
    }  # fmt: skip
    connection.execute(_ADD, values)
