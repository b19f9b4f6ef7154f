"""The rules that all models of this package share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

#: A whole command, in bytes.
BODY_LIMIT = 1024 * 1024

JobId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]
#: One line of text. No control characters: names and URIs end up in file systems, headers and databases.
_LINE = r"^[^\x00-\x1f\x7f-\x9f]+$"
Line = Annotated[str, StringConstraints(min_length=1, max_length=1_024, pattern=_LINE)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_LINE)]
VendorId = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_LINE)]
#: How a table is stored as a result.
TableFormat = Literal["csv", "jsonl", "parquet"]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=2_048, pattern=_LINE)]


class Model(BaseModel):
    """Strict both ways: unknown fields refused, no coercion, not changed once made."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class File(Model):
    """A stored file. Payloads never travel in messages: results hold these instead."""

    uri: Uri
    media_type: str = Field(description="`text/csv`, `application/x-ndjson` or the vendor's own type")
    records: int | None = Field(description="rows or objects; null where the content is not ours to count")
    bytes: int
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


#: Fields of every command that reads a file, and of its result.
Strict: Any = Field(
    default=True,
    description="whether the first bad row of a file ends the job; false leaves bad rows out and lists them",
)
Rejects: Any = Field(
    default=None,
    description="the rows that were left out and why, as `text/csv` for people; null if there are none",
)


class Result(Model):
    """What a completed job hands over."""


class Command(Model):
    """The data of a command. Subclasses name their `type_` and the `Result` of a job that completes."""

    type_: ClassVar[str]
    result: ClassVar[type[Result]]

    def inputs(self) -> Iterator[tuple[str, str]]:
        """The files that it names, as (field, URI); they must lie below the allowed roots."""
        return iter(())

    @classmethod
    def vendor(cls) -> str | None:
        """`creditsafe`, `data8`, `sayari`; None for commands that belong to no single vendor."""
        area = cls.type_.partition(".")[0]
        return area if area in {"creditsafe", "data8", "sayari"} else None

    @classmethod
    def queue(cls) -> str:
        """The queue that it travels through."""
        area = cls.type_.partition(".")[0]
        return "kyb.control" if area == "job" else f"kyb.{area}"


def one_of(*fields: str) -> dict[str, Any]:
    """JSON Schema for "exactly one of these fields", null counting as absent."""
    return {"oneOf": [given(field) for field in fields]}


def any_of(*fields: str) -> dict[str, Any]:
    """JSON Schema for "at least one of these fields", likewise."""
    return {"anyOf": [given(field) for field in fields]}


def unless(when: dict[str, Any], *path: str) -> dict[str, Any]:
    """JSON Schema for "where these properties hold, the field at `path` is absent"."""
    absent: dict[str, Any] = {"type": "null"}
    for name in reversed(path):
        absent = {"properties": {name: absent}}
    return {"if": {"properties": when, "required": list(when)}, "then": absent}


def dump(model: BaseModel) -> dict[str, Any]:
    """The model as JSON values. Absent options are left out; the nulls of a result or a file say something."""
    return model.model_dump(mode="json", exclude_none=not isinstance(model, Result | File), by_alias=True)


def given(field: str) -> dict[str, Any]:
    """JSON Schema for "this field, and not null"."""
    return {"required": [field], "properties": {field: {"not": {"type": "null"}}}}
