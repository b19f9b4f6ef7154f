"""`sayari.fetch_entities`: all that Sayari knows of entities, or a summary, as objects or as its own files."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from typing import Any, TypedDict

from clients.errors import NotFound
from clients.sayari import Sayari
from clients.sayari.requests import EXCEL, PDF
from messages.base import File, dump
from messages.errors import Code
from messages.sayari_graph import FetchEntities, FetchEntitiesResult
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.errors import JobFailed
from workers.files.formats.csv_table import csv_line
from workers.files.storage import Appender
from workers.jobs.results import CSV, NDJSON, publish
from workers.jobs.sayari.entity import full
from workers.jobs.sayari.entity_lookup import COLUMN, Ids, Piece, look_up
from workers.jobs.sayari.files import json_line, save

#: What Sayari calls the types of its files.
MEDIA_TYPES = {"csv": CSV, "pdf": PDF, "xlsx": EXCEL}
#: Files that one job makes: each is told of in the event, which must not grow without end.
MOST_FILES = 1_000


class FetchCheckpoint(TypedDict):
    """Checkpoint of saving entities: the last row, entities, their files, and bytes of the list of missing ones."""

    row: Any
    done: int
    files: list[dict[str, Any]]
    bytes: int


def fetch_entities(command: FetchEntities, run: Run, services: Services) -> FetchEntitiesResult:
    """Ask for all entities and write them in their order; those that are not there are listed."""
    ids = Ids(command, run, services.storage)
    missing = services.storage.draft(run.job_id, "missing.csv")
    if command.format == "json":
        entities_draft = services.storage.draft(run.job_id, "entities.jsonl")
        ask = partial(full if command.detail == "full" else summary, services.sayari)
        fetched = look_up(
            run, "fetch", "fetch", services.sayari.concurrency, ids, ask, entities_draft, missing
        )
        entities: File | list[File] = publish(run, entities_draft, "entities", NDJSON, fetched["records"])
        absent = fetched["missing"]["records"]
    else:
        if ids.count > MOST_FILES:
            raise JobFailed(
                Code.INPUT_INVALID,
                f"{ids.count} entities as {command.format} are too many files; send at most {MOST_FILES}, or take json",
            )
        absentees = Appender(missing)
        each = partial(save_each, services, run.job_id, ids, command.format, absentees)
        fetched = run.transfer("fetch", each, kind="fetch", total=ids.count, store=absentees.store)
        entities = [File.model_validate(file) for file in fetched["files"]]
        absent = ids.count - len(entities)
    published = publish(run, missing, "missing", CSV, absent)
    ids.discard()
    return FetchEntitiesResult(entities=entities, missing=published)


def summary(sayari: Sayari, id: str, _: Any) -> Iterator[Piece]:
    """The smaller entity, as Sayari gives it."""
    yield Piece(json_line(sayari.entities.summary(id).given), 1, None)


def save_each(
    services: Services, job_id: str, ids: Ids, format: str, missing: Appender, at: FetchCheckpoint | None
) -> Generator[FetchCheckpoint]:
    """Save a file for every entity, named by its place in the order and its id.

    Assumed: nothing can be done about pages there. How much of a long list such a file holds is not documented.

    A checkpoint holds `row` and `done` as in `look_up`, the `files`, and the `bytes` of `missing`.
    """
    if at is None or missing.size < at["bytes"]:
        missing.begin(0)
        missing.write(csv_line([COLUMN]))
        at = {"row": None, "done": 0, "files": [], "bytes": missing.tell()}
        yield at
    else:
        missing.begin(at["bytes"])
    get = services.sayari.entities.get
    with closing(ids.after(at["row"])) as following:
        for id, row in following:
            at = at | {"row": row, "done": at["done"] + 1}
            draft = services.storage.draft(job_id, f"entity-{at['done']:04}-{id}.{format}")
            try:
                save(partial(get, id), draft, MEDIA_TYPES[format])
            except NotFound:
                missing.write(csv_line([id]))
                at["bytes"] = missing.tell()
            else:
                at["files"] = [*at["files"], dump(draft.publish(MEDIA_TYPES[format], None))]
            yield at
