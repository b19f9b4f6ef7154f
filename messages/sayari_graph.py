"""Commands of Sayari Graph about entities that are known by their ids: tracing and fetching."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import (
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from messages.base import Command, File, Model, Result, Uri, one_of, unless

#: The id of a Sayari entity. Assumed: as all of the examples are base64url, nothing else is ever in one.
ENTITY_ID = r"^[A-Za-z0-9_-]{1,128}$"
EntityId = Annotated[str, StringConstraints(pattern=ENTITY_ID)]
#: A word of Sayari's ontology, e.g. `has_shareholder` or `company`; which there are is Sayari's to judge.
Word = Annotated[str, StringConstraints(max_length=100, pattern=r"^[a-z0-9_]+$")]
Words = Annotated[list[Word], Field(min_length=1, max_length=100)]
#: An ISO 3166 alpha-3 code.
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
#: Steps from the entity asked for.
Depth = Annotated[int, Field(ge=0, le=10)]


class EntitiesCommand(Command):
    """What all commands about known entities take: their ids, in the message or in a file."""

    model_config = ConfigDict(json_schema_extra=one_of("file", "entity_ids"))

    file: Uri | None = Field(default=None, description="a table with a column `entity_id`")
    entity_ids: Annotated[list[EntityId], Field(min_length=1, max_length=1_000)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> EntitiesCommand:
        if (self.file is None) == (self.entity_ids is None):
            msg = "give either file or entity_ids"
            raise ValueError(msg)
        return self

    def inputs(self) -> Iterator[tuple[str, str]]:
        """The file, if it is one."""
        if self.file is not None:
            yield "file", self.file


class TraversalOptions(Model):
    """The arguments of Sayari's traversals, under its names.

    `offset` paths are skipped and at most `limit` given, of each entity; pages are the worker's business.
    """

    offset: Annotated[int, Field(ge=0)] | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    min_depth: Depth | None = None
    max_depth: Depth | None = None
    relationships: Words | None = None
    psa: bool | None = None
    countries: Annotated[list[Country], Field(min_length=1, max_length=100)] | None = None
    types: Words | None = None
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    watchlist: bool | None = None


class TraceRelationshipsResult(Result):
    """`entities` counts those asked for; `missing` are the ids among them that Sayari does not know."""

    entities: int
    paths: File
    missing: File


#: What an operation sets by itself: it is documented as a traversal with just this argument. Assumed: what is
#: said of it from outside changes nothing, or worse.
_OWN = {"ubo": "relationships", "downstream": "relationships", "watchlist": "watchlist"}


class TraceRelationships(EntitiesCommand):
    """Follow the relationships of entities to their owners, to what they own, to watchlists or anywhere."""

    model_config = ConfigDict(
        json_schema_extra=one_of("file", "entity_ids")
        | {"allOf": [unless({"kind": {"const": kind}}, "options", own) for kind, own in _OWN.items()]}
    )

    type_ = "sayari.trace_relationships"
    result = TraceRelationshipsResult

    kind: Literal["ubo", "downstream", "watchlist", "traversal"]
    options: TraversalOptions | None = None

    @field_validator("options")
    @classmethod
    def _not_its_own(cls, options: TraversalOptions | None, info: ValidationInfo) -> TraversalOptions | None:
        kind = info.data.get("kind", "")
        own = _OWN.get(kind)
        if own is not None and getattr(options, own, None) is not None:
            why = PydanticCustomError("own_argument", "{kind} sets this by itself", {"kind": kind})
            raise ValidationError.from_exception_data(
                "options", [InitErrorDetails(type=why, loc=(own,), input=None)], hide_input=True
            )
        return options


class FetchEntitiesResult(Result):
    """`entities` is one file of objects for `json`, else a file for each entity, as Sayari makes it."""

    entities: File | list[File]
    missing: File = Field(description="the ids that Sayari does not know, in a column `entity_id`")


class FetchEntities(EntitiesCommand):
    """Fetch what Sayari knows of entities: all of it, or a summary."""

    model_config = ConfigDict(
        json_schema_extra=one_of("file", "entity_ids")
        | {
            "if": {"properties": {"format": {"enum": ["csv", "pdf", "xlsx"]}}, "required": ["format"]},
            "then": {"properties": {"detail": {"const": "full"}}},
        }
    )

    type_ = "sayari.fetch_entities"
    result = FetchEntitiesResult

    format: Literal["json", "csv", "pdf", "xlsx"] = "json"
    detail: Literal["summary", "full"] = "full"

    @field_validator("detail")
    @classmethod
    def _summary_is_json(cls, detail: str, info: ValidationInfo) -> str:
        if detail == "summary" and info.data.get("format", "json") != "json":
            msg = "a summary is only to be had as json"
            raise ValueError(msg)
        return detail
