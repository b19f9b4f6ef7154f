"""Commands of Sayari Graph about entities that are known by their ids: tracing and fetching."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

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
from messages.example_values import NDJSON, example_file

#: The id of a Sayari entity. Assumed: all ids are base64url, as those in Sayari's examples are.
ENTITY_ID = r"^[A-Za-z0-9_-]{1,128}$"
EntityId = Annotated[str, StringConstraints(pattern=ENTITY_ID)]
#: A word of Sayari's ontology, such as `has_shareholder` or `company`. Sayari decides which words exist.
Word = Annotated[str, StringConstraints(max_length=100, pattern=r"^[a-z0-9_]+$")]
Words = Annotated[list[Word], Field(min_length=1, max_length=100)]
#: An ISO 3166 alpha-3 code.
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
#: A number of hops from the entity.
Depth = Annotated[int, Field(ge=0, le=10)]


class EntitiesCommand(Command):
    """A command about entities whose ids are known: in the message or in a file."""

    model_config = ConfigDict(json_schema_extra=one_of("file", "entity_ids"))

    file: Uri | None = Field(default=None, description="a table with a column `entity_id`")
    """The URI of a table with a column `entity_id`; its other columns are ignored."""
    entity_ids: Annotated[list[EntityId], Field(min_length=1, max_length=1_000)] | None = None
    """The ids of the entities. Send more than 1,000 in a file."""

    @model_validator(mode="after")
    def _file_or_ids(self) -> EntitiesCommand:
        if (self.file is None) == (self.entity_ids is None):
            msg = "give either file or entity_ids"
            raise ValueError(msg)
        return self

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Return the file, if the command has one."""
        if self.file is not None:
            yield "file", self.file


class TraversalOptions(Model):
    """The arguments of Sayari's traversals, under its names.

    `offset` paths are skipped and at most `limit` given, of each entity; pages are the worker's business.
    """

    offset: Annotated[int, Field(ge=0)] | None = None
    """The number of paths to skip, for each entity."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """The largest number of paths to return, for each entity; all paths unless given."""
    min_depth: Depth | None = None
    """The smallest number of hops from the entity."""
    max_depth: Depth | None = None
    """The largest number of hops from the entity."""
    relationships: Words | None = None
    """The relationship types to follow. `ubo` and `downstream` follow their own."""
    psa: bool | None = None
    """Whether to follow possibly-same-as links between entities too."""
    countries: Annotated[list[Country], Field(min_length=1, max_length=100)] | None = None
    """Keep only paths that end at an entity of one of these countries (ISO 3166 alpha-3)."""
    types: Words | None = None
    """Keep only paths that end at an entity of one of these types."""
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    """Keep only paths that end at an entity whose name contains this text."""
    watchlist: bool | None = None
    """Keep only paths that end at an entity on a watchlist. Not for the kind `watchlist`, which does so anyway."""


class TraceRelationshipsResult(Result):
    """`entities` counts those asked for; `missing` are the ids among them that Sayari does not know."""

    entities: int
    """The number of ids that the worker traced."""
    paths: File
    """A row for each hop of each path."""
    missing: File
    """The ids that Sayari does not know, in a column `entity_id`."""


#: The argument that an operation sets by itself: it is documented as a traversal with this argument. Assumed: a
#: caller who sets the argument too changes nothing, or gets a wrong answer.
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
    """Sayari's operation: to owners (`ubo`), to what the entity owns (`downstream`), to watchlists (`watchlist`) or in
    any direction (`traversal`).
    """
    options: TraversalOptions | None = None
    """The arguments of the operation, under Sayari's names."""

    @classmethod
    def example(cls) -> tuple[Self, TraceRelationshipsResult]:
        """Return an example of the command and of its result."""
        command = cls(
            file="file:///data/entities.csv",
            kind="ubo",
            options=TraversalOptions(max_depth=5, countries=["GBR", "LUX"]),
        )
        return command, TraceRelationshipsResult(
            entities=1_204,
            paths=example_file("trace_relationships", "paths.jsonl", NDJSON, 3_911, 6_540_127),
            missing=example_file("trace_relationships", "missing.csv", "text/csv", 2, 58),
        )

    @field_validator("options")
    @classmethod
    def _leaves_out_own_argument(
        cls, options: TraversalOptions | None, info: ValidationInfo
    ) -> TraversalOptions | None:
        kind = info.data.get("kind", "")
        own = _OWN.get(kind)
        if own is not None and getattr(options, own, None) is not None:
            reason = PydanticCustomError("own_argument", "{kind} sets this by itself", {"kind": kind})
            raise ValidationError.from_exception_data(
                "options", [InitErrorDetails(type=reason, loc=(own,), input=None)], hide_input=True
            )
        return options


class FetchEntitiesResult(Result):
    """`entities` is one file of objects for `json`, else a file for each entity, as Sayari makes it."""

    entities: File | list[File]
    """For `json`, one file with an object for each entity; for other formats, a list of Sayari's files, one for each
    entity.
    """
    missing: File = Field(description="the ids that Sayari does not know, in a column `entity_id`")
    """The ids that Sayari does not know, in a column `entity_id`."""


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
    """The format of the result: JSON Lines in one file, or one of Sayari's own files for each entity."""
    detail: Literal["summary", "full"] = "full"
    """How much to fetch of each entity. `summary` is available for `json` only."""

    @classmethod
    def example(cls) -> tuple[Self, FetchEntitiesResult]:
        """Return an example of the command and of its result."""
        command = cls(entity_ids=["9NscwYGRhPrRkNGjvj5IWA"], format="pdf")
        return command, FetchEntitiesResult(
            entities=[
                example_file(
                    "fetch_entities",
                    "entity-0001-9NscwYGRhPrRkNGjvj5IWA.pdf",
                    "application/pdf",
                    None,
                    48_112,
                )
            ],
            missing=example_file("fetch_entities", "missing.csv", "text/csv", 0, 11),
        )

    @field_validator("detail")
    @classmethod
    def _summary_is_json(cls, detail: str, info: ValidationInfo) -> str:
        if detail == "summary" and info.data.get("format", "json") != "json":
            msg = "a summary is only to be had as json"
            raise ValueError(msg)
        return detail
