"""`sayari.trace_relationships`: the paths from entities to owners, to what they own, to watchlists or anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from clients.sayari import Sayari
from clients.sayari.graph_shapes import Path, Traversal
from messages.base import dump
from messages.errors import Code
from messages.sayari_graph import TraceRelationships, TraceRelationshipsResult
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.errors import JobFailed
from workers.jobs.results import CSV, NDJSON, publish
from workers.jobs.sayari.entity_lookup import Ids, Piece, look_up
from workers.jobs.sayari.files import json_line

#: Paths a page: the most there are.
PAGE = 50


def trace_relationships(
    command: TraceRelationships, run: Run, services: Services
) -> TraceRelationshipsResult:
    """Ask for the paths of all entities in their order, page by page to their end; a row for every hop."""
    ids = Ids(command, run, services.storage)
    options = dump(command.options) if command.options else {}
    ask = partial(trace, operation(services.sayari, command.kind), options)
    paths = services.storage.draft(run.job_id, "paths.jsonl")
    missing = services.storage.draft(run.job_id, "missing.csv")
    traced = look_up(run, "trace", "trace", services.sayari.concurrency, ids, ask, paths, missing)
    result = TraceRelationshipsResult(
        entities=ids.count,
        paths=publish(run, paths, "paths", NDJSON, traced["records"]),
        missing=publish(run, missing, "missing", CSV, traced["missing"]["records"]),
    )
    ids.discard()
    return result


def operation(sayari: Sayari, kind: str) -> Callable[..., Traversal]:
    """The documented operation of a kind."""
    traversals = sayari.traversals
    return {
        "ubo": traversals.ubo,
        "downstream": traversals.downstream,
        "watchlist": traversals.watchlist,
        "traversal": traversals.traverse,
    }[kind]


def trace(fetch: Callable[..., Traversal], options: dict[str, Any], id: str, rest: Any) -> Iterator[Piece]:
    """The paths of one entity, a page a piece; `rest` is how many paths there were so far.

    Assumed: there may be more than the 50 paths that Sayari speaks of, on further pages.
    """
    first, most = options.get("offset", 0), options.get("limit")
    done: int = rest or 0
    while True:
        limit = PAGE if most is None else min(PAGE, most - done)
        page = fetch(id, **options | {"offset": first + done, "limit": limit})
        if page.next and not page.data:
            raise JobFailed(Code.VENDOR_FAILED, "Sayari says there are more paths, but gives none")
        lines = [
            json_line(hop)
            for number, path in enumerate(page.data, done + 1)
            for hop in hops(id, number, path)
        ]
        done += len(page.data)
        more = page.next and (most is None or done < most)
        yield Piece(b"".join(lines), len(lines), done if more else None)
        if not more:
            return


def hops(id: str, number: int, path: Path) -> Iterator[dict[str, Any]]:
    """A path as one row for each of its hops, all as Sayari gave them beside our own columns.

    A path without any, to the entity itself, is one row too: hop 0, with its target as `entity`.
    """
    ours = {"entity_id": id, "path": number, "hops": len(path.path), "target": path.target.id}
    if not path.path:
        yield ours | {"hop": 0, "from": id, "to": id, "relationship_types": [], "entity": path.target.given}
    near = id
    for hop, segment in enumerate(path.path, 1):
        types = list(segment.relationships) or [segment.field]
        place = {"hop": hop, "from": near, "to": segment.entity.id, "relationship_types": types}
        yield ours | place | segment.given
        near = segment.entity.id
