"""Listings page by page. Assumed as in Creditsafe Connect: `page` from 0, `pageSize`, `paging.next`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from clients.creditsafe.replies import Page
from clients.errors import VendorUnavailable

T = TypeVar("T")

#: Items asked for at once. The largest size allowed is unpublished.
PAGE_SIZE = 100


def query(page: int, page_size: int) -> dict[str, int]:
    """The parameters that ask for a page; the first one is 0. Their names are assumed."""
    return {"page": page, "pageSize": page_size}


def items(ask: Callable[[int], Page[T]]) -> Iterator[T]:
    """The items of all pages. Raises `VendorUnavailable` if the listing goes round in a circle."""
    page: int | None = 0
    seen = 0
    while page is not None:
        answer = ask(page)
        yield from answer.data
        seen += len(answer.data)
        page = following(answer, page, seen)


def following(answer: Page[T], page: int, seen: int) -> int | None:
    """The number of the page after `page`, None after the last; `seen` items were read so far."""
    if answer.paging is not None:
        after = answer.paging.next
        if after is not None and after <= page:
            raise VendorUnavailable("creditsafe", "list", f"page {page} names page {after} as the next one")
        return after
    if not answer.data or (answer.total_count is not None and seen >= answer.total_count):
        return None
    return page + 1
