"""Answers of the graph resources: entities, paths, records, search results, sources."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from clients.sayari.shapes import Counts, Many, Map, OffsetPage, PartialDate, Shape, TokenPage


class Source(Shape):
    """A source of records; `country` is an ISO 3166 alpha-3 code."""

    id: str
    label: str = ""
    country: str | None = None


class Identifier(Shape):
    """A number or code of an entity."""

    value: str = ""
    type: str | None = None
    label: str | None = None


class SourceCount(Shape):
    """The number of records of one source about an entity."""

    count: int = 0
    label: str = ""


class EmbeddedEntity(Shape):
    """An entity as it appears in lists and paths."""

    id: str
    label: str = ""
    type: str = ""
    entity_url: str | None = None
    identifiers: Many[Identifier]
    countries: Many[str]
    closed: bool | None = None
    pep: bool | None = None
    sanctioned: bool | None = None
    #: documented by an example alone: the id of a sanctioned entity that is possibly the same
    psa_sanctioned: str | bool | None = None
    psa_count: int | None = None
    source_count: dict[str, SourceCount] | None = None
    degree: int | None = None
    addresses: Many[str]
    date_of_birth: PartialDate | None = None
    relationship_count: Counts


class EmbeddedRecord(Shape):
    """A record as it appears in lists."""

    id: str
    label: str = ""
    source: str | None = None
    publication_date: PartialDate | None = None
    acquisition_date: PartialDate | None = None
    references_count: int | None = None
    record_url: str | None = None
    source_url: str | None = None


class Relationship(Shape):
    """One relationship as one record tells it."""

    record: str | None = None
    attributes: dict[str, Any] | None = None
    date: PartialDate | None = None
    from_date: PartialDate | None = None
    to_date: PartialDate | None = None
    acquisition_date: PartialDate | None = None
    publication_date: PartialDate | None = None


def _unwrapped(value: Any) -> Any:
    """Relationships of one type are a list, in later versions of the API inside `{"values": …}`."""
    return value["values"] if isinstance(value, dict) and "values" in value else value


Relationships = Map[Annotated[list[Relationship], BeforeValidator(_unwrapped)]]


class PathSegment(Shape):
    """One step of a path: the relationships followed and the entity reached."""

    field: str = ""
    relationships: Relationships
    entity: EmbeddedEntity


class Path(Shape):
    """The path to `target` from the entity of the request."""

    target: EmbeddedEntity
    path: Many[PathSegment]


class Traversal(OffsetPage[Path]):
    """A page of paths, with the arguments repeated. It never has a size."""

    min_depth: int | None = None
    max_depth: int | None = None
    relationships: Many[str]
    countries: Many[str]
    types: Many[str]
    name: str | None = None
    watchlist: bool | None = None
    psa: bool | None = None
    explored_count: int | None = None


class ShortestPaths(Shape):
    """The shortest path between each pair of the entities asked for."""

    entities: Many[str]
    data: Many[Path]


class AttributeValue(Shape):
    """One value of an attribute and the records that hold it."""

    properties: Map[Any]
    record: Many[str]
    record_count: int | None = None


class RelatedEntity(Shape):
    """An entity related to the one asked for, by types of relationship."""

    target: EmbeddedEntity
    types: Relationships


class Match(Shape):
    """Two values that let two entities appear to be one."""

    target: str = ""
    source: str = ""


class PossiblySameAs(Shape):
    """An entity that may be the same, and why."""

    entity: EmbeddedEntity
    matches: Map[list[Match]]


class Reference(Shape):
    """A record that speaks of the entity: it is `about` it or only `mentions` it."""

    record: EmbeddedRecord
    type: str | None = None


class Entity(EmbeddedEntity):
    """An entity with all that is paginated by tokens, each list on its own."""

    attributes: Map[TokenPage[AttributeValue]]
    relationships: TokenPage[RelatedEntity] | None = None
    possibly_same_as: TokenPage[PossiblySameAs] | None = None
    referenced_by: TokenPage[Reference] | None = None


class EntitySummary(EmbeddedEntity):
    """The smaller entity. Its attributes are pages by offset; the rest is documented in words alone."""

    attributes: Map[OffsetPage[AttributeValue]]


class Record(EmbeddedRecord):
    """A record with the entities that it speaks of, a page at a time."""

    document_urls: Many[str]
    references: OffsetPage[EmbeddedEntity] | None = None


class FoundEntity(EmbeddedEntity):
    """A search result: `matches` are the values found, with `<em>` around the words."""

    matches: Map[list[str]]


class FoundRecord(EmbeddedRecord):
    """A search result: `matches` as for entities."""

    matches: Map[list[str]]


class Facet(Shape):
    """The number of results with one value."""

    key: str
    label: str | None = None
    doc_count: int = 0


class EntitySearch(OffsetPage[FoundEntity]):
    """A page of entities; `facets` only if asked for."""

    facets: dict[str, list[Facet]] | None = None


class RecordSearch(OffsetPage[FoundRecord]):
    """A page of records; `facets` only if asked for."""

    facets: dict[str, list[Facet]] | None = None
