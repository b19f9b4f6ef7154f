"""Answers of the workspace and info resources: projects, saved resources, resolutions, usage."""

from __future__ import annotations

from typing import Any

from clients.sayari.graph_shapes import EmbeddedEntity, EmbeddedRecord, Identifier
from clients.sayari.shapes import Counts, Many, Map, Shape


class Project(Shape):
    """A project. `created` and `updated` are Postgres timestamps."""

    id: str
    label: str = ""
    archived: bool = False
    created: str | None = None
    updated: str | None = None


class Member(Shape):
    """The users of a project, as `admin`, `editor` or `viewer`."""

    type: str | None = None
    id: str | None = None
    role: str | None = None


class ListedProject(Shape):
    """A project as the list holds it."""

    project: Project
    members: Many[Member]


class SavedResource(Shape):
    """An entity or a record saved in a project."""

    id: str
    project: str | None = None
    label: str = ""
    type: str = ""
    resourceId: str | None = None  # noqa: N815 - as the vendor writes it
    resourceGraph: str | None = None  # noqa: N815 - as the vendor writes it
    created: str | None = None
    updated: str | None = None


class ExportedResource(Shape):
    """A saved resource as exports hold it: with its entity or its record.

    Only the export of entities is documented; that records come in the same way under `record`, and
    both in the export of all resources, is assumed.
    """

    entity: EmbeddedEntity | None = None
    record: EmbeddedRecord | None = None
    label: str = ""
    created: str | None = None
    updated: str | None = None


class ChangedResource(Shape):
    """A saved resource with change notifications, counted by their type."""

    id: str
    resourceId: str | None = None  # noqa: N815 - as the vendor writes it
    counts: Counts


class ChangeNotification(Shape):
    """One change: of an attribute (told by a record) or of a relationship (to an entity)."""

    resourceId: str | None = None  # noqa: N815 - as the vendor writes it
    value: Any = None
    qualifier: str | None = None
    date: str | None = None


class Upload(Shape):
    """An upload that Sayari has taken: how many entities were read from it."""

    count: int
    file: str | None = None
    uploaded: str | None = None


class Progress(Shape):
    """The progress of a project's resolution; it is finished when `remaining` is 0."""

    id: str | None = None
    remaining: int = 0
    total: int = 0
    started: str | None = None
    updated: str | None = None


class Attributes(Shape):
    """The attributes of an entity, as uploaded."""

    name: Many[str]
    country: Many[str]
    address: Many[str]
    date_of_birth: Many[str]
    contact: Many[str]
    identifier: Many[Identifier]


class UnresolvedEntity(Shape):
    """An uploaded entity without a match."""

    id: str
    count: int = 0
    attributes: Attributes | None = None
    created: str | None = None
    updated: str | None = None


class Hits(Shape):
    """The values that matched, by id of the Sayari entity and by attribute."""

    version: int | None = None
    values: Map[dict[str, list[str]]]


class ResolvedEntity(UnresolvedEntity):
    """An uploaded entity with `count` matches."""

    hits: Hits | None = None


class Usage(Shape):
    """Calls made in a time: by kind, from and to as the vendor gives them."""

    usage: Counts


class Event(Shape):
    """One thing that a user did."""

    user: str | None = None
    environment: str | None = None
    event: str | None = None
    data: dict[str, Any] | None = None
    timestamp: str | None = None


class History(Shape):
    """A page of events. No field for the next page is documented: later versions have `next_token`."""

    events: Many[Event]
    next_token: str | None = None
