"""A command as it arrives: one CloudEvent in JSON structured mode."""

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
_SOURCE = r"^[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+$"
#: RFC 3339, section 5.6.
_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_DETAILS = 50


class Envelope(BaseModel):
    """The attributes of a command's CloudEvent. Extension attributes of others are allowed and ignored."""

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        frozen=True,
        json_schema_extra={"propertyNames": {"pattern": f"^{_ATTRIBUTE.pattern}$"}},
    )

    specversion: Literal["1.0"]
    id: JobId
    source: Annotated[str, StringConstraints(min_length=1, max_length=2_048, pattern=_SOURCE)]
    type: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    time: Annotated[str, StringConstraints(pattern=_TIME)] | None = None
    subject: Line | None = None
    dataschema: Line | None = None
    datacontenttype: Literal["application/json"] | None = None
    correlationid: Annotated[Line, StringConstraints(max_length=255)] | None = None
    traceparent: Annotated[Line, StringConstraints(max_length=255)] | None = None
    tracestate: Line | None = None
    notbefore: Annotated[str, StringConstraints(pattern=_TIME)] | None = Field(
        default=None, description="when the job may begin, RFC 3339; at once unless given, or if it is past"
    )
    data: dict[str, Any]

    @field_validator("time", "notbefore")
    @classmethod
    def _exists(cls, value: str | None) -> str | None:
        try:
            datetime.fromisoformat(value or "1970-01-01T00:00:00Z")
        except ValueError:
            raise ValueError("there is no such time") from None
        return value


@dataclass(frozen=True)
class Request:
    """A valid command and what surrounds it; `not_before` is when its job may begin."""

    id: str
    source: str
    command: Command
    correlation_id: str
    traceparent: str | None = None
    tracestate: str | None = None
    not_before: datetime | None = None

    @property
    def type(self) -> str:
        """The command's type."""
        return self.command.type_

    def event(self) -> dict[str, Any]:
        """The CloudEvent to publish."""
        event = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "datacontenttype": "application/json",
            "correlationid": self.correlation_id,
            "traceparent": self.traceparent,
            "tracestate": self.tracestate,
            "notbefore": None if self.not_before is None else _spelled(self.not_before),
            "data": dump(self.command),
        }
        return {name: value for name, value in event.items() if value is not None}


def _spelled(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class InvalidCommand(Exception):
    """A message that is no valid command.

    Attributes:
        details: one entry per bad field, the first fifty of them.
        id: the command's id, if it could be read.
        type: its type, likewise.
        correlation_id: likewise.
        code: `invalid_command`, or what else the rejection is for.
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
        self.details = details[:_DETAILS]
        super().__init__("; ".join(f"{d.field}: {d.message}" if d.field else d.message for d in self.details))
        self.id = id
        self.type = type
        self.correlation_id = correlation_id
        self.code = code


def parse(body: bytes) -> Request:
    """Read and validate a command. Raises `InvalidCommand` with an entry for every bad field."""
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
    """The value of a JSON text, read as RFC 8259 has it. Raises `ValueError` that says what is wrong.

    UTF-8 alone, no `NaN` or `Infinity`, and no key given twice, since readers differ in which one counts.
    """
    try:
        return json.loads(body.decode(), parse_constant=_no_constant, object_pairs_hook=_unique)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise ValueError("not JSON: nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None


def id_of(event: object) -> str | None:
    """The id that an event claims, if it is readable at all."""
    return _claim(event, "id", _ID)


def type_of(event: object) -> str | None:
    """The type that an event claims, likewise."""
    return _claim(event, "type", _TYPE)


def _claim(event: object, attribute: str, pattern: re.Pattern[str]) -> str | None:
    found = event.get(attribute) if isinstance(event, dict) else None
    return found if isinstance(found, str) and pattern.fullmatch(found) else None


def _validated(event: dict[str, Any]) -> Request:
    known: dict[str, Any] = {
        "id": id_of(event),
        "type": type_of(event),
        "correlation_id": _claim(event, "correlationid", _CORRELATION),
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
    """One entry per bad field, without the values: they may be personal data."""
    return [
        FieldError(field=_path(*prefix, *e["loc"]), message=e["msg"].removeprefix("Value error, ")[:300])
        for e in error.errors(include_input=False, include_url=False)[:_DETAILS]
    ]


def _path(*parts: str | int) -> str:
    path = ".".join(map(str, parts))[:200]
    return "".join(character if character.isprintable() else "\ufffd" for character in path)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice in one object")
    return found
