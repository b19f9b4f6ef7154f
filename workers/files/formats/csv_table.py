"""CSV tables: read as a stream that can be resumed after any row, written row by row.

UTF-8 with or without byte order mark, RFC 4180, commas, a header row. Cells are verbatim.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from workers.files.errors import InputInvalid
from workers.files.formats.csv_records import Records, RowError
from workers.files.formats.fast_path import count_plain_rows
from workers.files.storage import file_name

#: Characters of a value that an error shows.
SHOWN = 64

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


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
    """One row as RFC 4180 writes it, in UTF-8, with its line end; as `csv_lines`."""
    return csv_lines([cells])


def csv_lines(rows: Iterable[Iterable[str]]) -> bytes:
    """Rows as RFC 4180 writes them, in UTF-8, each with its line end.

    NUL and lone surrogates, which no UTF-8 table can hold, become U+FFFD; all else reads back as it was.
    """
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    text = out.getvalue()
    if "\0" not in text:
        with suppress(UnicodeEncodeError):
            return text.encode()
    return _UNWRITABLE.sub("\ufffd", text).encode()


def dedupe_header(header: Sequence[str]) -> list[str]:
    """The header with a number behind every name that was there before: `name`, `name_2`, `name_3`."""
    taken = set(header)
    names: list[str] = []
    for title in header:
        name, more = title, 2
        while name in names or (name != title and name in taken):
            name, more = f"{title}_{more}", more + 1
        names.append(name)
    return names


def invalid_row(uri: str, bad: RowError, unit: str = "line") -> InputInvalid:
    """Return the error for a bad record: file, line and column. The value is in the detail alone.

    Values may be personal data: the detail of an error goes to upstream systems and is never logged.

    Args:
        uri: of the file; the message names its last part.
        bad: the error of the record.
        unit: what the file counts: `line` or `row`.
    """
    where = f"{file_name(uri)}, {unit} {bad.line}"
    if bad.column:
        where += f", column {bad.column}"
    value = bad.value.rstrip("\r\n")
    shown = f"{value[:SHOWN]!r}{'…' if len(value) > SHOWN else ''}"
    detail = f"the value there is {shown}" if value else None
    return InputInvalid(f"{where}: {bad.reason}", detail)


def find_header_error(
    header: Sequence[str], line: int = 1, *, allow_repeated: bool = False
) -> RowError | None:
    """Return the error of a header row: it is missing, or a name is empty or repeated; None if it is valid."""

    def bad(column: int | None, reason: str) -> RowError:
        return RowError(line, line, column, reason, "", "")

    if not header:
        return bad(None, "there is no header row")
    seen: dict[str, int] = {}
    for column, name in enumerate(header, 1):
        if not name.strip():
            return bad(column, "the header is empty")
        first = seen.setdefault(name, column)
        if first != column and not allow_repeated:
            return bad(column, f"the same header as column {first}")
    return None


def wrong_width(cells: Sequence[str], width: int) -> tuple[int, str] | None:
    """The column where a row ends too early or goes on too long, and what to say; None if it does neither."""
    if len(cells) == width:
        return None
    return min(len(cells), width) + 1, f"{len(cells)} cells, where the header has {width}"


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
            InputInvalid: for an empty file, a header that is empty or repeated, bytes that are not CSV.
        """
        records = Records(stream)
        header = next(iter(records), [])
        if isinstance(header, RowError):
            raise invalid_row(uri, header)
        if trouble := find_header_error(header, allow_repeated=allow_repeated_headers):
            raise invalid_row(uri, trouble)
        return cls(stream, uri, header, Position(records.offset, records.line, 0))

    def rows(self, after: Position | None = None) -> Iterator[tuple[list[str], Position]]:
        """Each row's cells, as many as the header has, and the position behind it.

        One iteration at a time: they share the stream. Blank lines at the end are no rows.

        Args:
            after: the position that came with the last row seen; None for all rows.

        Raises:
            InputInvalid: names file, line and column.
        """
        start = after or self._start
        self._seek(start)
        records = Records(self._stream, offset=start.offset, line=start.line)
        width = len(self.header)
        row = start.row
        blank = 0
        for cells in records:
            if isinstance(cells, RowError):
                raise invalid_row(self._uri, cells)
            if not cells:
                blank = blank or records.line
                continue
            if blank:
                raise invalid_row(
                    self._uri, RowError(blank, blank, None, "an empty line between rows", "", "")
                )
            if wrong := wrong_width(cells, width):
                raise invalid_row(self._uri, records.bad(*wrong, cells))
            row += 1
            yield cells, Position(records.offset, records.line, row)

    def batches(
        self, after: Position | None, rows: int, size: int
    ) -> Iterator[tuple[list[list[str]], Position]]:
        """Yield the rows after `after` in batches, each with the position at its end; errors as `rows`, but much faster.

        A batch depends only on where it begins. It holds `rows` rows, or fewer at the end of the file or where they would
        exceed `size` bytes (a larger row is a batch of its own).
        """
        position = after or self._start
        self._seek(position)
        ahead = size
        while data := self._read(position.offset, ahead):
            data = data[: data.rfind(b"\n") + 1]
            found = self._regular(data)
            if ahead < size and (found is None or len(found) < rows):
                ahead = size
                continue
            if found is None:
                before = position
                for batch, position in self._one_by_one(before, rows, size, before.offset + len(data)):
                    yield batch, position
                if position == before:
                    return
                continue
            lines = data.split(b"\n")
            for begin in range(0, max(len(found) - rows, 0) + 1, rows):
                batch = found[begin : begin + rows]
                length = sum(map(len, lines[begin : begin + rows])) + len(batch)
                ahead = min(size, 4 * length + length // 4)  # what is parsed stays in the processor's cache
                position = Position(
                    position.offset + length, position.line + len(batch), position.row + len(batch)
                )
                yield batch, position

    def spans(self, after: Position | None, size: int) -> Iterator[Position]:
        """The positions behind spans of whole rows, each up to `size` bytes unless a row is larger.

        Errors as `rows`. Where rows are plain it makes no cells, and is much faster than `batches`. A span depends on
        where it begins alone.
        """
        position = after or self._start
        self._seek(position)
        while data := self._read(position.offset, size):
            data = data[: data.rfind(b"\n") + 1]
            count = count_plain_rows(data, len(self.header)) or len(self._regular(data) or ())
            if count:
                position = Position(position.offset + len(data), position.line + count, position.row + count)
                yield position
            else:
                before = position
                for _, position in self._one_by_one(before, sys.maxsize, size, before.offset + len(data)):
                    yield position
                if position == before:
                    return

    def _read(self, offset: int, size: int) -> bytes:
        self._stream.seek(offset)
        data = self._stream.read(size)
        while len(data) < size and (more := self._stream.read(size - len(data))):
            data += more
        return data

    def _regular(self, data: bytes) -> list[list[str]] | None:
        """The rows of these lines, if each line is a row and nothing is wrong with any; None to look closer."""
        if not data or b"\0" in data or data.count(b"\r") != data.count(b"\r\n"):
            return None
        try:
            found = list(csv.reader(io.StringIO(data.decode(), newline="\n"), strict=True))
        except (UnicodeDecodeError, csv.Error):
            return None
        regular = len(found) == data.count(b"\n") and set(map(len, found)) == {len(self.header)}
        return found if regular else None

    def _one_by_one(
        self, start: Position, rows: int, size: int, until: int
    ) -> Iterator[tuple[list[list[str]], Position]]:
        """The same batches, up to the one that reaches to the offset `until`."""
        batch: list[list[str]] = []
        begin, position = start.offset, start
        for cells, end in self.rows(start):
            if batch and (len(batch) == rows or end.offset - begin > size):
                yield batch, position
                if position.offset >= until:
                    return
                batch, begin = [], position.offset
            batch.append(cells)
            position = end
        if batch:
            yield batch, position

    def _seek(self, start: Position) -> None:
        """Return whether the start position is the end of a line, as it is unless the file has changed."""
        self._stream.seek(start.offset - 1)
        last = self._stream.read(1)
        if last != b"\n" and (not last or self._stream.read(1)):
            reason = "the file has changed since its first rows were read"
            raise invalid_row(self._uri, RowError(start.line, start.line, None, reason, "", ""))
