"""Base classes and field types of all messages.

A string below a field says what the field means. It is shown in the reference pages (`messages.pages`), but is not
part of the exported schemas, which are promised to stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

#: The size of a whole command, in bytes.
BODY_LIMIT = 1024 * 1024

JobId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:-]+$")]
#: One line of text. No control characters: names and URIs end up in file systems, headers and databases.
LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]+$"
Line = Annotated[str, StringConstraints(min_length=1, max_length=1_024, pattern=LINE_PATTERN)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=LINE_PATTERN)]
VendorId = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=LINE_PATTERN)]
#: The format of a table in a result.
TableFormat = Literal["csv", "jsonl", "parquet"]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=2_048, pattern=LINE_PATTERN)]


class Model(BaseModel):
    """An immutable model that refuses unknown fields and converts no types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class File(Model):
    """A stored file. Payloads never travel in messages: results hold these instead."""

    uri: Uri
    """Where the file is stored."""
    media_type: str = Field(description="`text/csv`, `application/x-ndjson` or the vendor's own type")
    """The format: `text/csv`, `application/x-ndjson`, `application/vnd.apache.parquet` or the vendor's own type."""
    records: int | None = Field(description="rows or objects; null where the content is not ours to count")
    """The number of rows or objects; null if the worker cannot count them, as in a PDF."""
    bytes: int
    """The size in bytes."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """The SHA-256 of the content, in hexadecimal."""


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
    """The result of a completed job."""


class Command(Model):
    """The data of a command. Subclasses name their `type_`, the class of their `result`, and an `example`."""

    type_: ClassVar[str]
    result: ClassVar[type[Result]]

    @classmethod
    def example(cls) -> tuple[Self, Result]:
        """Return an example of the command, and of its result once the job has completed.

        The contract's examples, the AsyncAPI document and the tests take it from here.
        """
        raise NotImplementedError(f"{cls.__name__} has no example")

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Return the input files as (field, URI); they must lie below the allowed roots."""
        return iter(())

    @classmethod
    def vendor(cls) -> str | None:
        """Return `creditsafe`, `data8` or `sayari`; None if the command belongs to no single vendor."""
        area = cls.type_.partition(".")[0]
        return area if area in {"creditsafe", "data8", "sayari"} else None

    @classmethod
    def queue(cls) -> str:
        """Return the name of the queue that carries the command."""
        area = cls.type_.partition(".")[0]
        return "kyb.control" if area == "job" else f"kyb.{area}"


def one_of(*fields: str) -> dict[str, Any]:
    """Return a JSON Schema for "exactly one of these fields", where null counts as absent."""
    return {"oneOf": [present(field) for field in fields]}


def any_of(*fields: str) -> dict[str, Any]:
    """Return a JSON Schema for "at least one of these fields", where null counts as absent."""
    return {"anyOf": [present(field) for field in fields]}


def unless(when: dict[str, Any], *path: str) -> dict[str, Any]:
    """Return a JSON Schema for "if the properties match `when`, the field at `path` is absent"."""
    absent: dict[str, Any] = {"type": "null"}
    for name in reversed(path):
        absent = {"properties": {name: absent}}
    return {"if": {"properties": when, "required": list(when)}, "then": absent}


def dump(model: BaseModel) -> dict[str, Any]:
    """Return the model as JSON values, without absent options; nulls of a result or a file carry meaning and stay."""
    return model.model_dump(mode="json", exclude_none=not isinstance(model, Result | File), by_alias=True)


def present(field: str) -> dict[str, Any]:
    """Return a JSON Schema for "this field is there, and not null"."""
    return {"required": [field], "properties": {field: {"not": {"type": "null"}}}}
