"""Tables of one job on their way from stage to stage: rewritten row by row, references checked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypedDict

from messages.errors import Code
from workers.engine.context import Run
from workers.errors import JobFailed
from workers.files.formats.csv_records import RowError
from workers.files.formats.csv_table import Position, Table, csv_line, invalid_row
from workers.files.storage import Draft, file_name
from workers.jobs.input import InputTable
from workers.jobs.portfolio.columns import Columns
from workers.observability.turn_stats import TransferKind

#: Rows between two checkpoints.
WRITE_ROWS = 5_000


class RewriteCheckpoint(TypedDict):
    """Checkpoint of rewriting a table: the position in its source, bytes written, and rows."""

    position: dict[str, int] | None
    offset: int
    done: int
    end: bool


@dataclass(frozen=True)
class Records:
    """A table of records, its header, and which of its columns is what."""

    table: InputTable
    header: list[str]
    columns: Columns


@contextmanager
def table_of(source: InputTable) -> Iterator[Table]:
    """A table that the job reads."""
    with source.open() as stream:
        yield Table.open(stream, source.uri)


def rewrite(
    run: Run,
    step: str,
    kind: TransferKind,
    source: InputTable,
    target: Draft,
    header: list[str],
    row_of: Callable[[list[str], int], list[str] | None],
) -> int:
    """Write a table made of another one, row by row; how many rows it has.

    Args:
        run: the job's turn.
        step: its name.
        kind: of the transfer, for metrics.
        kind: of the transfer, for metrics.
        source: the other table.
        target: where to.
        header: of the new table.
        row_of: called with the cells of a row and its number from 1; gives the new row, None for none.
    """
    done: int = run.transfer(step, partial(_rewritten, source, target, header, row_of), kind=kind)["done"]
    return done


def _rewritten(
    source: InputTable,
    target: Draft,
    header: list[str],
    row_of: Callable[[list[str], int], list[str] | None],
    at: RewriteCheckpoint | None,
) -> Generator[RewriteCheckpoint]:
    if at is None or target.size < at["offset"]:
        with target.append(0) as out:
            out.write(csv_line(header))
            at = {"position": None, "offset": out.tell(), "done": 0, "end": False}
        yield at
    with table_of(source) as table:
        rows = table.rows(Position.of(at["position"]) if at["position"] else None)
        while not at["end"]:
            with target.append(at["offset"]) as out:
                read, position, done = 0, at["position"], at["done"]
                for cells, place in islice(rows, WRITE_ROWS):
                    row = row_of(cells, place.row)
                    if row is not None:
                        out.write(csv_line(row))
                        done += 1
                    read, position = read + 1, place.json()
                offset = out.tell()
            at = {"position": position, "offset": offset, "done": done, "end": read < WRITE_ROWS}
            yield at


def check_references(source: InputTable, columns_of: Callable[[list[str]], Columns]) -> list[str]:
    """Check that every row has a reference of its own, by which the report is joined; return the header.

    Raises:
        JobFailed: `input_invalid`, naming file, line and column.
    """
    with closing(scratch()) as database, table_of(source) as table:
        column = columns_of(table.header).reference
        database.execute("CREATE TABLE seen (reference TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        empty = True
        for cells, position in table.rows():
            empty = False
            if column is None:
                break
            reference = cells[column]
            # a cell may hold line feeds: it begins where it and those behind it have not been read yet
            line = position.line - sum(cell.count("\n") for cell in cells[column:])
            bad = partial(RowError, line, line, column + 1)
            if not reference.strip():
                raise invalid_row(source.uri, bad("the reference is empty", "", ""))
            try:
                database.execute("INSERT INTO seen VALUES (?, ?)", (reference, line))
            except sqlite3.IntegrityError:
                same = database.execute("SELECT line FROM seen WHERE reference = ?", (reference,))
                reason = f"the reference of line {same.fetchone()[0]} again; every row needs one of its own"
                raise invalid_row(source.uri, bad(reason, reference, "")) from None
        if empty:
            raise JobFailed(Code.INPUT_INVALID, f"{file_name(source.uri)} holds no records, only a header")
        return table.header


def check_cleansed(
    ours: Records, output: InputTable, columns_of: Callable[[list[str]], Columns]
) -> list[str]:
    """Check that every row of Data8's output is a record of the input, none of them twice; return its header.

    Raises:
        JobFailed: `input_invalid` for an output without references, `vendor_failed` for a row that is no record of the
            input: nothing may be imported twice or under another name.
    """
    with closing(scratch()) as database:
        database.execute(
            "CREATE TABLE ours (reference TEXT PRIMARY KEY, seen INTEGER NOT NULL) WITHOUT ROWID"
        )
        with table_of(output) as table:
            header = table.header
            its = columns_of(header).reference
        if its is None:
            raise JobFailed(
                Code.INPUT_INVALID,
                f"Data8's output {output.uri} carries no references: let the workflow pass the column on,"
                " or name it in cleanse.columns; or take another cleanse.output",
            )
        with table_of(ours.table) as table:
            known = ((cells[ours.columns.reference or 0],) for cells, _ in table.rows())
            database.executemany("INSERT INTO ours VALUES (?, 0)", known)
        with table_of(output) as table:
            for cells, (_, _, row) in table.rows():
                found = database.execute(
                    "UPDATE ours SET seen = seen + 1 WHERE reference = ? RETURNING seen", (cells[its],)
                ).fetchone()
                if found != (1,):
                    what = "no record of the file" if found is None else "a record that is there already"
                    raise JobFailed(Code.VENDOR_FAILED, f"row {row} of Data8's output {output.uri} is {what}")
    return header


def scratch() -> sqlite3.Connection:
    """A private temporary database: it has no name, is on disk when it grows, and gone when it is closed."""
    database = sqlite3.connect("", isolation_level=None)
    database.execute("BEGIN")  # one transaction to its end, which is not kept
    return database
