"""The contract as JSON Schema (2020-12), derived from the models.

Each schema describes a whole CloudEvent: attributes and data.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema, create_model
from pydantic.json_schema import GenerateJsonSchema

from messages.base import Command, JobId, Model, Result
from messages.catalogue import COMMANDS
from messages.envelope import Envelope
from messages.errors import Code, Error, FieldError
from messages.events import Outcome, Progress, Stats, Status


class Failure(Error):
    """Why a job has failed."""

    detail: str | None = Field(default=None, description="the vendor's own words")


class Rejection(Error):
    """Why a command was refused."""

    code: Literal[Code.INVALID_COMMAND, Code.ID_CONFLICT, Code.INPUT_NOT_ALLOWED]
    detail: Annotated[list[FieldError], Field(min_length=1, description="one entry per bad field")]


class Told(Model):
    """What all events tell."""

    job_id: JobId
    command: str
    vendor: str | None = Field(description="null for commands of no single vendor")
    updated_at: datetime


class Accepted(Told):
    """The command is valid and recorded."""

    status: Literal[Status.ACCEPTED]
    accepted_at: datetime


class Progressed(Told):
    """The job moved on."""

    status: Literal[Status.ACCEPTED, Status.RUNNING]
    accepted_at: datetime
    progress: Progress


class Completed(Told):
    """All is done, and the results are stored."""

    status: Literal[Status.COMPLETED]
    accepted_at: datetime
    result: Result
    stats: Stats


class Failed(Told):
    """The job will not go on by itself."""

    status: Literal[Status.FAILED]
    accepted_at: datetime
    error: Failure
    stats: Stats


class Cancelled(Told):
    """A `job.cancel` took effect."""

    status: Literal[Status.CANCELLED]
    accepted_at: datetime
    stats: Stats


class Rejected(Told):
    """The command is not valid: there is no job."""

    status: Literal[Status.REJECTED]
    error: Rejection


DATA: dict[Outcome, type[Told]] = {
    Outcome.ACCEPTED: Accepted,
    Outcome.PROGRESSED: Progressed,
    Outcome.COMPLETED: Completed,
    Outcome.FAILED: Failed,
    Outcome.CANCELLED: Cancelled,
    Outcome.REJECTED: Rejected,
}


class Event(BaseModel):
    """The attributes of an event's CloudEvent, in which others may appear."""

    model_config = Envelope.model_config

    specversion: Literal["1.0"]
    id: str = Field(description="stable: the same event sent twice has the same id")
    source: Literal["/kyb-workers"]
    type: str
    subject: JobId = Field(description="the job")
    time: datetime
    datacontenttype: Literal["application/json"]
    correlationid: str = Field(description="that of the command, or else the command's id")
    causationid: JobId = Field(description="the command")
    traceparent: str | None = Field(default=None, description="W3C trace context, as is `tracestate`")
    tracestate: str | None = None
    data: Told


class JobEvent(Event):
    """Likewise, of an event of a job; only `rejected` has none."""

    sequence: str = Field(pattern="^[0-9]{10}$", description="strictly rising within a job")


@cache
def schemas() -> Mapping[str, dict[str, Any]]:
    """All schemas by file name: `<type>.json` of a command, `<type>.<outcome>.json` of its events.

    They are made once, which takes most of a second: whoever changes one does it on a copy.
    """
    found = {}
    for type_, command in COMMANDS.items():
        found[f"{type_}.json"] = command_schema(command)
        for outcome in Outcome:
            found[f"{type_}.{outcome}.json"] = event_schema(command, outcome)
    return found


def command_schema(command: type[Command]) -> dict[str, Any]:
    """What to publish on `kyb.commands`."""
    return _schema(Envelope, command.type_, str(command.__doc__), command)


def event_schema(command: type[Command], outcome: Outcome) -> dict[str, Any]:
    """What comes from `kyb.events`."""
    told = DATA[outcome]
    fields: dict[str, Any] = {"command": _const(command.type_), "vendor": _const(command.vendor())}
    if told is Completed:
        fields["result"] = (command.result, ...)
    attributes = Event if outcome is Outcome.REJECTED else JobEvent
    return _schema(
        attributes,
        f"{command.type_}.{outcome}",
        str(told.__doc__),
        create_model(told.__name__, __base__=told, __doc__=told.__doc__, **fields),
    )


def _schema(attributes: type[BaseModel], type: str, description: str, data: type[Model]) -> dict[str, Any]:
    event = create_model(type, __base__=attributes, __doc__=description, type=_const(type), data=(data, ...))
    return {"$schema": GenerateJsonSchema.schema_dialect, **event.model_json_schema()}


def _const(value: str | None) -> tuple[Any, Any]:
    return Annotated[Any, WithJsonSchema({"const": value})], ...
