"""Commands of Sayari Graph: what is done in its projects. Those about known entities: `messages.sayari_graph`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

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
from messages.sayari_graph import FetchEntities, TraceRelationships, Words

Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Texts = Annotated[list[Text], Field(min_length=1, max_length=100)]


class Identifier(Model):
    """A number or code of an entity, with its Sayari type where that is known."""

    value: Text
    type: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None


class Entity(Model):
    """What is known of an entity that is to be found; at least one attribute."""

    model_config = ConfigDict(
        json_schema_extra=any_of("name", "country", "address", "date_of_birth", "contact", "identifier")
    )

    name: Texts | None = None
    country: Texts | None = None
    address: Texts | None = None
    date_of_birth: Texts | None = None
    contact: Texts | None = None
    identifier: Annotated[list[Identifier], Field(min_length=1, max_length=100)] | None = None

    @model_validator(mode="after")
    def _something(self) -> Entity:
        if not dump(self):
            msg = "give at least one attribute"
            raise ValueError(msg)
        return self


class Project(Model):
    """An existing project by `id`, or a new one by `label`."""

    model_config = ConfigDict(json_schema_extra=one_of("id", "label"))

    id: VendorId | None = None
    label: Name | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Project:
        if (self.id is None) == (self.label is None):
            msg = "give either id (an existing project) or label (a new one)"
            raise ValueError(msg)
        return self


class ResolveEntitiesResult(Result):
    """`uploaded` = objects in `resolved` + objects in `unresolved`."""

    project_id: str
    uploaded: int
    resolved: File
    unresolved: File
    rejects: File | None = Rejects


class ResolveEntities(Command):
    """Find the Sayari entities behind a file or a list of names."""

    model_config = ConfigDict(json_schema_extra=one_of("file", "entities"))

    type_ = "sayari.resolve_entities"
    result = ResolveEntitiesResult

    file: Uri | None = None
    entities: Annotated[list[Entity], Field(min_length=1, max_length=10_000)] | None = None
    project: Project | None = None
    delete_project: bool = False
    strict: bool = Strict

    @model_validator(mode="after")
    def _one_of_two(self) -> ResolveEntities:
        if (self.file is None) == (self.entities is None):
            msg = "give either file or entities"
            raise ValueError(msg)
        return self

    def inputs(self) -> Iterator[tuple[str, str]]:
        """The file, if it is one."""
        if self.file is not None:
            yield "file", self.file


class ExportProjectResult(Result):
    """`exported` are objects for `json`; for `xlsx` Sayari's workbook, or a zip of its workbooks."""

    project_id: str
    exported: File


class ExportProject(Command):
    """Fetch the saved resources of a project."""

    type_ = "sayari.export_project"
    result = ExportProjectResult

    project_id: VendorId
    content: Literal["entity", "record", "resource"] = "resource"
    format: Literal["json", "xlsx"] = "json"


class CollectChangesResult(Result):
    """`cleared` and `kept` count saved resources: of the kept ones there is other news by now."""

    project_id: str
    changes: File
    cleared: int
    kept: int


class CollectChanges(Command):
    """Fetch what a data release has changed about a project's saved resources."""

    model_config = ConfigDict(
        json_schema_extra={"allOf": [unless({"clear": {"const": True}}, "types")]},
    )

    type_ = "sayari.collect_changes"
    result = CollectChangesResult

    project_id: VendorId
    types: Words | None = None
    clear: bool = False

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
