"""The CloudEvent (JSON structured mode) that carries a command, and its validation."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from messages.base import BODY_LIMIT, Command, JobId, Line, dump
from messages.catalogue import COMMANDS
from messages.errors import Code, FieldError

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TYPE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CORRELATION = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,64}")
#: The characters of RFC 3986.
SOURCE_PATTERN = r"^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+$"
#: RFC 3339, section 5.6.
TIME_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_DETAILS_LIMIT = 50


class Envelope(BaseModel):
    """The attributes of a command's CloudEvent. Unknown extension attributes are allowed and ignored."""

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        frozen=True,
        json_schema_extra={"propertyNames": {"pattern": f"^{_ATTRIBUTE.pattern}$"}},
    )

    specversion: Literal["1.0"]
    """The version of CloudEvents."""
    id: JobId
    """Your id of the command, which becomes the id of the job. Derive it from your own record of the work."""
    source: Annotated[str, StringConstraints(min_length=1, max_length=2_048, pattern=SOURCE_PATTERN)]
    """The sender, as a URI reference (RFC 3986)."""
    type: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """The type of the command, which is also its routing key."""
    time: Annotated[str, StringConstraints(pattern=TIME_PATTERN)] | None = None
    """When you made the command (RFC 3339, with an offset)."""
    subject: Line | None = None
    """Accepted and ignored."""
    dataschema: Line | None = None
    """Accepted and ignored."""
    datacontenttype: Literal["application/json"] | None = None
    """The media type of `data`."""
    correlationid: Annotated[Line, StringConstraints(max_length=255)] | None = None
    """Your id for related work: it is copied to every event, log line and vendor call (`X-Correlation-ID`) of the job.
    The `id` unless given.
    """
    traceparent: Annotated[Line, StringConstraints(max_length=255)] | None = None
    """The W3C trace context, which the job continues."""
    tracestate: Line | None = None
    """The vendor-specific part of the W3C trace context."""
    notbefore: Annotated[str, StringConstraints(pattern=TIME_PATTERN)] | None = Field(
        default=None, description="when the job may begin, RFC 3339; at once unless given, or if it is past"
    )
    """When the job may begin (RFC 3339, with an offset), at most 366 days ahead; at once unless given, or if it is
    past.
    """
    data: dict[str, Any]
    """The fields of the command, which its page describes."""

    @field_validator("time", "notbefore")
    @classmethod
    def _is_a_real_time(cls, value: str | None) -> str | None:
        try:
            datetime.fromisoformat(value or "1970-01-01T00:00:00Z")
        except ValueError:
            raise ValueError("there is no such time") from None
        return value


@dataclass(frozen=True)
class Request:
    """A valid command and the attributes of its CloudEvent; `not_before` is when its job may begin."""

    id: str
    source: str
    command: Command
    correlation_id: str
    traceparent: str | None = None
    tracestate: str | None = None
    not_before: datetime | None = None

    @property
    def type(self) -> str:
        """The type of the command."""
        return self.command.type_

    def event(self) -> dict[str, Any]:
        """Return the CloudEvent to publish."""
        event = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "datacontenttype": "application/json",
            "correlationid": self.correlation_id,
            "traceparent": self.traceparent,
            "tracestate": self.tracestate,
            "notbefore": None if self.not_before is None else _format_time(self.not_before),
            "data": dump(self.command),
        }
        return {name: value for name, value in event.items() if value is not None}


def _format_time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class InvalidCommand(Exception):
    """The message is not a valid command.

    Attributes:
        details: one entry for each bad field, at most fifty.
        id: the id of the command, if it could be read.
        type: the type of the command, if it could be read.
        correlation_id: the correlation id, if it could be read.
        code: the reason of the rejection, `invalid_command` unless given.
    """

    def __init__(
        self,
        details: list[FieldError],
        *,
        id: str | None = None,
        type: str | None = None,
        correlation_id: str | None = None,
        code: Code = Code.INVALID_COMMAND,
    ) -> None:
        self.details = details[:_DETAILS_LIMIT]
        super().__init__("; ".join(f"{d.field}: {d.message}" if d.field else d.message for d in self.details))
        self.id = id
        self.type = type
        self.correlation_id = correlation_id
        self.code = code


def parse(body: bytes) -> Request:
    """Read and validate a command.

    Raises:
        InvalidCommand: the command is not valid; it has an entry for each bad field.
    """
    if len(body) > BODY_LIMIT:
        raise InvalidCommand([FieldError(field="", message=f"larger than {BODY_LIMIT:,} bytes")])
    try:
        event = read_json(body)
    except ValueError as error:
        raise InvalidCommand([FieldError(field="", message=str(error))]) from None
    if not isinstance(event, dict):
        raise InvalidCommand([FieldError(field="", message="not a CloudEvent: a JSON object is needed")])
    return _validated(event)


def read_json(body: bytes) -> object:
    """Return the value of a JSON text (RFC 8259).

    The text must be UTF-8, without `NaN` and `Infinity`. No object may have a key twice, since parsers differ in which
    one they keep.

    Raises:
        ValueError: the text is not valid; the message says why.
    """
    try:
        return json.loads(
            body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_refuse_duplicate_keys
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None


def id_of(event: object) -> str | None:
    """Return the id of a command that may not be valid; None if it has no readable id."""
    return _read_attribute(event, "id", _ID)


def type_of(event: object) -> str | None:
    """Return the type of a command that may not be valid; None if it has no readable type."""
    return _read_attribute(event, "type", _TYPE)


def _read_attribute(event: object, attribute: str, pattern: re.Pattern[str]) -> str | None:
    value = event.get(attribute) if isinstance(event, dict) else None
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _validated(event: dict[str, Any]) -> Request:
    known: dict[str, Any] = {
        "id": id_of(event),
        "type": type_of(event),
        "correlation_id": _read_attribute(event, "correlationid", _CORRELATION),
    }
    details: list[FieldError] = [
        FieldError(field=_path(name), message="no name of a CloudEvents attribute")
        for name in event
        if not _ATTRIBUTE.fullmatch(name)
    ]
    try:
        envelope = Envelope.model_validate(event)
    except ValidationError as error:
        raise InvalidCommand(details + field_errors(error), **known) from None
    if details:
        raise InvalidCommand(details, **known)
    model = COMMANDS.get(envelope.type)
    if model is None:
        raise InvalidCommand([FieldError(field="type", message="no such command")], **known)
    try:
        command = model.model_validate(envelope.data)
    except ValidationError as error:
        raise InvalidCommand(field_errors(error, "data"), **known) from None
    return Request(
        id=envelope.id,
        source=envelope.source,
        command=command,
        correlation_id=envelope.correlationid or envelope.id,
        traceparent=envelope.traceparent,
        tracestate=envelope.tracestate,
        not_before=None if envelope.notbefore is None else datetime.fromisoformat(envelope.notbefore),
    )


def field_errors(error: ValidationError, *prefix: str) -> list[FieldError]:
    """Return an entry for each bad field, without the values, which may be personal data."""
    return [
        FieldError(field=_path(*prefix, *e["loc"]), message=e["msg"].removeprefix("Value error, ")[:300])
        for e in error.errors(include_input=False, include_url=False)[:_DETAILS_LIMIT]
    ]


def _path(*parts: str | int) -> str:
    path = ".".join(map(str, parts))[:200]
    return "".join(character if character.isprintable() else "\ufffd" for character in path)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _refuse_duplicate_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a key is given twice in one object")
    return members
