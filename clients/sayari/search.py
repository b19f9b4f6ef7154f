"""Search by text, with the arguments in the query (GET) or in a JSON body (POST): the results are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import IO, Any, TypeVar, overload

from clients.operation import Call
from clients.resource import Resource, operation
from clients.sayari.files import save
from clients.sayari.graph_shapes import EntitySearch, RecordSearch
from clients.sayari.requests import JSON
from clients.sayari.shapes import Shape

S = TypeVar("S", bound=Shape)

#: Values by filter key: `source`, `country` or `entity_type`. The reference also says `filter`, but
#: all its examples say `filters`.
Filters = Mapping[str, Sequence[str]]


class Search(Resource):
    """`search`: all four operations take the same arguments.

    `q` is an Elasticsearch simple query string, with `advanced` a full one. `fields` are name,
    identifier, address, business_purpose, date_of_birth, contact. `limit` is 1 to 100. With `to`, the
    answer is written there as `accept` says: CSV of `requests`.
    """

    group = "search"

    @overload
    def entities(
        self, /, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None,
    ) -> EntitySearch: ...  # fmt: skip

    @overload
    def entities(
        self, /, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None, accept: str, to: IO[bytes],
    ) -> None: ...  # fmt: skip

    @operation("GET /v1/search/entity", rate_limit="advanced")
    def entities(
        self, call: Call, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None, accept: str = JSON, to: IO[bytes] | None = None,
    ) -> EntitySearch | None:  # fmt: skip
        """Entities that match a query, by offset pages."""
        params = _query(q, filters, fields, facets, advanced, limit, offset)
        return self._found(call, EntitySearch, accept, to, params=params)

    @overload
    def entities_post(
        self, /, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None,
    ) -> EntitySearch: ...  # fmt: skip

    @overload
    def entities_post(
        self, /, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None, accept: str, to: IO[bytes],
    ) -> None: ...  # fmt: skip

    @operation("POST /v1/search/entity", effect=False, rate_limit="advanced")
    def entities_post(
        self, call: Call, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None, accept: str = JSON, to: IO[bytes] | None = None,
    ) -> EntitySearch | None:  # fmt: skip
        """Entities that match a query in a JSON body, by offset pages."""
        body = _body(q, filters, fields, facets, advanced, limit, offset)
        return self._found(call, EntitySearch, accept, to, json=body)

    @overload
    def records(
        self, /, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None,
    ) -> RecordSearch: ...  # fmt: skip

    @overload
    def records(
        self, /, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None, accept: str, to: IO[bytes],
    ) -> None: ...  # fmt: skip

    @operation("GET /v1/search/record", rate_limit="advanced")
    def records(
        self, call: Call, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None, accept: str = JSON, to: IO[bytes] | None = None,
    ) -> RecordSearch | None:  # fmt: skip
        """Records that match a query, by offset pages."""
        params = _query(q, filters, fields, facets, advanced, limit, offset)
        return self._found(call, RecordSearch, accept, to, params=params)

    @overload
    def records_post(
        self, /, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None,
    ) -> RecordSearch: ...  # fmt: skip

    @overload
    def records_post(
        self, /, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None, accept: str, to: IO[bytes],
    ) -> None: ...  # fmt: skip

    @operation("POST /v1/search/record", effect=False, rate_limit="advanced")
    def records_post(
        self, call: Call, q: str, *, filters: Filters | None = None, fields: Sequence[str] | None = None,
        facets: bool | None = None, advanced: bool | None = None, limit: int | None = None,
        offset: int | None = None, accept: str = JSON, to: IO[bytes] | None = None,
    ) -> RecordSearch | None:  # fmt: skip
        """Records that match a query in a JSON body, by offset pages."""
        body = _body(q, filters, fields, facets, advanced, limit, offset)
        return self._found(call, RecordSearch, accept, to, json=body)

    def _found(
        self, call: Call, shape: type[S], accept: str, to: IO[bytes] | None, **request: Any
    ) -> S | None:
        if to is None:
            return call(**request).model(shape)
        save(self._transport, call, to, accept, **request)
        return None


def _body(
    q: str, filters: Filters | None, fields: Sequence[str] | None, facets: bool | None,
    advanced: bool | None, limit: int | None, offset: int | None,
) -> dict[str, Any]:  # fmt: skip
    parameters = {
        "q": q,
        "filters": {key: list(values) for key, values in filters.items()} if filters else None,
        "fields": list(fields) if fields else None,
        "facets": facets,
        "advanced": advanced,
        "limit": limit,
        "offset": offset,
    }
    return {key: value for key, value in parameters.items() if value is not None}


def _query(
    q: str, filters: Filters | None, fields: Sequence[str] | None, facets: bool | None,
    advanced: bool | None, limit: int | None, offset: int | None,
) -> dict[str, Any]:  # fmt: skip
    body = _body(q, filters, fields, facets, advanced, limit, offset)
    if filters:
        body["filters"] = [f"{key}={value}" for key, values in filters.items() for value in values]
    return body
