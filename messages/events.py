"""The events that report the outcome of a command."""

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
        """Whether the outcome ends a job."""
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
        """Whether a job with this status will not continue by itself."""
        return self not in {Status.ACCEPTED, Status.RUNNING}


class Progress(Model):
    """How far a job has come with its current step."""

    step: str
    """The current step of the job, as on the page of its command."""
    percent: float | None = Field(default=None, ge=0, le=100)
    """How much of the step is done, in per cent, if the vendor reports it."""
    done: int | None = None
    """The number of rows, records or entities that are done in this step."""
    total: int | None = None
    """The number of rows, records or entities in this step, if it is known."""
    eta: datetime | None = Field(default=None, description="when the vendor expects to be done")
    """When the vendor expects to finish, if it reports a time."""


class Stats(Model):
    """What a job has cost so far."""

    turns: int
    """The number of turns: the stretches of work between two waits of the job."""
    polls: int
    """The number of times that the worker polled the vendor for the status of its job."""
    vendor_calls: int
    """The number of requests to the vendor."""
    retries: int
    """The number of turns that were repeated after an error."""
    seconds: float = Field(description="from acceptance to now")
    """The time from acceptance to this event, in seconds."""


class EventData(Model):
    """The data of every event; `messages.schemas` says which outcome has which fields."""

    job_id: str
    """The id of the job, which is the `id` of its command."""
    command: str
    """The type of the command."""
    vendor: str | None
    """The vendor of the command; null for commands of no single vendor, such as `job.cancel`."""
    status: Status
    """The status of the job."""
    accepted_at: datetime | None = None
    """When the command was accepted. `rejected` events have none."""
    updated_at: datetime
    """When the job changed last."""
    progress: Progress | None = None
    """How far the job has come with its current step."""
    result: dict[str, JsonValue] | None = None
    """The result of the job, which the page of its command describes."""
    error: Error | None = None
    """Why the job failed, or why the command was rejected."""
    stats: Stats | None = None
    """What the job took."""


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
    """Return the CloudEvent (JSON structured mode) that reports the outcome of a command."""
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
