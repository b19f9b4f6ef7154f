"""The transactional outbox: events are written in the transaction that changes the job, and published afterwards."""

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
    """What an event says beyond the job itself."""

    outcome: Outcome
    status: Status
    progress: Progress | None = None
    result: dict[str, Any] | None = None
    error: Error | None = None
    stats: Stats | None = None


def append_event(connection: Connection, job: Job, payload: EventPayload, sequence: int, now: float) -> None:
    """Add the job's next event to the outbox.

    The event's id is derived from the job's id and the sequence number, so it is stable.
    """
    body = outcome_event(
        id=f"{job.id}.{sequence}",
        outcome=payload.outcome,
        data=EventData(
            job_id=job.id,
            command=job.command,
            vendor=job.vendor,
            status=payload.status,
            accepted_at=to_datetime(job.accepted_at),
            updated_at=to_datetime(now),
            progress=payload.progress,
            result=payload.result,
            error=payload.error,
            stats=payload.stats,
        ),
        time=to_datetime(now),
        correlation_id=job.correlation_id,
        sequence=sequence,
        traceparent=job.span or job.traceparent,
        tracestate=job.tracestate,
    )
    _insert(connection, body, job.id, sequence, now)


def republish_last_event(connection: Connection, job_id: str) -> None:
    """Add the last event of a job to the outbox again.

    It gets a new number. A dispatcher that is publishing the old row at this moment marks only that row as published.
    """
    last = select(func.max(event.c.number)).where(event.c.job_id == job_id, event.c.sequence.is_not(None))
    removed = delete(event).where(event.c.number == last.scalar_subquery()).returning(event)
    last_event = connection.execute(removed).mappings().one_or_none()
    if last_event is not None:  # otherwise a concurrent repeat has done it
        connection.execute(
            insert(event).values(
                {name: last_event[name] for name in last_event if name not in {"number", "published_at"}}
            )
        )


def append_rejection(connection: Connection, invalid: InvalidCommand, body: bytes, now: float) -> None:
    """Add a `rejected` event to the outbox, once for each message however often it is delivered."""
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
    """Return what the job has cost so far."""
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
