"""`sayari.export_project`: the saved resources of a project, as objects or as Sayari's workbook."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, TypedDict

from clients.sayari import Sayari
from clients.sayari.requests import EXCEL
from messages.errors import Code
from messages.sayari import ExportProject, ExportProjectResult
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.registry import Services
from workers.errors import JobFailed
from workers.files.storage import Draft
from workers.jobs.results import NDJSON, publish
from workers.jobs.sayari.files import collect, save

#: Resources a page: the documented default, assumed to be the most.
PAGE = 1_000
ZIP = "application/zip"
#: The time of every file in a zip: the same workbooks make the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


class ExportCheckpoint(TypedDict):
    """Checkpoint of an export: pages, the token of the next one, and the bytes of each by name."""

    done: int
    next: str | None
    pages: dict[str, int]
    end: bool


def export_project(command: ExportProject, run: Run, services: Services) -> ExportProjectResult:
    """Fetch the export page by page to its end. A workbook is one page: several are put into a zip."""
    fetch = partial(operation(services.sayari, command.content), command.project_id, limit=PAGE)
    draft_of = partial(services.storage.draft, run.job_id)
    if command.format == "json":
        draft = draft_of("exported.jsonl")
        count = collect(run, "export", "export", draft, fetch)
        exported = publish(run, draft, "exported", NDJSON, count)
    else:
        books = [
            draft_of(name)
            for name in run.transfer("export", partial(save_pages, draft_of, fetch), kind="export")["pages"]
        ]
        if len(books) == 1:
            exported = publish(run, books[0], "exported", EXCEL, None)
        else:
            archive = draft_of("exported.zip")
            run.once("pack", partial(pack, archive, books), recover=repeatable)
            exported = publish(run, archive, "exported", ZIP, None)
            for book in books:
                book.remove()
    return ExportProjectResult(project_id=command.project_id, exported=exported)


def operation(sayari: Sayari, content: str) -> Callable[..., Any]:
    """The documented operation for a kind of content."""
    projects = sayari.projects
    return {"entity": projects.entities, "record": projects.records, "resource": projects.resources}[content]


def save_pages(
    draft_of: Callable[[str], Draft], fetch: Callable[..., Any], at: ExportCheckpoint | None
) -> Generator[ExportCheckpoint]:
    """Save every page as a workbook.

    A workbook does not name the next page (assumed), so the same page is asked for as JSON too, but later: what
    is saved to the project in between moves entities to the next page, where they come a second time and are not
    lost.

    A checkpoint holds `done` (pages), the token of the `next` one, the bytes of all `pages` by name, and `end`.
    """
    if at is None or any(draft_of(name).size < size for name, size in at["pages"].items()):
        at = {"done": 0, "next": None, "pages": {}, "end": False}
    while not at["end"]:
        number = at["done"] + 1
        name = f"exported-{number}.xlsx" if at["done"] else "exported.xlsx"
        pages = at["pages"] | {name: save(partial(fetch, next=at["next"]), draft_of(name), EXCEL)}
        following = fetch(next=at["next"]).next
        if following is not None and following == at["next"]:
            raise JobFailed(Code.VENDOR_FAILED, "a page of Sayari's export names itself as the next one")
        at = {"done": number, "next": following, "pages": pages, "end": following is None}
        yield at


def pack(archive: Draft, books: list[Draft]) -> dict[str, Any]:
    """Put workbooks into one zip, as they are."""
    with archive.append(0) as out, zipfile.ZipFile(out, "w") as packed:
        for number, book in enumerate(books, 1):
            member = zipfile.ZipInfo(f"exported-{number:04}.xlsx", EPOCH)
            with book.open() as content, packed.open(member, "w", force_zip64=True) as into:
                shutil.copyfileobj(content, into)
    return {"workbooks": len(books)}
