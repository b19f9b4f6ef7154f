"""A full entity as one line of JSON, written as its pages come: some have relationships beyond number.

Every answer holds the first page of each list, and another page of the one it is asked for. So an entity takes
one call, and one more for each further page; a line that was left off goes on with the next of these calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clients.sayari import Sayari
from clients.sayari.graph_shapes import Entity
from clients.sayari.shapes import TokenPage
from messages.errors import Code
from workers.errors import JobFailed
from workers.jobs.sayari.entity_lookup import Piece
from workers.jobs.sayari.files import json_bytes

ATTRIBUTES = "attributes"
#: The other lists, in their order in the line; the attributes follow.
LISTS = ("relationships", "possibly_same_as", "referenced_by")
#: What a list of all pages does not have.
OF_A_PAGE = {"next", "prev", "limit", "data"}


def full(sayari: Sayari, id: str, rest: Any) -> Iterator[Piece]:
    """The entity with every page of every list, a call a piece.

    All is as Sayari gave it, but for its lists: each has the `data` of all its pages.

    Args:
        sayari: the client.
        id: of the entity.
        rest: the `list` that is not finished, the token of its `next` page, and whether it has `some` items yet.
    """
    while True:
        content, following = line_of(sayari.entities.get(id, **_asked(rest)), rest)
        yield Piece(content, int(following is None), following)
        if following is None:
            return
        if rest is not None and (following["list"], following["next"]) == (rest["list"], rest["next"]):
            raise JobFailed(Code.VENDOR_FAILED, "a page of an entity's list names itself as the next one")
        rest = following


def line_of(entity: Entity, rest: Any) -> tuple[bytes, dict[str, Any] | None]:
    """Return what this answer adds to the line, and what is not finished then; None at the end of the line."""
    out = []
    if rest is None:
        lists = {name: value for name, value in entity.given.items() if name not in {ATTRIBUTES, *LISTS}}
        out.append(json_bytes(lists)[:-1])
    before = None
    for name, page in _lists(entity, rest).items():
        some = rest is not None and rest["list"] == name and rest["some"]
        if rest is None or rest["list"] != name:
            out.append(_opening(name, before, page))
        for item in page.given.get("data") or ():
            out.append(b"," + json_bytes(item) if some else json_bytes(item))
            some = True
        if page.next is not None:
            return b"".join(out), {"list": name, "next": page.next, "some": some}
        out.append(b"]}")
        before = name
    out.append(b"}}\n" if before is not None and before.startswith(ATTRIBUTES) else b"}\n")
    return b"".join(out), None


def _asked(rest: Any) -> dict[str, Any]:
    """The arguments that ask for what is not finished."""
    if rest is None:
        return {}
    area, _, field = rest["list"].partition(".")
    page = {"next": rest["next"]}
    return {area: {field: page} if field else page}


def _lists(entity: Entity, rest: Any) -> dict[str, TokenPage[Any]]:
    """The lists from the one not finished on, by name; always in the same order."""
    found: dict[str, TokenPage[Any]] = {name: page for name in LISTS if (page := getattr(entity, name))}
    found |= {f"{ATTRIBUTES}.{field}": page for field, page in sorted(entity.attributes.items())}
    if rest is None:
        return found
    order = [*LISTS, *sorted({*found, rest["list"]} - {*LISTS})]
    left = order[order.index(rest["list"]) :]
    # one that is gone meanwhile has come to its end
    return {name: found.get(name, TokenPage(data=[])) for name in left if name in {*found, rest["list"]}}


def _opening(name: str, before: str | None, page: TokenPage[Any]) -> bytes:
    """A list's beginning, up to its first item."""
    area, _, field = name.partition(".")
    place = b',"%b":{' % area.encode()
    if field:
        inside = before is not None and before.startswith(ATTRIBUTES)
        place = (b"," if inside else place) + json_bytes(field) + b":{"
    members = {key: value for key, value in page.given.items() if key not in OF_A_PAGE}
    return place + (json_bytes(members)[1:-1] + b"," if members else b"") + b'"data":['
