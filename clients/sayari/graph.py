"""Entities, traversals, records and sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any, overload

from clients.operation import Call
from clients.resource import Resource, operation
from clients.sayari.files import save
from clients.sayari.graph_shapes import Entity, EntitySummary, Record, ShortestPaths, Source, Traversal
from clients.sayari.requests import JSON, PageArguments, RelationshipArguments
from clients.sayari.shapes import OffsetPage

Texts = Sequence[str] | str | None


class Entities(Resource):
    """`entities`: real-world things drawn from records."""

    group = "entities"

    @overload
    def get(
        self,
        /,
        id: str,
        *,
        attributes: Mapping[str, PageArguments] | None = None,
        relationships: RelationshipArguments | None = None,
        possibly_same_as: PageArguments | None = None,
        referenced_by: PageArguments | None = None,
    ) -> Entity: ...

    @overload
    def get(
        self,
        /,
        id: str,
        *,
        attributes: Mapping[str, PageArguments] | None = None,
        relationships: RelationshipArguments | None = None,
        possibly_same_as: PageArguments | None = None,
        referenced_by: PageArguments | None = None,
        accept: str,
        to: IO[bytes],
    ) -> None: ...

    @operation("GET /v1/entity/{id}")
    def get(
        self,
        call: Call,
        id: str,
        *,
        attributes: Mapping[str, PageArguments] | None = None,
        relationships: RelationshipArguments | None = None,
        possibly_same_as: PageArguments | None = None,
        referenced_by: PageArguments | None = None,
        accept: str = JSON,
        to: IO[bytes] | None = None,
    ) -> Entity | None:
        """An entity with its attributes, relationships, look-alikes and records, each list by token pages.

        With `to`, the answer is written there as `accept` says: CSV, PDF or EXCEL of `requests`.
        """
        lists: dict[str, Mapping[str, Any] | None] = {
            **{f"attributes.{field}": page for field, page in (attributes or {}).items()},
            "relationships": relationships,
            "possibly_same_as": possibly_same_as,
            "referenced_by": referenced_by,
        }
        params = {
            f"{name}.{key}": value for name, page in lists.items() for key, value in (page or {}).items()
        }
        if to is None:
            return call(path={"id": id}, params=params).model(Entity)
        save(self._transport, call, to, accept, path={"id": id}, params=params)
        return None

    @operation("GET /v1/entity_summary/{id}")
    def summary(self, call: Call, id: str) -> EntitySummary:
        """A smaller entity: up to 50 values of the main attributes."""
        return call(path={"id": id}).model(EntitySummary)


class Traversals(Resource):
    """`traversals`: paths from an entity to others, at most 50 a page and 10 steps deep.

    All but `shortest_path` take the same arguments: `relationships` to follow, `psa` to follow
    look-alikes too, and filters on the entity at the end of a path (`countries`, `types`, `name`,
    `watchlist`).
    """

    group = "traversals"

    @operation("GET /v1/traversal/{id}", rate_limit="advanced")
    def traverse(
        self,
        call: Call,
        id: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        min_depth: int | None = None,
        max_depth: int | None = None,
        relationships: Texts = None,
        psa: bool | None = None,
        countries: Texts = None,
        types: Texts = None,
        name: str | None = None,
        watchlist: bool | None = None,
    ) -> Traversal:
        """Paths to entities related in any way, or by the given `relationships`."""
        return _traverse(
            call, id, offset=offset, limit=limit, min_depth=min_depth, max_depth=max_depth,
            relationships=relationships, psa=psa, countries=countries, types=types, name=name,
            watchlist=watchlist,
        )  # fmt: skip

    @operation("GET /v1/ubo/{id}", rate_limit="advanced")
    def ubo(
        self,
        call: Call,
        id: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        min_depth: int | None = None,
        max_depth: int | None = None,
        relationships: Texts = None,
        psa: bool | None = None,
        countries: Texts = None,
        types: Texts = None,
        name: str | None = None,
        watchlist: bool | None = None,
    ) -> Traversal:
        """Paths to those who own the entity in the end."""
        return _traverse(
            call, id, offset=offset, limit=limit, min_depth=min_depth, max_depth=max_depth,
            relationships=relationships, psa=psa, countries=countries, types=types, name=name,
            watchlist=watchlist,
        )  # fmt: skip

    @operation("GET /v1/downstream/{id}", rate_limit="advanced")
    def downstream(
        self,
        call: Call,
        id: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        min_depth: int | None = None,
        max_depth: int | None = None,
        relationships: Texts = None,
        psa: bool | None = None,
        countries: Texts = None,
        types: Texts = None,
        name: str | None = None,
        watchlist: bool | None = None,
    ) -> Traversal:
        """Paths to what the entity owns, at first or second hand."""
        return _traverse(
            call, id, offset=offset, limit=limit, min_depth=min_depth, max_depth=max_depth,
            relationships=relationships, psa=psa, countries=countries, types=types, name=name,
            watchlist=watchlist,
        )  # fmt: skip

    @operation("GET /v1/watchlist/{id}", rate_limit="advanced")
    def watchlist(
        self,
        call: Call,
        id: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        min_depth: int | None = None,
        max_depth: int | None = None,
        relationships: Texts = None,
        psa: bool | None = None,
        countries: Texts = None,
        types: Texts = None,
        name: str | None = None,
        watchlist: bool | None = None,
    ) -> Traversal:
        """Paths to entities on a watchlist and to politically exposed persons."""
        return _traverse(
            call, id, offset=offset, limit=limit, min_depth=min_depth, max_depth=max_depth,
            relationships=relationships, psa=psa, countries=countries, types=types, name=name,
            watchlist=watchlist,
        )  # fmt: skip

    @operation("GET /v1/shortest_path", rate_limit="advanced")
    def shortest_path(self, call: Call, entities: Sequence[str]) -> ShortestPaths:
        """The shortest path between each pair of `entities`, given by their ids."""
        return call(params={"entities": list(entities)}).model(ShortestPaths)


def _traverse(call: Call, id: str, **arguments: Any) -> Traversal:
    return call(path={"id": id}, params=arguments).model(Traversal)


class Records(Resource):
    """`records`: the documents behind the entities."""

    group = "records"

    @operation("GET /v1/record/{id}")
    def get(
        self,
        call: Call,
        id: str,
        *,
        references_limit: int | None = None,
        references_offset: int | None = None,
    ) -> Record:
        """A record and a page of the entities that it is about or mentions. Its id may hold a `/`."""
        params = {"references.limit": references_limit, "references.offset": references_offset}
        return call(path={"id": id}, params=params).model(Record)


class Sources(Resource):
    """`sources`: where Sayari collects its records."""

    group = "sources"

    @operation("GET /v1/source/{id}")
    def get(self, call: Call, id: str) -> Source:
        """One source."""
        return call(path={"id": id}).model(Source)

    @operation("GET /v1/sources")
    def list(self, call: Call, *, limit: int | None = None, offset: int | None = None) -> OffsetPage[Source]:
        """All sources by offset pages; `limit` is 1 to 100."""
        return call(params={"limit": limit, "offset": offset}).model(OffsetPage[Source])
