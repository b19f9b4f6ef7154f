"""Events: what became of a command."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field, JsonValue

from messages.base import Model
from messages.errors import Error

SOURCE = "/kyb-workers"


class Outcome(StrEnum):
    """The last segment of an event's type."""

    ACCEPTED = "accepted"
    PROGRESSED = "progressed"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def final(self) -> bool:
        """Whether it ends a job."""
        return self in {Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELLED}


class Status(StrEnum):
    """Where a job stands."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def ended(self) -> bool:
        """Whether it will not go on by itself."""
        return self not in {Status.ACCEPTED, Status.RUNNING}


class Progress(Model):
    """How far a job has come with its current step."""

    step: str
    percent: float | None = Field(default=None, ge=0, le=100)
    done: int | None = None
    total: int | None = None
    eta: datetime | None = Field(default=None, description="when the vendor expects to be done")


class Stats(Model):
    """What a job has cost so far."""

    turns: int
    polls: int
    vendor_calls: int
    retries: int
    seconds: float = Field(description="from acceptance to now")


class EventData(Model):
    """The data of every event."""

    job_id: str
    command: str
    vendor: str | None
    status: Status
    accepted_at: datetime | None = None
    updated_at: datetime
    progress: Progress | None = None
    result: dict[str, JsonValue] | None = None
    error: Error | None = None
    stats: Stats | None = None


def outcome_event(
    *,
    id: str,
    outcome: Outcome,
    data: EventData,
    time: datetime,
    correlation_id: str,
    sequence: int | None,
    traceparent: str | None = None,
    tracestate: str | None = None,
) -> dict[str, Any]:
    """The CloudEvent (JSON structured mode) that tells `outcome` of a command."""
    body = data.model_dump(mode="json", exclude_none=True)
    body["vendor"] = data.vendor
    event = {
        "specversion": "1.0",
        "id": id,
        "source": SOURCE,
        "type": f"{data.command}.{outcome}",
        "subject": data.job_id,
        "time": time.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "correlationid": correlation_id,
        "causationid": data.job_id,
        "sequence": None if sequence is None else f"{sequence:010d}",
        "traceparent": traceparent,
        "tracestate": tracestate,
        "data": body,
    }
    return {name: value for name, value in event.items() if value is not None}
