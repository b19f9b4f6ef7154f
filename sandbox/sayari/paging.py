"""Pages as the reference describes them: by offset, and by tokens."""

from __future__ import annotations

import base64
import binascii
import bisect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.datastructures import QueryParams

T = TypeVar("T")

#: A list in ascending order of (timestamp, id): pages show it from its end, the newest first.
Keyed = Sequence[tuple[str, str, T]]


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def number(query: QueryParams, name: str, default: int, low: int, high: int | None = None) -> int:
    """An integer parameter. Out of its range it is refused with 406 (the code is assumed)."""
    text = query.get(name)
    if text is None or text == "":
        return default
    if not text.isdecimal() or int(text) < low or (high is not None and int(text) > high):
        raise Refused(
            406, f"{name} must be an integer of at least {low}" + (f" and at most {high}" if high else "")
        )
    return int(text)


def flag(query: QueryParams, name: str) -> bool:
    """A boolean parameter: `?psa`, `psa=` and `psa=true` all set it."""
    return query.get(name, "false").lower() in {"", "true", "1"}


def size(count: int) -> dict[str, Any]:
    """A total that is no estimate."""
    return {"count": count, "qualifier": "eq"}


def offset_page(items: Sequence[T], offset: int, limit: int, show: Callable[[T], Any]) -> dict[str, Any]:
    """`limit` items from `offset` on."""
    return {
        "offset": offset,
        "limit": limit,
        "next": offset + limit < len(items),
        "size": size(len(items)),
        "data": [show(item) for item in items[offset : offset + limit]],
    }


def encode(stamp: str, id: str) -> str:
    """The token of a place in a list."""
    return base64.urlsafe_b64encode(f"{stamp}|{id}".encode()).rstrip(b"=").decode()


def decode(token: str) -> tuple[str, str]:
    """The place that a token names; not ours, it is refused."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    stamp, bar, id = text.partition("|")
    if not bar:
        raise Refused(406, "unknown page token")
    return stamp, id


def token_page(
    items: Keyed[T],
    query: QueryParams,
    show: Callable[[T], Any],
    *,
    default: int = 100,
    prefix: str = "",
    sized: bool = False,
    most: int = 1_000,
) -> dict[str, Any]:
    """The page that `{prefix}next`, `{prefix}prev` and `{prefix}limit` ask for, of `most` items at most."""
    limit = min(number(query, f"{prefix}limit", default, 1, default), most)
    after, before = query.get(f"{prefix}next"), query.get(f"{prefix}prev")
    start, end = max(0, len(items) - limit), len(items)
    if after:
        end = bisect.bisect_left(items, decode(after), key=_place)
        start = max(0, end - limit)
    elif before:
        start = bisect.bisect_right(items, decode(before), key=_place)
        end = min(len(items), start + limit)
    page: dict[str, Any] = {}
    if start < end < len(items):
        page["prev"] = encode(*_place(items[end - 1]))
    if 0 < start < end:
        page["next"] = encode(*_place(items[start]))
    page["limit"] = limit
    if sized:
        page["size"] = size(len(items))
    return page | {"data": [show(item) for _, _, item in reversed(items[start:end])]}


def in_order(items: Sequence[T]) -> Keyed[T]:
    """Items that have no time of their own, so that pages show them in the order given."""
    return [(f"{len(items) - place:09}", "", item) for place, item in reversed(list(enumerate(items)))]


def _place(item: tuple[str, str, Any]) -> tuple[str, str]:
    return item[0], item[1]
