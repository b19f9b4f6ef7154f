"""A table of any kind, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, Protocol

from workers.files.formats.csv_records import CELL_LIMIT, Records, RowError
from workers.files.formats.csv_table import csv_line, wrong_width
from workers.files.formats.sniff import DetectedFormat

#: A row's cells, or what is wrong with it; and the place behind it, as JSON.
Row = tuple[list[str] | RowError, dict[str, int]]


class Reader(Protocol):
    """A table, its header read.

    Attributes:
        unit: what rows are counted in, for people.
        header: the first row; `Bad` if it cannot be read, empty if there is none.
        header_line: where it is.
        resumable: whether `rows` can begin in the middle without reading what is before.
    """

    unit: str
    header: list[str] | RowError
    header_line: int
    resumable: bool

    def rows(self, at: dict[str, int] | None) -> Iterator[Row]:
        """The rows behind a place that came with one, or all of them.

        A row with other than the header's number of cells is `Bad`; a row without anything has no cells.
        """
        ...

    def bad(self, column: int | None, reason: str, cells: list[str]) -> RowError:
        """The last row given, as bad for a reason of the caller's."""
        ...


class TextReader:
    """A delimited text."""

    unit = "line"
    resumable = True

    def __init__(self, stream: BinaryIO, found: DetectedFormat, *, strict: bool) -> None:
        self._stream = stream
        self._found = found
        self._strict = strict
        records = Records(stream, found.dialect, found.offset, found.line)
        self.header: list[str] | RowError = next(iter(records), [])
        self.header_line = found.line + 1
        self._start = {"offset": records.offset, "line": records.line}
        self._records = records

    def rows(self, at: dict[str, int] | None) -> Iterator[Row]:
        """As of any reader; an empty line has no cells."""
        at = at or self._start
        records = Records(self._stream, self._found.dialect, at["offset"], at["line"], go_on=not self._strict)
        self._records = records
        width = len(self.header)
        for cells in records:
            row: list[str] | RowError = cells
            if isinstance(cells, list) and cells and (wrong := wrong_width(cells, width)):
                row = records.bad(*wrong, cells)
            yield row, {"offset": records.offset, "line": records.line}

    def bad(self, column: int | None, reason: str, cells: list[str]) -> RowError:
        """As of any reader."""
        return self._records.bad(column, reason, cells)


def refused(number: int, column: int | None, reason: str, cells: Sequence[str]) -> RowError:
    """Row `number` of what is no text, as bad."""
    return RowError(number, number, column, reason, cells[column - 1] if column else "", raw(cells))


def fitting(cells: Sequence[str | RowError], width: int, number: int) -> list[str] | RowError:
    """The cells of a sheet's or column file's row, as wide as the header: filled up, or without empty ones behind.

    Args:
        cells: as they are; `Bad` where one cannot be read.
        width: of the header.
        number: of the row.
    """
    texts = ["" if isinstance(cell, RowError) else cell for cell in cells]

    for column, cell in enumerate(cells, 1):
        if isinstance(cell, RowError):
            return cell._replace(
                first=number,
                line=number,
                raw=raw([each.value if isinstance(each, RowError) else each for each in cells]),
            )
        if column > width and cell:
            return refused(number, column, f"a value in column {column}, where the header has {width}", texts)
        if len(cell) > CELL_LIMIT:
            return refused(number, column, f"the cell has more than {CELL_LIMIT} characters", texts)
        if "\0" in cell:
            return refused(number, column, "NUL in the cell; take it out", texts)
    texts = texts[:width]
    return texts + [""] * (width - len(texts))


def raw(cells: Sequence[str]) -> str:
    """A row that is no text, as a line for people."""
    return csv_line(cells).decode().rstrip("\r\n")
