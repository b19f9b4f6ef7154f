"""Delimited text, record by record, in any encoding and with any separator; a bad record costs only itself.

RFC 4180 but for the separator: quotes are `"`, doubled inside a quoted cell. Cells are verbatim.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

#: Characters of one cell.
CELL_LIMIT = 1024 * 1024
#: Bytes of one row with all its lines; also the most that is ever held of a file.
ROW_LIMIT = 8 * 1024 * 1024

_SAVE = "save the file as CSV in UTF-8"
_QUOTED = re.compile(r'"(?:[^"]++|"")*+"')
_CHUNK = 64 * 1024
_NAMES = {"utf-8": "UTF-8", "cp1252": "Windows-1252", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}

csv.field_size_limit(CELL_LIMIT)  # of the whole process, the module knows no other


class Dialect(NamedTuple):
    r"""How a text is written.

    Attributes:
        encoding: `utf-8`, `cp1252`, `utf-16-le` or `utf-16-be`; a byte order mark is no part of the text.
        delimiter: between cells.
        newline: that lines end in, `\n` (a `\r` before it belongs to it) or `\r`.
    """

    encoding: str = "utf-8"
    delimiter: str = ","
    newline: str = "\n"


class RowError(NamedTuple):
    """A record that is none.

    Attributes:
        first: the line (or row of a sheet) where it begins.
        line: the line of what is wrong; the same unless the record has several lines.
        column: of what is wrong, from 1; None if that is the whole record.
        reason: what is wrong, without anything that a cell holds.
        value: the cell that is wrong.
        raw: the record as it was.
    """

    first: int
    line: int
    column: int | None
    reason: str
    value: str
    raw: str


class _TooLong(Exception):
    """A record beyond `ROW_LIMIT`."""


class _LineTooLong(_TooLong):
    """One line of it alone is: what came before in the same record goes with it."""


class Records:
    """The records of a stream, and where in it we are.

    Args:
        stream: seekable.
        dialect: how it is written.
        offset: where to begin, the end of a line.
        line: lines up to there.
        go_on: whether to be able to go on behind a row beyond `ROW_LIMIT`, which must be read to its end for that.

    Attributes:
        offset: bytes up to the end of the last record given.
        line: lines up to there.
        first: the line where that record began.
    """

    def __init__(
        self,
        stream: BinaryIO,
        dialect: Dialect | None = None,
        offset: int = 0,
        line: int = 0,
        *,
        go_on: bool = False,
    ) -> None:
        self.offset, self.line, self.first = offset, line, line + 1
        self._encoding, self._delimiter, self._newline = dialect or Dialect()
        self._source = _Splitter(stream, offset, self._newline.encode(self._encoding), go_on=go_on)
        self._data = bytearray()  # the record at work
        self._lines = 0  # its lines
        self._flaw: tuple[int, str] | None = None  # byte of the record, and what is wrong there
        between = re.escape(self._delimiter)
        self._cell = re.compile(rf'(?:"(?:[^"]++|"")*+"|[^"{between}\r\n][^{between}\r\n]*+)?{between}')

    def __iter__(self) -> Iterator[list[str] | RowError]:
        """Yield each record's cells, none for an empty line, or the error of a bad record.

        Where quotes do not match, the end of the record is unknown: its first line is the bad record, and reading continues
        on the next line.
        """
        reader = self._reader()
        while True:
            self._data.clear()
            self._lines, self._flaw = 0, None
            self.first = self.line + 1
            try:
                cells = next(reader, None)
            except (csv.Error, _TooLong) as error:
                bad = self._explain(error)
                if not isinstance(error, _LineTooLong):
                    self._put_back_lines()
                self.offset, self.line = self._source.offset, self.line + self._lines
                reader = self._reader()
                yield bad
                continue
            if cells is None:
                return
            self.offset, self.line = self._source.offset, self.line + self._lines
            yield cells if self._flaw is None else self._flawed(*self._flaw)

    def bad(self, column: int | None, reason: str, cells: list[str]) -> RowError:
        """The last record given, as bad for a reason of the caller's; `column` may lie behind its cells."""
        value = cells[column - 1] if column and column <= len(cells) else ""
        return RowError(self.first, self.first, column, reason, value, self._text().rstrip("\r\n"))

    def _reader(self) -> Iterator[list[str]]:
        return csv.reader(self._texts(), delimiter=self._delimiter, strict=True)

    def _texts(self) -> Iterator[str]:
        while True:
            start = self._source.offset
            data, size = self._source.line()
            if not data:
                return
            self._lines += 1
            self._data += data
            if size > ROW_LIMIT:
                raise _LineTooLong
            if len(self._data) > ROW_LIMIT:
                raise _TooLong
            try:
                text = data.decode(self._encoding)
            except UnicodeDecodeError as error:
                text = data.decode(self._encoding, "backslashreplace")
                self._notice(
                    error.start, size, f"not {_NAMES[self._encoding]} at byte {{}} of the line; {_SAVE}"
                )
            if "\0" in text:
                self._notice(self._byte(text, "\0"), size, f"NUL at byte {{}} of the line; {_SAVE}")
            yield text if start else text.removeprefix("\ufeff")

    def _notice(self, byte: int, size: int, reason: str) -> None:
        if self._flaw is None:
            self._flaw = len(self._data) - size + byte, reason.format(byte + 1)

    def _byte(self, text: str, what: str) -> int:
        return len(text[: text.index(what)].encode(self._encoding))

    def _put_back_lines(self) -> None:
        """All but the first line of the record are read once more."""
        newline = self._newline.encode(self._encoding)
        end = 0
        while self._lines > 1 and (end := self._data.find(newline, end)) % len(newline):
            end += 1
        if self._lines > 1:
            self._source.put_back(bytes(self._data[end + len(newline) :]))
            self._lines = 1

    def _text(self) -> str:
        text = self._data.decode(self._encoding, "backslashreplace")
        return text if self.first > 1 else text.removeprefix("\ufeff")

    def _flawed(self, byte: int, reason: str) -> RowError:
        before = self._data[:byte].decode(self._encoding, "backslashreplace")
        column, line, value = self._stumble(before if self.first > 1 else before.removeprefix("\ufeff"))
        rest = self._data[byte : byte + CELL_LIMIT].decode(self._encoding, "backslashreplace")
        return RowError(self.first, line, column, reason, value + rest, self._text().rstrip("\r\n"))

    def _stumble(self, text: str) -> tuple[int, int, str]:
        """The cell that reaches to the end of `text`: its column, its first line, its text up to there."""
        column, at = 1, 0
        while (cell := self._cell.match(text, at)) and cell.end() - at <= CELL_LIMIT:
            column, at = column + 1, cell.end()
        return column, self.first + text.count(self._newline, 0, at), text[at:]

    def _explain(self, error: Exception) -> RowError:
        """Find the cell that the csv module stumbled over, as it does not say."""
        text = self._text()
        raw = text.partition(self._newline)[0].rstrip("\r")
        if isinstance(error, _TooLong):
            reason = f"the row has more than {ROW_LIMIT} bytes; is a quote missing?"
            return RowError(self.first, self.first, None, reason, raw, raw)
        column, line, value = self._stumble(text)
        quoted = _QUOTED.match(value)
        if "field limit" in str(error):
            reason = f"the cell has more than {CELL_LIMIT} characters; is a quote missing?"
        elif value.startswith('"') and not quoted:
            reason = "the quote is never closed"
        elif quoted and not value.startswith("\r", quoted.end()):
            reason = 'text behind the closing quote; a quote inside a cell is written ""'
        else:
            reason = "a line ends in CR alone; use CR LF or LF"
        return RowError(self.first, line, column, reason, value, raw)


class _Splitter:
    """A stream's lines as bytes; of one beyond `ROW_LIMIT` no more than that is held.

    Attributes:
        offset: bytes up to the end of the last line given.
    """

    def __init__(self, stream: BinaryIO, offset: int, newline: bytes, *, go_on: bool) -> None:
        self.offset = offset
        self._stream = stream
        self._newline = newline
        self._buffer = b""
        self._at = 0
        self._go_on = go_on
        stream.seek(offset)

    def line(self) -> tuple[bytes, int]:
        """The next line, empty at the end, and how many bytes it has."""
        if end := self._find():  # nearly always
            data = self._buffer[self._at : end]
            self._at = end
            self.offset += len(data)
            return data, len(data)
        pieces: list[bytes] = []
        size = 0
        while True:
            end = self._find()
            piece = self._buffer[self._at : end] if end else self._buffer[self._at :]
            if size <= ROW_LIMIT:
                pieces.append(piece)
            size += len(piece)
            if end:
                self._at = end
                break
            if size > ROW_LIMIT and not self._go_on:
                break
            self._buffer, self._at = self._read(), 0
            if not self._buffer:
                break
        self.offset += size
        return b"".join(pieces), size

    def put_back(self, data: bytes) -> None:
        """The last bytes given are the next ones again."""
        self._buffer, self._at = data + self._buffer[self._at :], 0
        self.offset -= len(data)

    def _read(self) -> bytes:
        """The next bytes, a whole number of characters unless it is the end."""
        data = self._stream.read(_CHUNK)
        while len(data) % len(self._newline) and (more := self._stream.read(1)):
            data += more
        return data

    def _find(self) -> int:
        """Return where the line in the buffer ends; 0 if it does not end there."""
        width = len(self._newline)
        at = self._buffer.find(self._newline, self._at)
        while at > 0 and (at - self._at) % width:  # half of one character and half of the next
            at = self._buffer.find(self._newline, at + 1)
        return at + width if at >= 0 else 0
