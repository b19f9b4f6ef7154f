"""The contract as JSON Schemas (2020-12), derived from the models.

Each schema describes a whole CloudEvent: attributes and data. The names and docstrings of the models are part of it.
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


class CommonData(Model):
    """The fields that the data of every event has."""

    job_id: JobId
    command: str
    vendor: str | None = Field(description="null for commands of no single vendor")
    updated_at: datetime


class Accepted(CommonData):
    """The command is valid and recorded."""

    status: Literal[Status.ACCEPTED]
    accepted_at: datetime


class Progressed(CommonData):
    """The job moved on."""

    status: Literal[Status.ACCEPTED, Status.RUNNING]
    accepted_at: datetime
    progress: Progress


class Completed(CommonData):
    """All is done, and the results are stored."""

    status: Literal[Status.COMPLETED]
    accepted_at: datetime
    result: Result
    stats: Stats


class Failed(CommonData):
    """The job will not go on by itself."""

    status: Literal[Status.FAILED]
    accepted_at: datetime
    error: Failure
    stats: Stats


class Cancelled(CommonData):
    """A `job.cancel` took effect."""

    status: Literal[Status.CANCELLED]
    accepted_at: datetime
    stats: Stats


class Rejected(CommonData):
    """The command is not valid: there is no job."""

    status: Literal[Status.REJECTED]
    error: Rejection


DATA: dict[Outcome, type[CommonData]] = {
    Outcome.ACCEPTED: Accepted,
    Outcome.PROGRESSED: Progressed,
    Outcome.COMPLETED: Completed,
    Outcome.FAILED: Failed,
    Outcome.CANCELLED: Cancelled,
    Outcome.REJECTED: Rejected,
}


class Event(BaseModel):
    """The attributes of an event's CloudEvent. Others may appear."""

    model_config = Envelope.model_config

    specversion: Literal["1.0"]
    """The version of CloudEvents."""
    id: str = Field(description="stable: the same event sent twice has the same id")
    """The id of the event. If an event is published twice, both copies have the same id: remember the ids that you
    have handled.
    """
    source: Literal["/kyb-workers"]
    """The workers."""
    type: str
    """The type of the command and the outcome, which is also the routing key."""
    subject: JobId = Field(description="the job")
    """The id of the job."""
    time: datetime
    """When it happened."""
    datacontenttype: Literal["application/json"]
    """The media type of `data`."""
    correlationid: str = Field(description="that of the command, or else the command's id")
    """The `correlationid` of the command, or the command's `id` if it had none."""
    causationid: JobId = Field(description="the command")
    """The `id` of the command."""
    traceparent: str | None = Field(default=None, description="W3C trace context, as is `tracestate`")
    """The W3C trace context: the command's, or that of the turn that published the event if the worker traces."""
    tracestate: str | None = None
    """The vendor-specific part of the W3C trace context."""
    data: CommonData
    """The fields of the event."""


class JobEvent(Event):
    """The attributes of an event about a job: of every event but `rejected`."""

    sequence: str = Field(pattern="^[0-9]{10}$", description="strictly rising within a job")
    """Ten digits that rise strictly within a job. `rejected` events have none."""


@cache
def schemas() -> Mapping[str, dict[str, Any]]:
    """Return all schemas by file name: `<type>.json` of a command, `<type>.<outcome>.json` of its events.

    They are built once, which takes most of a second. Change a copy only.
    """
    by_name = {}
    for type_, command in COMMANDS.items():
        by_name[f"{type_}.json"] = command_schema(command)
        for outcome in Outcome:
            by_name[f"{type_}.{outcome}.json"] = event_schema(command, outcome)
    return by_name


def command_schema(command: type[Command]) -> dict[str, Any]:
    """Return the schema of a command, as published to `kyb.commands`."""
    return _schema(Envelope, command.type_, str(command.__doc__), command)


def event_schema(command: type[Command], outcome: Outcome) -> dict[str, Any]:
    """Return the schema of an event, as published to `kyb.events`."""
    model = DATA[outcome]
    fields: dict[str, Any] = {"command": _const(command.type_), "vendor": _const(command.vendor())}
    if model is Completed:
        fields["result"] = (command.result, ...)
    attributes = Event if outcome is Outcome.REJECTED else JobEvent
    return _schema(
        attributes,
        f"{command.type_}.{outcome}",
        str(model.__doc__),
        create_model(model.__name__, __base__=model, __doc__=model.__doc__, **fields),
    )


def _schema(attributes: type[BaseModel], type: str, description: str, data: type[Model]) -> dict[str, Any]:
    event = create_model(type, __base__=attributes, __doc__=description, type=_const(type), data=(data, ...))
    return {"$schema": GenerateJsonSchema.schema_dialect, **event.model_json_schema()}


def _const(value: str | None) -> tuple[Any, Any]:
    return Annotated[Any, WithJsonSchema({"const": value})], ...
