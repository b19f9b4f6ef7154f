"""For code that sends commands and follows events, with whatever AMQP client it has: typed, and nothing but pydantic.

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
    """What to publish, with confirms and as `mandatory`; `properties` are named as pika's BasicProperties."""

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
    """A command as a message.

    Args:
        command: what is to be done.
        id: from your own record of the work, so that a repeat is the same job: 1 to 128 of `A-Z a-z 0-9 . _ : -`.
        source: who you are, a URI reference.
        correlation_id: comes back in every event; the id unless given.
        not_before: when the job may begin, with a zone; at once unless given.
        traceparent: W3C trace context, continued by the job.
        tracestate: likewise.

    Raises:
        InvalidCommand: the workers would reject it; `details` names each bad attribute.
    """
    request = Request(id, source, command, correlation_id or id, traceparent, tracestate, not_before)
    body = json.dumps(request.event(), ensure_ascii=False).encode()
    parse(body)
    return Message(EXCHANGE, request.type, body, {"content_type": CONTENT_TYPE, "delivery_mode": 2})


class UnreadableEvent(ValueError):
    """The body is no event of these workers; the message says what is wrong, without its values."""


@dataclass(frozen=True)
class Event:
    """What became of a command.

    Attributes:
        id: the same event sent twice has the same id.
        command: the command's type.
        sequence: strictly rising within a job; None of `rejected`.
        result: of `completed`; None if the command is newer than this code, see `data`.
        data: everything that was told, as JSON values.
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
    """An event from the exchange `kyb.events`. What later versions add is left out of the typed fields.

    Raises `UnreadableEvent`.
    """
    try:
        attributes = _Attributes.model_validate(read_json(body))
        data = _tolerant(EventData, attributes.data)
        command = COMMANDS.get(data.command)
        told = data.result is not None and command is not None
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
            result=_tolerant(command.result, data.result) if command and told else None,
            error=data.error,
            stats=data.stats,
            data=attributes.data,
        )
    except ValidationError as error:
        wrong = "; ".join(f"{each.field}: {each.message}" for each in field_errors(error))
        raise UnreadableEvent(wrong) from None
    except ValueError as error:
        raise UnreadableEvent(str(error)) from None


def _tolerant(model: type[M], values: Any) -> M:
    """The model of JSON values; fields that it does not know are ignored."""
    text = json.dumps(values)
    try:
        return model.model_validate_json(text)
    except ValidationError:
        return model.model_validate_json(text, extra="ignore")
