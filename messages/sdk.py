"""Typed commands and events for clients of the workers, for use with any AMQP client. It needs only pydantic.

message = command_message(StartJob(workflow="CompanyCleanse"), id="crm-4711", source="/crm")
channel.basic_publish(message.exchange, message.routing_key, message.body, BasicProperties(**message.properties))

event = read_event(body)
if isinstance(event.result, StartJobResult):
    print(event.result.outputs["Cleansed"].uri)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from messages.base import Command, Model, Result
from messages.catalogue import COMMANDS
from messages.envelope import Request, field_errors, parse, read_json
from messages.errors import Error
from messages.events import EventData, Outcome, Progress, Stats, Status

EXCHANGE = "kyb.commands"
EVENTS_EXCHANGE = "kyb.events"
CONTENT_TYPE = "application/cloudevents+json"

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Message:
    """An AMQP message to publish with confirms and as `mandatory`; `properties` fit pika's BasicProperties."""

    exchange: str
    routing_key: str
    body: bytes
    properties: dict[str, Any]


def command_message(
    command: Command,
    *,
    id: str,
    source: str,
    correlation_id: str | None = None,
    not_before: datetime | None = None,
    traceparent: str | None = None,
    tracestate: str | None = None,
) -> Message:
    """Return a command as an AMQP message.

    Args:
        command: the command.
        id: taken from your own record of the work, so that a repeated command is the same job: 1 to 128 characters of
            `A-Z a-z 0-9 . _ : -`.
        source: the sender, as a URI reference.
        correlation_id: returned in every event; the id unless given.
        not_before: when the job may begin, with a time zone; at once unless given.
        traceparent: the W3C trace context, which the job continues.
        tracestate: the vendor-specific part of the trace context.

    Raises:
        InvalidCommand: the workers would reject the command; `details` names each bad attribute.
    """
    request = Request(id, source, command, correlation_id or id, traceparent, tracestate, not_before)
    body = json.dumps(request.event(), ensure_ascii=False).encode()
    parse(body)
    return Message(EXCHANGE, request.type, body, {"content_type": CONTENT_TYPE, "delivery_mode": 2})


class UnreadableEvent(ValueError):
    """The body is not an event of these workers; the message says why, without any values of the body."""


@dataclass(frozen=True)
class Event:
    """An event that reports the outcome of a command.

    Attributes:
        id: the same in both copies of an event that arrives twice.
        command: the type of the command.
        sequence: rises strictly within a job; None for `rejected`.
        result: the result of a `completed` job; None if this version does not know the command, see `data`.
        data: all fields of the event, as JSON values.
    """

    id: str
    command: str
    outcome: Outcome
    job_id: str
    time: datetime
    correlation_id: str
    sequence: int | None
    status: Status
    progress: Progress | None
    result: Result | None
    error: Error | None
    stats: Stats | None
    data: dict[str, Any]


class _Attributes(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)

    id: str
    type: str
    time: datetime
    correlationid: str
    sequence: int | None = None
    data: dict[str, Any]


def read_event(body: bytes) -> Event:
    """Read an event from the exchange `kyb.events`.

    The typed fields leave out what later versions add; `Event.data` has it.

    Raises:
        UnreadableEvent: the body is not an event of these workers.
    """
    try:
        attributes = _Attributes.model_validate(read_json(body))
        data = _read_tolerantly(EventData, attributes.data)
        command = COMMANDS.get(data.command)
        return Event(
            id=attributes.id,
            command=data.command,
            outcome=Outcome(attributes.type.rpartition(".")[2]),
            job_id=data.job_id,
            time=attributes.time,
            correlation_id=attributes.correlationid,
            sequence=attributes.sequence,
            status=data.status,
            progress=data.progress,
            result=_read_tolerantly(command.result, data.result)
            if command and data.result is not None
            else None,
            error=data.error,
            stats=data.stats,
            data=attributes.data,
        )
    except ValidationError as error:
        problems = "; ".join(f"{each.field}: {each.message}" for each in field_errors(error))
        raise UnreadableEvent(problems) from None
    except ValueError as error:
        raise UnreadableEvent(str(error)) from None


def _read_tolerantly(model: type[M], values: Any) -> M:
    """Return a model of JSON values, without the fields that it does not know."""
    text = json.dumps(values)
    try:
        return model.model_validate_json(text)
    except ValidationError:
        return model.model_validate_json(text, extra="ignore")
