"""Commands of Sayari Graph that work in projects; `messages.sayari_graph` has those about known entities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from messages.base import (
    Command,
    File,
    Model,
    Name,
    Rejects,
    Result,
    Strict,
    Uri,
    VendorId,
    any_of,
    dump,
    one_of,
    unless,
)
from messages.example_values import NDJSON, example_file
from messages.sayari_graph import FetchEntities, TraceRelationships, Words

Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=100)]


class Identifier(Model):
    """A number or code of an entity, with its Sayari type where that is known."""

    value: Text
    """The number or code."""
    type: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    """Sayari's type of the identifier, such as `uk_company_number`, if you know it."""


class Entity(Model):
    """What is known of an entity that is to be found; at least one attribute."""

    model_config = ConfigDict(
        json_schema_extra=any_of("name", "country", "address", "date_of_birth", "contact", "identifier")
    )

    name: Texts | None = None
    """The names of the entity."""
    country: Texts | None = None
    """The countries of the entity."""
    address: Texts | None = None
    """The addresses of the entity."""
    date_of_birth: Texts | None = None
    """The dates of birth of a person."""
    contact: Texts | None = None
    """E-mail addresses, telephone numbers and other contacts of the entity."""
    identifier: Annotated[list[Identifier], Field(min_length=1, max_length=100)] | None = None
    """The numbers and codes of the entity."""

    @model_validator(mode="after")
    def _has_an_attribute(self) -> Entity:
        if not dump(self):
            msg = "give at least one attribute"
            raise ValueError(msg)
        return self


class Project(Model):
    """An existing project by `id`, or a new one by `label`."""

    model_config = ConfigDict(json_schema_extra=one_of("id", "label"))

    id: VendorId | None = None
    """The id of an existing project."""
    label: Name | None = None
    """The label of a new project."""

    @model_validator(mode="after")
    def _id_or_label(self) -> Project:
        if (self.id is None) == (self.label is None):
            msg = "give either id (an existing project) or label (a new one)"
            raise ValueError(msg)
        return self


class ResolveEntitiesResult(Result):
    """`uploaded` = objects in `resolved` + objects in `unresolved`."""

    project_id: str
    """The id of the project at Sayari."""
    uploaded: int
    """The number of entities that were sent: those in `resolved` and those in `unresolved`."""
    resolved: File
    """The entities that Sayari found, each with its `hits`."""
    unresolved: File
    """The entities that Sayari did not find."""
    rejects: File | None = Rejects
    """The rows that were left out, and why, as `text/csv` for people; null if there are none."""


class ResolveEntities(Command):
    """Find the Sayari entities behind a file or a list of names."""

    model_config = ConfigDict(json_schema_extra=one_of("file", "entities"))

    type_ = "sayari.resolve_entities"
    result = ResolveEntitiesResult

    file: Uri | None = None
    """The URI of a table whose headers are Sayari's attributes or identifier types. A repeated header gives an entity
    several values.
    """
    entities: Annotated[list[Entity], Field(min_length=1, max_length=10_000)] | None = None
    """The entities to find. Send more than 10,000 in a file."""
    project: Project | None = None
    """The project that the entities are uploaded to; a new one unless given."""
    delete_project: bool = False
    """Whether to delete the project once both files are stored."""
    strict: bool = Strict
    """Whether the first bad row ends the job; with `false`, bad rows are left out and listed in `rejects`."""

    @classmethod
    def example(cls) -> tuple[Self, ResolveEntitiesResult]:
        """Return an example of the command and of its result."""
        command = cls(
            entities=[Entity(name=["Example Trading Ltd"], country=["GBR"])],
            project=Project(label="Suppliers"),
        )
        return command, ResolveEntitiesResult(
            project_id="GNJWVL",
            uploaded=1,
            resolved=example_file("resolve_entities", "resolved.jsonl", NDJSON, 1, 2_871),
            unresolved=example_file("resolve_entities", "unresolved.jsonl", NDJSON, 0, 0),
        )

    @model_validator(mode="after")
    def _file_or_entities(self) -> ResolveEntities:
        if (self.file is None) == (self.entities is None):
            msg = "give either file or entities"
            raise ValueError(msg)
        return self

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Return the file, if the command has one."""
        if self.file is not None:
            yield "file", self.file


class ExportProjectResult(Result):
    """`exported` are objects for `json`; for `xlsx` Sayari's workbook, or a zip of its workbooks."""

    project_id: str
    """The id of the project."""
    exported: File
    """For `json`, one object a line as Sayari sent it; for `xlsx`, Sayari's workbook, or a zip of several workbooks.
    """


class ExportProject(Command):
    """Fetch the saved resources of a project."""

    type_ = "sayari.export_project"
    result = ExportProjectResult

    project_id: VendorId
    """The id of the project to export."""
    content: Literal["entity", "record", "resource"] = "resource"
    """What to export: entities, records, or both (`resource`)."""
    format: Literal["json", "xlsx"] = "json"
    """The format of the export: JSON Lines or Sayari's workbooks."""

    @classmethod
    def example(cls) -> tuple[Self, ExportProjectResult]:
        """Return an example of the command and of its result."""
        command = cls(project_id="GNJWVL", content="entity")
        return command, ExportProjectResult(
            project_id="GNJWVL",
            exported=example_file("export_project", "exported.jsonl", NDJSON, 1_202, 1_810_345),
        )


class CollectChangesResult(Result):
    """`cleared` and `kept` count saved resources: of the kept ones there is other news by now."""

    project_id: str
    """The id of the project."""
    changes: File
    """The notifications, one object a line as Sayari sent it."""
    cleared: int
    """The number of saved resources whose notifications were cleared."""
    kept: int
    """The number of saved resources whose notifications were kept, because newer ones had come in the meantime."""


class CollectChanges(Command):
    """Fetch what a data release has changed about a project's saved resources."""

    model_config = ConfigDict(
        json_schema_extra={"allOf": [unless({"clear": {"const": True}}, "types")]},
    )

    type_ = "sayari.collect_changes"
    result = CollectChangesResult

    project_id: VendorId
    """The id of the project."""
    types: Words | None = None
    """The types of notification to collect; all types unless given. Cannot be combined with `clear`."""
    clear: bool = False
    """Whether to clear the notifications at Sayari once they are stored."""

    @classmethod
    def example(cls) -> tuple[Self, CollectChangesResult]:
        """Return an example of the command and of its result."""
        command = cls(project_id="GNJWVL", clear=True)
        return command, CollectChangesResult(
            project_id="GNJWVL",
            changes=example_file("collect_changes", "changes.jsonl", NDJSON, 217, 61_009),
            cleared=48,
            kept=0,
        )

    @field_validator("clear")
    @classmethod
    def _clear_all_types(cls, clear: bool, info: ValidationInfo) -> bool:
        if clear and info.data.get("types") is not None:
            msg = "Sayari clears all types of a resource's notifications together: leave types out"
            raise ValueError(msg)
        return clear


COMMANDS: tuple[type[Command], ...] = (
    ResolveEntities,
    TraceRelationships,
    FetchEntities,
    ExportProject,
    CollectChanges,
)
