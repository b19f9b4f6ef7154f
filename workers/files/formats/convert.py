"""From any table to the one that jobs read: good rows into a copy, bad ones into the rejects, each row into one of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import BinaryIO, NamedTuple, TypedDict

from workers.files.errors import InputInvalid
from workers.files.formats.archives import unpacked, unreadable
from workers.files.formats.csv_records import RowError
from workers.files.formats.csv_table import csv_line, find_header_error, invalid_row
from workers.files.formats.reader import Reader, Row, TextReader
from workers.files.formats.sniff import DetectedFormat
from workers.files.storage import Draft, Storage, file_name

#: Rows between two checkpoints, and bytes, if those come first.
PIECE_ROWS = 20_000
PIECE_BYTES = 8 * 1024 * 1024
#: Characters of a bad row that its list shows.
REJECT_LIMIT = 32_000

#: What a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
REJECT_HEADER = ("line", "column", "reason", "row")

#: Raises for a header that its reader has no use for, given the file's URI.
CheckHeader = Callable[[list[str], str], None]
#: What is wrong with a row, as (column, reason); None if nothing is.
CheckRow = Callable[[list[str]], tuple[int | None, str] | None]


class ConvertCheckpoint(TypedDict):
    """Checkpoint of a conversion: rows, and bytes of the copy and of the rejects."""

    at: dict[str, int] | None
    done: int
    rejected: int
    rows: int
    copied: int
    listed: int
    first: str | None
    end: bool


class ReadOptions(NamedTuple):
    """Options for reading an input.

    Attributes:
        uri: of the input.
        strict: whether the first bad row ends the job.
        check_header: raises for a header that the job cannot use.
        check_row: returns why the job cannot use a row.
        repeated_headers: whether columns may share a name.
        size: bytes of the file when it was first checked; None if unknown.
    """

    uri: str
    strict: bool = True
    check_header: CheckHeader | None = None
    check_row: CheckRow | None = None
    repeated_headers: bool = False
    size: int | None = None


@contextmanager
def reading(storage: Storage, found: DetectedFormat, wanted: ReadOptions) -> Iterator[Reader]:
    """The input as a table, its header checked.

    Raises:
        InputInvalid: for what cannot be read, or a header that is none.
    """
    uri = wanted.uri
    with ExitStack() as stack:
        stream = stack.enter_context(storage.open(uri))
        if wanted.size not in {None, stream.seek(0, os.SEEK_END)}:
            raise unreadable(uri, "it has changed since it was first looked at; send it anew")
        reader: Reader
        if found.kind == "xlsx":
            from workers.files.formats.xlsx import SharedStrings, WorkbookReader  # noqa: PLC0415 - XML, for those who need it

            reader = WorkbookReader(stream, uri, stack.enter_context(closing(SharedStrings())))
        elif found.kind == "parquet":
            from workers.files.formats.parquet import ParquetReader  # noqa: PLC0415

            reader = ParquetReader(stream, uri)
        else:
            text = stack.enter_context(unpacked(stream, uri, found.container))
            reader = TextReader(text, found, strict=wanted.strict)
        header, line = reader.header, reader.header_line or 1
        trouble = (
            header
            if isinstance(header, RowError)
            else find_header_error(header, line, allow_repeated=wanted.repeated_headers)
        )
        if trouble:
            raise invalid_row(uri, trouble, reader.unit)
        if wanted.check_header and isinstance(header, list):
            wanted.check_header(header, uri)
        yield reader


def convert(
    storage: Storage,
    found: DetectedFormat,
    wanted: ReadOptions,
    copy: Draft,
    rejects: Draft,
    at: ConvertCheckpoint | None,
) -> Generator[ConvertCheckpoint]:
    """Write the copy and the rejects, continuing at a checkpoint.

    The last checkpoint holds `done` (rows of the copy), `rejected` and `rows` (their sum). A format that can only be read
    from its beginning has no checkpoints in between; after a crash it is converted again from the beginning.

    Raises:
        InputInvalid: for the first bad row if `strict`, or if all rows are bad.
    """
    if at is None or copy.size < at["copied"] or rejects.size < at["listed"]:
        at = {
            "at": None,
            "done": 0,
            "rejected": 0,
            "rows": 0,
            "copied": 0,
            "listed": 0,
            "first": None,
            "end": False,
        }
    if at["end"]:
        return
    with reading(storage, found, wanted) as reader:
        rows = _rows(reader, wanted, at["at"])
        if at["at"] is None:
            with copy.append(0) as out:
                out.write(csv_line([*reader.header]))
                at["copied"] = out.tell()
        while not (at := _piece(rows, wanted, reader, copy, rejects, at))["end"]:
            if reader.resumable:
                yield at
    if at["done"] + at["rejected"] != at["rows"]:
        raise RuntimeError(f"of {at['rows']} rows {at['done']} are copied and {at['rejected']} rejected")
    if not at["done"]:
        name = file_name(wanted.uri)
        if at["first"] is None:
            raise InputInvalid(f"{name} holds no rows, only a header")
        raise InputInvalid(
            f"none of the {at['rejected']} rows of {name} can be used; the first: {at['first']}",
        )
    yield at


def _rows(reader: Reader, wanted: ReadOptions, at: dict[str, int] | None) -> Iterator[Row]:
    """Rows that are some: what is empty is left out at the end, and anywhere where it is not strict."""
    empty: dict[str, int] | None = None
    for row, place in reader.rows(at):
        if not row:
            empty = empty or place
            continue
        if empty and wanted.strict:
            line = empty.get("line", empty.get("row", 0))
            reason = f"an empty {reader.unit} between rows"
            raise invalid_row(wanted.uri, RowError(line, line, None, reason, "", ""), reader.unit)
        yield row, place


def _piece(
    rows: Iterator[Row],
    wanted: ReadOptions,
    reader: Reader,
    copy: Draft,
    rejects: Draft,
    at: ConvertCheckpoint,
) -> ConvertCheckpoint:
    """Copy or list the next rows; gives the checkpoint behind them."""
    at, begin, count = at.copy(), at["copied"] + at["listed"], 0
    with ExitStack() as stack:
        good = stack.enter_context(copy.append(at["copied"]))
        bad: BinaryIO | None = None
        for row, place in rows:
            count += 1
            error = row if isinstance(row, RowError) else _unwanted(row, wanted, reader)
            if isinstance(row, list) and error is None:
                good.write(csv_line(row))
                at["done"] += 1
            elif error is not None:
                if wanted.strict:
                    raise invalid_row(wanted.uri, error, reader.unit)
                if bad is None:
                    bad = stack.enter_context(rejects.append(at["listed"]))
                    if not at["listed"]:
                        bad.write(csv_line(REJECT_HEADER))
                bad.write(csv_line(_listed(error)))
                at["rejected"] += 1
                at["first"] = at["first"] or f"{reader.unit} {error.line}: {error.reason}"
                at["listed"] = bad.tell()
            at["at"], at["copied"] = place, good.tell()
            if count >= PIECE_ROWS or at["copied"] + at["listed"] - begin >= PIECE_BYTES:
                break
        else:
            at["end"] = True
    at["rows"] += count
    return at


def _unwanted(row: list[str], wanted: ReadOptions, reader: Reader) -> RowError | None:
    found = wanted.check_row(row) if wanted.check_row else None
    return reader.bad(*found, row) if found else None


def _listed(bad: RowError) -> list[str]:
    """A bad row in a list for people, who open it in a spreadsheet: nothing in it is a formula."""
    row = bad.raw if len(bad.raw) <= REJECT_LIMIT else f"{bad.raw[:REJECT_LIMIT]}…"
    cells = [str(bad.first), str(bad.column or ""), bad.reason, row]
    return [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells]
