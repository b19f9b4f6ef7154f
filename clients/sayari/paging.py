"""Lists to their end, one page at a time.

for page in token_pages(sayari.projects.list, limit=100): …
for page in offset_pages(sayari.search.entities, "steel"): …
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from clients.errors import VendorUnavailable
from clients.sayari.graph_shapes import Entity, Record
from clients.sayari.shapes import OffsetPage, TokenPage
from clients.sayari.workspace_shapes import History

P = TypeVar("P", bound=OffsetPage[Any])


def token_pages(
    fetch: Callable[..., TokenPage[Any]], *args: Any, next: str | None = None, **kwargs: Any
) -> Iterator[TokenPage[Any]]:
    """The pages of an operation with `next` and `prev`, from the token `next` on."""
    while True:
        page = fetch(*args, next=next, **kwargs)
        yield page
        if page.next is None:
            return
        next = _onward(next, page.next)


def offset_pages(fetch: Callable[..., P], *args: Any, offset: int = 0, **kwargs: Any) -> Iterator[P]:
    """The pages of an operation with `offset`."""
    while True:
        page = fetch(*args, offset=offset, **kwargs)
        yield page
        if not page.next or not page.data:
            return
        offset += len(page.data)


def reference_pages(
    fetch: Callable[..., Record], id: str, *, offset: int = 0, **kwargs: Any
) -> Iterator[Record]:
    """A record again and again, each time with the next page of its references."""
    while True:
        record = fetch(id, references_offset=offset, **kwargs)
        yield record
        page = record.references
        if page is None or not page.next or not page.data:
            return
        offset += len(page.data)


def entity_pages(
    fetch: Callable[..., Entity], id: str, field: str, *, limit: int | None = None, next: str | None = None
) -> Iterator[TokenPage[Any]]:
    """One of an entity's lists: `relationships`, `possibly_same_as`, `referenced_by` or `attributes.<field>`."""
    area, _, attribute = field.partition(".")
    while True:
        chosen = {key: value for key, value in (("next", next), ("limit", limit)) if value is not None}
        entity = fetch(id, **{area: {attribute: chosen} if attribute else chosen})
        page = entity.attributes.get(attribute) if attribute else getattr(entity, area)
        if page is None:
            return
        yield page
        if page.next is None:
            return
        next = _onward(next, page.next)


def history_pages(fetch: Callable[..., History], **kwargs: Any) -> Iterator[History]:
    """The pages of the history of events."""
    token: str | None = None
    while True:
        page = fetch(token=token, **kwargs)
        yield page
        if page.next_token is None:
            return
        token = _onward(token, page.next_token)


def _onward(token: str | None, following: str) -> str:
    """The following token; a page that names itself would never end."""
    if following == token:
        raise VendorUnavailable("sayari", "paging", "a page names itself as the next one")
    return following
