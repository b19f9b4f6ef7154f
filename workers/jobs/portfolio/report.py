"""The report: a row for each record of the input, with what every stage said of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from messages.base import File
from messages.errors import Code
from workers.errors import JobFailed
from workers.files.errors import InputError
from workers.files.formats.csv_table import Table, csv_line, dedupe_header
from workers.files.storage import Draft, Storage
from workers.jobs.input import InputTable
from workers.jobs.portfolio.report_join import ReportJoin
from workers.jobs.portfolio.tables import Records, table_of
from workers.jobs.results import CSV


@dataclass(frozen=True)
class Files:
    """The files that the stages have stored; None for those that were not run."""

    listed: File | None
    duplicates: File | None
    enriched: File | None
    resolved: File | None
    summaries: File | None
    owners: File | None
    untraced: File | None


def write_report(
    storage: Storage,
    target: Draft,
    records: Records,
    cleansed: Records | None,
    matches: InputTable,
    files: Files,
) -> dict[str, int]:
    """Write the report as CSV, from its beginning: a join cannot continue at a checkpoint.

    Its columns are those of the input, then `data8.…`, `creditsafe.…` and `sayari.…`, empty where a vendor reported
    nothing. The same files give the same bytes.

    Args:
        storage: where the files are.
        target: where the report is written.
        records: the input.
        cleansed: Data8's output; if there is one, Sayari got it instead of the input.
        matches: the best matches at Sayari, if they were queried.
        files: the vendors' results.

    Returns:
        `done`, the rows, and `unplaced`, as in the result.
    """
    with closing(ReportJoin()) as said, table_of(records.table) as table:
        added = _gather(said, storage, records, cleansed, matches, files)
        # in the order of Said.rows
        names = [f"{vendor}.{name}" for vendor, columns in added for name in columns]
        widths = [len(columns) for _, columns in added]
        done = 0
        with target.append(0) as out:
            out.write(csv_line(dedupe_header([*table.header, *names])))
            for (cells, _), told in zip(table.rows(), said.rows(), strict=True):
                row = list(cells)
                for found, width in zip(told, widths, strict=True):
                    row += found or [""] * width if width else []
                out.write(csv_line(row))
                done += 1
        return {"done": done, "unplaced": said.unplaced}


def _gather(
    said: ReportJoin,
    storage: Storage,
    records: Records,
    cleansed: Records | None,
    matches: InputTable,
    files: Files,
) -> list[tuple[str, Sequence[str]]]:
    """Read all that was said; gives vendor and columns of each source, none of one that is not there."""
    with table_of(records.table) as table:
        said.records(table, records.columns, sent=cleansed is None)
    output: Sequence[str] = ()
    if cleansed is not None:
        with table_of(cleansed.table) as table:
            output = said.cleansed(table, cleansed.columns)
    listed: Sequence[str] = ()
    if files.listed is not None:
        with _table(storage, files.listed) as table:
            listed = said.listed(table)
    duplicates = enriched = resolved = summaries = owners = tuple[str, ...]()
    if files.duplicates is not None:
        duplicates = ("duplicateOf",)
        if files.duplicates.media_type == CSV:
            with _table(storage, files.duplicates) as table:
                said.duplicates(table)
    # a file that is no CSV stays what it is, beside the report
    if files.enriched is not None and files.enriched.media_type == CSV:
        with _table(storage, files.enriched) as table:
            enriched = (*said.enriched(table),)
    if files.resolved is not None:
        with storage.open_result(files.resolved) as lines:
            resolved = (*said.resolved(lines),)
    if files.summaries is not None:
        with storage.open_result(files.summaries) as lines:
            summaries = (*said.summaries(lines),)
    if files.owners is not None and files.untraced is not None:
        with (
            table_of(matches) as asked,
            _table(storage, files.untraced) as missing,
            storage.open_result(files.owners) as lines,
        ):
            owners = (*said.owners(asked, missing, lines),)
    return [
        ("data8", output), ("creditsafe", listed), ("creditsafe", duplicates), ("creditsafe", enriched),
        ("sayari", resolved), ("sayari", summaries), ("sayari", owners),
    ]  # fmt: skip


@contextmanager
def _table(storage: Storage, file: File) -> Iterator[Table]:
    """A vendor's CSV. Raises `vendor_failed` for one that cannot be read."""
    name = file.uri.rpartition("/")[2]
    try:
        with storage.open_result(file) as stream:
            yield Table.open(stream, name, allow_repeated_headers=True)
    except (InputError, JobFailed) as failed:
        raise JobFailed(Code.VENDOR_FAILED, f"a vendor's file cannot be read: {failed.message}") from failed
