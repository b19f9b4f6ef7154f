"""Entities, traversals, records, search and sources."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import serves
from sandbox.sayari import shapes
from sandbox.sayari.base import Part, body_of
from sandbox.sayari.formats import CSV, EXCEL, PDF, answer, wanted
from sandbox.sayari.paging import Refused, flag, in_order, number, offset_page, token_page
from sandbox.sayari.query import Query, facets
from sandbox.sayari.register import Entity
from sandbox.sayari.traversal import Explorer, Filter, Step

UPWARD = ("has_shareholder", "has_beneficial_owner", "has_owner", "subsidiary_of", "branch_of")
DOWNWARD = ("shareholder_of", "beneficial_owner_of", "owner_of", "has_subsidiary", "has_branch")
#: Most paths a page, most steps a path.
PATHS, DEPTH = 50, 10
SUMMARY = 50


class Graph(Part):
    """The operations that read the graph."""

    def entity(self, id: str) -> Entity:
        """The entity with this id, or 404."""
        if id not in self.register.entities:
            raise Refused(404, f"no entity {id}")
        return self.register.entities[id]

    @serves("GET /v1/entity/{id}")
    async def entities__get(self, request: Request) -> Response:
        """One entity with all its lists, or a table or text of its attributes."""
        entity = self.entity(request.path_params["id"])
        type, query = wanted(request, CSV, PDF, EXCEL), request.query_params
        lists = shapes.lists_of(self.register, entity)
        if kept := query.get("relationships.type"):
            lists["relationships"] = [each for each in lists["relationships"] if kept in each["types"]]
        body = shapes.embedded(entity) | {
            "attributes": {
                name: self._list_page(values, query, f"attributes.{name}.")
                for name, values in shapes.attributes_of(entity).items()
            },
            **{name: self._list_page(values, query, f"{name}.") for name, values in lists.items()},
        }
        rows = [("attribute", "value")]
        rows += [
            (name, str(value["properties"]["value"]))
            for name, values in shapes.attributes_of(entity).items()
            for value in values
        ]
        return answer(type, body, rows)

    def _list_page(self, values: list[Any], query: QueryParams, prefix: str) -> dict[str, Any]:
        most = self.state.page_limit
        return token_page(in_order(values), query, _same, prefix=prefix, sized=True, most=most)

    @serves("GET /v1/entity_summary/{id}")
    async def entities__summary(self, request: Request) -> Response:
        """The smaller entity: its attributes are pages by offset."""
        entity = self.entity(request.path_params["id"])
        lists = shapes.lists_of(self.register, entity)
        body = shapes.embedded(entity) | {
            "attributes": {
                name: offset_page(values, 0, SUMMARY, _same)
                for name, values in shapes.attributes_of(entity).items()
            },
            "possibly_same_as": self._list_page(lists["possibly_same_as"], QueryParams(), ""),
            "referenced_by": self._list_page(lists["referenced_by"], QueryParams(), ""),
        }
        return JSONResponse(body)

    @serves("GET /v1/traversal/{id}")
    async def traversals__traverse(self, request: Request) -> Response:
        """Paths along any relationships, or those asked for."""
        return self._traverse(request, request.query_params.getlist("relationships"))

    @serves("GET /v1/ubo/{id}")
    async def traversals__ubo(self, request: Request) -> Response:
        """Paths to owners; other relationships asked for are ignored."""
        return self._traverse(request, UPWARD)

    @serves("GET /v1/downstream/{id}")
    async def traversals__downstream(self, request: Request) -> Response:
        """Paths to what is owned; other relationships asked for are ignored."""
        return self._traverse(request, DOWNWARD)

    @serves("GET /v1/watchlist/{id}")
    async def traversals__watchlist(self, request: Request) -> Response:
        """Paths that end on a watchlist: here, at sanctioned entities."""
        return self._traverse(request, request.query_params.getlist("relationships"), watchlist=True)

    def _traverse(self, request: Request, relationships: Any, *, watchlist: bool = False) -> Response:
        start, query = self.entity(request.path_params["id"]), request.query_params
        offset, limit = number(query, "offset", 0, 0), number(query, "limit", PATHS, 1, PATHS)
        limit = min(limit, self.state.page_limit)
        low, high = number(query, "min_depth", 0, 0, DEPTH), number(query, "max_depth", DEPTH, 0, DEPTH)
        path_filter = Filter(
            query.getlist("countries"), query.getlist("types"), query.get("name", ""),
            watchlist or flag(query, "watchlist"),
        )  # fmt: skip
        explorer = Explorer(self.register, start, relationships, psa=flag(query, "psa"))
        paths = [path for path in explorer.paths(low, high) if path_filter.allows(path[-1][2])]
        page = paths[offset : offset + limit]
        body = {
            "min_depth": low, "max_depth": high, "relationships": list(relationships),
            "countries": path_filter.countries, "types": path_filter.types, "name": path_filter.name,
            "watchlist": path_filter.watchlist, "psa": flag(query, "psa"), "offset": offset, "limit": limit,
            "next": offset + limit < len(paths), "data": [self._path(start, path) for path in page],
            "explored_count": explorer.explored, "partial_results": False,
        }  # fmt: skip
        return JSONResponse(body)

    def _path(self, start: Entity, path: list[Step]) -> dict[str, Any]:
        steps = [shapes.segment(*step, compatible=self.sdk_compat) for step in path]
        return {"source": start.id, "target": shapes.embedded(path[-1][2]), "path": steps}

    @serves("GET /v1/shortest_path")
    async def traversals__shortest_path(self, request: Request) -> Response:
        """A path for each pair of entities that are connected."""
        ids = request.query_params.getlist("entities")
        if len(ids) < 2:  # noqa: PLR2004 - a pair
            raise Refused(406, "entities must name at least two entities")
        data = []
        for start, end in combinations(map(self.entity, ids), 2):
            paths = Explorer(self.register, start, (), psa=False).paths(1, DEPTH)
            data += [self._path(start, path) for path in paths if path[-1][2] is end]
        return JSONResponse({"entities": ids, "data": data})

    @serves("GET /v1/record/{id:path}")
    async def records__get(self, request: Request) -> Response:
        """One record, by an id with `/` in it, encoded or not."""
        about = self.register.record(request.path_params["id"])
        if about is None:
            raise Refused(404, "no such record")
        query = request.query_params
        offset = number(query, "references.offset", 0, 0)
        limit = number(query, "references.limit", 100, 1, 100)
        mentioned = [about, *(self.register.entities[id] for id in about.links)]
        urls = {"document_urls": [f"/document/{about.record_id}/file/extract.html"]}
        references = offset_page(mentioned, offset, limit, shapes.embedded)
        return JSONResponse(shapes.embedded_record(about) | urls | {"references": references})

    @serves("GET /v1/search/entity")
    async def search__entities(self, request: Request) -> Response:
        """Search in the query string."""
        return self._search(request, _asked(request.query_params), records=False)

    @serves("POST /v1/search/entity")
    async def search__entities_post(self, request: Request) -> Response:
        """Search in a JSON body."""
        return self._search(request, await _posted(request), records=False)

    @serves("GET /v1/search/record")
    async def search__records(self, request: Request) -> Response:
        """Search in the query string."""
        return self._search(request, _asked(request.query_params), records=True)

    @serves("POST /v1/search/record")
    async def search__records_post(self, request: Request) -> Response:
        """Search in a JSON body."""
        return self._search(request, await _posted(request), records=True)

    def _search(self, request: Request, given: dict[str, Any], *, records: bool) -> Response:
        type, query = wanted(request, CSV), Query.of(given)
        paging = QueryParams(
            {key: str(given[key]) for key in ("limit", "offset") if given.get(key) is not None}
        )
        offset, limit = number(paging, "offset", 0, 0), number(paging, "limit", 100, 1, 100)
        found = [(entity, query.matches(entity)) for entity in self.register.entities.values()]
        hits = [(entity, matches) for entity, matches in found if matches is not None]
        show = shapes.embedded_record if records else shapes.embedded
        more: dict[str, Any] = {} if records else {"coordinates": []}
        page = offset_page(hits, offset, limit, lambda hit: show(hit[0]) | more | {"matches": hit[1]})
        if query.facets:
            page["facets"] = facets([entity for entity, _ in hits])
        rows = [("id", "label"), *((item["id"], item["label"]) for item in page["data"])]
        return answer(type, page, rows)

    @serves("GET /v1/source/{id}")
    async def sources__get(self, request: Request) -> Response:
        """One source."""
        source = self.register.sources.get(request.path_params["id"])
        if source is None:
            raise Refused(404, "no such source")
        return JSONResponse(shapes.source_json(source))

    @serves("GET /v1/sources")
    async def sources__list(self, request: Request) -> Response:
        """All sources."""
        query = request.query_params
        offset, limit = number(query, "offset", 0, 0), number(query, "limit", 100, 1, 100)
        sources = list(self.register.sources.values())
        return JSONResponse(offset_page(sources, offset, limit, shapes.source_json))


def _same(value: Any) -> Any:
    return value


def _asked(query: QueryParams) -> dict[str, Any]:
    """A search in a query string: filters are `key=value`, encoded or not, and may be called `filter`."""
    filters: dict[str, list[str]] = {}
    for text in [*query.getlist("filters"), *query.getlist("filter")]:
        key, _, value = text.partition("=")
        filters.setdefault(key, []).append(value)
    flags = {name: flag(query, name) for name in ("facets", "advanced")}
    plain = {name: query[name] for name in ("q", "limit", "offset") if name in query}
    return plain | flags | {"fields": query.getlist("fields"), "filters": filters}


async def _posted(request: Request) -> dict[str, Any]:
    """A search in a JSON body; the later API has `limit` and `offset` in the query and says `filter`."""
    body = await body_of(request)
    query = request.query_params
    return {
        **{key: query[key] for key in ("limit", "offset") if key in query},
        "filters": body.get("filter"),
        **body,
    }
