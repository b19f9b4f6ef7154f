"""CSV tables: read as a stream that can be resumed after any row, written row by row.

UTF-8 with or without byte order mark, RFC 4180, commas, a header row. Cells are verbatim.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple, NoReturn

from messages.errors import Code
from workers.errors import JobFailed
from workers.storage import file_name

#: Characters of one cell.
CELL_LIMIT = 1024 * 1024
#: Bytes of one row with all its lines; also the most that is ever held of a file.
ROW_LIMIT = 8 * 1024 * 1024

_SAVE = "save the file as CSV in UTF-8"
_CELL = re.compile(r'(?:"(?:[^"]++|"")*+"|[^",\r\n][^,\r\n]*+)?,')
_QUOTED = re.compile(r'"(?:[^"]++|"")*+"')
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")

csv.field_size_limit(CELL_LIMIT)  # of the whole process, the module knows no other


class Position(NamedTuple):
    """The place behind a row, where reading can be resumed.

    Attributes:
        offset: bytes from the start of the file.
        line: lines so far, so the next one is `line + 1`.
        row: rows so far, without the header.
    """

    offset: int
    line: int
    row: int

    def json(self) -> dict[str, int]:
        """As JSON values, for a checkpoint."""
        return self._asdict()

    @classmethod
    def of(cls, values: Mapping[str, int]) -> Position:
        """From what `json` gave."""
        return cls(values["offset"], values["line"], values["row"])


def csv_line(cells: Sequence[str]) -> bytes:
    """One row as RFC 4180 writes it, in UTF-8, with its line end.

    NUL and lone surrogates, which no UTF-8 table can hold, become U+FFFD; all else reads back as it was.
    """
    out = io.StringIO(newline="")
    csv.writer(out).writerow(cells)
    return _UNWRITABLE.sub("\ufffd", out.getvalue()).encode()


def distinct(header: Sequence[str]) -> list[str]:
    """The header with a number behind every name that was there before: `name`, `name_2`, `name_3`."""
    taken = set(header)
    names: list[str] = []
    for title in header:
        name, more = title, 2
        while name in names or (name != title and name in taken):
            name, more = f"{title}_{more}", more + 1
        names.append(name)
    return names


class Table:
    """One CSV file, open for reading.

    Attributes:
        header: the names of its columns.
    """

    def __init__(self, stream: BinaryIO, uri: str, header: list[str], start: Position) -> None:
        self.header = header
        self._stream = stream
        self._uri = uri
        self._start = start

    @classmethod
    def open(cls, stream: BinaryIO, uri: str, *, allow_repeated_headers: bool = False) -> Table:
        """Read the header.

        Args:
            stream: seekable; stays the caller's to close.
            uri: where it is from; its last part appears in errors.
            allow_repeated_headers: whether two columns may have one name (Sayari: several values of one attribute).

        Raises:
            JobFailed: `input_invalid` for an empty file, a header that is empty or repeated, bytes that are not CSV.
        """
        stream.seek(0)
        lines = _Lines(stream, uri, Position(0, 0, 0))
        header = next(lines.records(), None)
        if not header:
            lines.fail("there is no header row", line=1)
        seen: dict[str, int] = {}
        for column, name in enumerate(header, 1):
            if not name.strip():
                lines.fail("the header is empty", column, line=1)
            first = seen.setdefault(name, column)
            if first != column and not allow_repeated_headers:
                lines.fail(f"the same header as column {first}", column, line=1)
        return cls(stream, uri, header, Position(lines.offset, lines.line, 0))

    def rows(self, after: Position | None = None) -> Iterator[tuple[list[str], Position]]:
        """Each row's cells, as many as the header has, and the position behind it.

        One iteration at a time: they share the stream. Blank lines at the end are no rows.

        Args:
            after: the position that came with the last row seen; None for all rows.

        Raises:
            JobFailed: `input_invalid`, naming file, line and column.
        """
        start = after or self._start
        lines = _Lines(self._stream, self._uri, start)
        lines.seek()
        width = len(self.header)
        row = start.row
        blank = 0
        for cells in lines.records():
            if not cells:
                blank = blank or lines.line
                continue
            if blank:
                lines.fail("an empty line between rows", line=blank)
            if len(cells) != width:
                count = f"{len(cells)} cells, where the header has {width}"
                lines.fail(count, min(len(cells), width) + 1, line=lines.first)
            row += 1
            yield cells, Position(lines.offset, lines.line, row)


class _Lines:
    """The lines of a stream as text, and where in it we are."""

    def __init__(self, stream: BinaryIO, uri: str, start: Position) -> None:
        self.offset, self.line, _ = start
        self.first = self.line + 1  # line where the current record begins
        self._begin = self.offset  # and its offset
        self._stream = stream
        self._uri = uri

    def seek(self) -> None:
        """Go to the start, which is the end of a line unless the file is not what it was."""
        self._stream.seek(self.offset - 1)
        last = self._stream.read(1)
        if last != b"\n" and (not last or self._stream.read(1)):
            self.fail("the file has changed since its first rows were read", line=self.line)

    def records(self) -> Iterator[list[str]]:
        """The records as the csv module sees them: a blank line is an empty list."""
        try:
            for cells in csv.reader(self, strict=True):
                yield cells
                self._begin, self.first = self.offset, self.line + 1
        except csv.Error as error:
            self._explain(error)

    def __iter__(self) -> Iterator[str]:
        """The lines as the csv module takes them, their ends included."""
        readline = self._stream.readline
        while data := readline(ROW_LIMIT + 1):
            start, self.offset = self.offset, self.offset + len(data)
            self.line += 1
            if self.offset - self._begin > ROW_LIMIT:
                self.fail(f"the row has more than {ROW_LIMIT} bytes; is a quote missing?", line=self.first)
            if b"\0" in data:
                byte = data.index(0)
                self._fail_at(start + byte, f"NUL at byte {byte + 1} of the line; {_SAVE}")
            try:
                text = data.decode()
            except UnicodeDecodeError as error:
                self._fail_at(
                    start + error.start, f"not UTF-8 at byte {error.start + 1} of the line; {_SAVE}"
                )
            yield text if start else text.removeprefix("\ufeff")

    def fail(self, reason: str, column: int | None = None, *, line: int | None = None) -> NoReturn:
        """Say what is wrong and where, never what the cells hold."""
        where = f"{file_name(self._uri)}, line {line or self.line}"
        if column:
            where += f", column {column}"
        raise JobFailed(Code.INPUT_INVALID, f"{where}: {reason}")

    def _fail_at(self, offset: int, reason: str) -> NoReturn:
        column, _, _ = self._cell(offset)
        self.fail(reason, column)

    def _cell(self, offset: int) -> tuple[int, int, str]:
        """The cell of this record that reaches to `offset`: its column, its first line, its text up to there."""
        self._stream.seek(self._begin)
        text = self._stream.read(offset - self._begin).decode(errors="replace")
        if not self._begin:
            text = text.removeprefix("\ufeff")
        column, at = 1, 0
        while (cell := _CELL.match(text, at)) and cell.end() - at <= CELL_LIMIT:
            column, at = column + 1, cell.end()
        return column, self.first + text.count("\n", 0, at), text[at:]

    def _explain(self, error: csv.Error) -> NoReturn:
        """Find the cell that the csv module stumbled over, as it does not say."""
        column, line, text = self._cell(self.offset)
        quoted = _QUOTED.match(text)
        if "field limit" in str(error):
            reason = f"the cell has more than {CELL_LIMIT} characters; is a quote missing?"
        elif text.startswith('"') and not quoted:
            reason = "the quote is never closed"
        elif quoted and not text.startswith("\r", quoted.end()):
            reason = 'text behind the closing quote; a quote inside a cell is written ""'
        else:
            reason = "a line ends in CR alone; use CR LF or LF"
        self.fail(reason, column, line=line)
