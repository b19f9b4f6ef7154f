"""`creditsafe.export_records`."""

from __future__ import annotations

import json
from collections.abc import Collection, Generator
from itertools import islice
from typing import Any, TypedDict

from clients.creditsafe import RECORD_FIELDS, Creditsafe, Record
from clients.creditsafe.paging import PAGE_SIZE, following
from messages.creditsafe import ExportRecords, ExportRecordsResult
from messages.errors import Code
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.registry import Services
from workers.errors import JobFailed
from workers.files.formats.csv_table import csv_line
from workers.files.storage import Draft
from workers.jobs.creditsafe.counts import record_count
from workers.jobs.results import publish_table

#: Rows between two checkpoints while the table is written.
WRITE_ROWS = 1_000

_FIRST = ("recordId", *RECORD_FIELDS, "matchStatus")


class ReadCheckpoint(TypedDict):
    """Checkpoint of reading the listing: the next page, bytes written, records, and the names of all columns."""

    page: int | None
    offset: int
    done: int
    total: int
    names: list[str]


class WriteCheckpoint(TypedDict):
    """Checkpoint of writing the table: bytes read and written, and records."""

    read: int
    written: int
    done: int


def export_records(command: ExportRecords, run: Run, services: Services) -> ExportRecordsResult:
    """Store all records of a portfolio as a table.

    Its columns are known only when all records have been read. So the records are first read into a private file, and the
    table is written from that.
    """
    creditsafe, portfolio_id = services.creditsafe, command.portfolio_id
    count = run.once("count", lambda: record_count(creditsafe, portfolio_id), recover=repeatable)["records"]
    listed = services.storage.draft(run.job_id, "records.listed")
    table = services.storage.draft(run.job_id, "records.csv")
    read = run.transfer(
        "read", lambda at: read_all(creditsafe, portfolio_id, listed, at), kind="read", total=count
    )
    header = columns(read["names"])
    run.transfer("write", lambda at: write_table(listed, table, header, at), kind="write", total=read["done"])
    records = publish_table(run, services.storage, "records", read["done"], command.format)
    listed.remove()
    return ExportRecordsResult(portfolio_id=portfolio_id, records=records)


def read_all(
    creditsafe: Creditsafe, portfolio_id: str, listed: Draft, at: ReadCheckpoint | None
) -> Generator[ReadCheckpoint]:
    """Read the records page by page and store each as one line of JSON: its cells by column.

    Assumed: a listing shows records in the order in which they came. Records that are added meanwhile do no harm. If there
    are suddenly fewer, some may have moved to a page that was already read, so reading starts again.

    The checkpoints hold the next `page`, `offset` (bytes written), `done` and `total` (records), and `names` (of the
    columns).

    Raises:
        JobFailed: `vendor_failed` if the listing ends before its own count.
    """
    if at is None or listed.size < at["offset"] or (at["page"] is None and at["done"] < at["total"]):
        at = _START
    while (number := at["page"]) is not None:
        page = creditsafe.records.list(portfolio_id, page=number, page_size=PAGE_SIZE)
        total = at["total"] if page.total_count is None else page.total_count
        if total < at["total"]:
            at = _START
            continue
        names = set(at["names"])
        with listed.append(at["offset"]) as out:
            for record in page.data:
                row = cells(record)
                names.update(row)
                out.write(json.dumps(row).encode() + b"\n")
            offset = out.tell()
        done = at["done"] + len(page.data)
        at = {
            "page": following(page, number, done),
            "offset": offset, "done": done, "total": total, "names": sorted(names),
        }  # fmt: skip
        yield at
    if at["done"] < at["total"]:
        raise JobFailed(
            Code.VENDOR_FAILED, f"Creditsafe's listing ended after {at['done']} of {at['total']} records"
        )


_START: ReadCheckpoint = {"page": 0, "offset": 0, "done": 0, "total": 0, "names": []}


def cells(record: Record) -> dict[str, str]:
    """Return a record as cells by column, verbatim.

    Each member of an object, such as the data of an enrichment, is a cell: `enrichment.<member>`. Other values that are no
    text are written as JSON; nulls are left out.
    """
    found: dict[str, Any] = {}
    for name, value in record.model_dump(by_alias=True).items():
        if isinstance(value, dict):
            found |= {f"{name}.{member}": inner for member, inner in value.items()}
        else:
            found[name] = value
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.items()
        if value is not None
    }


def columns(names: Collection[str]) -> list[str]:
    """The header: `recordId`, the fields of import files in their order, `matchStatus`, then all else by name.

    Columns that no record has are left out, but for the first.
    """
    known = [name for name in _FIRST if name in names or name == _FIRST[0]]
    return known + sorted(set(names) - set(_FIRST))


def write_table(
    listed: Draft, table: Draft, header: list[str], at: WriteCheckpoint | None
) -> Generator[WriteCheckpoint]:
    """Write the records that were read as CSV; `at` holds the offsets in both files and `done` (records)."""
    if at is None or table.size < at["written"]:
        with table.append(0) as out:
            out.write(csv_line(header))
            at = {"read": 0, "written": out.tell(), "done": 0}
        yield at
    with listed.open() as source:
        source.seek(at["read"])
        while lines := list(islice(source, WRITE_ROWS)):
            with table.append(at["written"]) as out:
                for line in lines:
                    row = json.loads(line)
                    out.write(csv_line([row.get(name, "") for name in header]))
                at = {"read": source.tell(), "written": out.tell(), "done": at["done"] + len(lines)}
            yield at
