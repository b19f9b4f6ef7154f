"""What an input is, told by what it holds and never by its name: the same bytes are always the same thing.

signature          Parquet, XLSX, gzip, zip; all else that is not text is refused by name
byte order mark    UTF-8, UTF-16
NUL bytes          UTF-16, if they are at every other place and the text then has lines
UTF-8              if all of it is; also where only some of it is and the rest is damage
Windows-1252       if there are bytes beyond ASCII and none of them is UTF-8
delimiter          of `,` `;` tab `|` the one that gives the most of the first rows as many cells as the header
"""

from __future__ import annotations

import codecs
import io
import os
from typing import Any, BinaryIO, Literal, NamedTuple

from workers.files.formats.archives import check_member, opened_zip, the_member, unpacked, unreadable
from workers.files.formats.csv_records import Dialect, Records, RowError

#: Bytes of the head, by which newline and delimiter are told.
HEAD = 256 * 1024
#: Rows of the head that are counted.
ROWS = 200
DELIMITERS = (",", ";", "\t", "|")

_CHUNK = 256 * 1024
_SAVE = "save it as CSV in UTF-8, XLSX or Parquet"
#: What is known and not read, by its first bytes.
_REFUSED = {
    b"\xd0\xcf\x11\xe0": "an Excel workbook of before 2007 or one with a password",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"%PDF": "a PDF document",
    b"<?xml": "an XML document",
    b"\xff\xfe\0\0": "text in UTF-32",
    b"\0\0\xfe\xff": "text in UTF-32",
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
#: Of NUL bytes, the share at one parity; and how many of all characters they must be.
_SIDE, _SHARE = 0.9, 1 / 8


class DetectedFormat(NamedTuple):
    """The detected format of an input.

    Attributes:
        kind: of the table.
        container: how it is packed.
        dialect: of a text.
        offset: bytes before its header row, and `line` the lines there.
    """

    kind: Literal["text", "xlsx", "parquet"]
    container: Literal["gzip", "zip"] | None = None
    dialect: Dialect = Dialect()
    offset: int = 0
    line: int = 0

    @property
    def plain(self) -> bool:
        """Whether jobs can read it directly: UTF-8 with commas."""
        return self == DetectedFormat("text")

    def json(self) -> dict[str, Any]:
        """As JSON values, for the ledger."""
        return self._asdict() | {"dialect": list(self.dialect)}

    @classmethod
    def of(cls, values: dict[str, Any]) -> DetectedFormat:
        """From what `json` gave."""
        return cls(**(values | {"dialect": Dialect(*values["dialect"])}))


def sniff(stream: BinaryIO, uri: str) -> DetectedFormat:
    """Look at an input; it is read through once unless it begins with a signature or byte order mark.

    Raises:
        InputInvalid: for what cannot be read, or may be two things.
    """
    stream.seek(0)
    magic = stream.read(512)
    _refuse(magic, uri)
    if magic.startswith(_PARQUET) and _ends_as_parquet(stream, magic):
        return DetectedFormat("parquet")
    container: Literal["gzip", "zip"] | None = None
    if magic.startswith(_ZIP):
        with opened_zip(stream, uri) as archive:
            names = set(archive.namelist())
            if "xl/workbook.xml" in names:
                for member in archive.infolist():
                    check_member(member, uri)
                return DetectedFormat("xlsx")
            if names & {"xl/workbook.bin", "mimetype", "word/document.xml"}:
                raise unreadable(uri, f"an office document that is no XLSX workbook; {_SAVE}")
            the_member(archive, uri)
        container = "zip"
    elif magic.startswith(_GZIP):
        container = "gzip"
    with unpacked(stream, uri, container) as text:
        return _sniff_text(text, uri, container)


def _ends_as_parquet(stream: BinaryIO, magic: bytes) -> bool:
    """A text may begin like this, too; a Parquet file that was cut off has other bytes that no text has."""
    stream.seek(-min(len(_PARQUET), stream.seek(0, os.SEEK_END)), os.SEEK_END)
    return stream.read() == _PARQUET or b"\0" in magic


def _refuse(magic: bytes, uri: str, *, inside: bool = False) -> None:
    for start, what in _REFUSED.items():
        if magic.startswith(start):
            raise unreadable(uri, f"{what}, which is not read; {_SAVE}")
    if magic[257:262] == b"ustar":
        raise unreadable(uri, f"a tar archive, which is not read; send the file in it, or {_SAVE}")
    if inside and (magic.startswith((*_ZIP, _GZIP)) or (magic.startswith(_PARQUET) and b"\0" in magic)):
        raise unreadable(uri, "a packed file inside a packed file; pack it once, XLSX and Parquet not at all")


def _sniff_text(text: BinaryIO, uri: str, container: Literal["gzip", "zip"] | None) -> DetectedFormat:
    text.seek(0)
    head = text.read(HEAD)
    _refuse(head[:512], uri, inside=container is not None)
    encoding = _marked(head) or _by_nul(head, whole=len(head) < HEAD) or _read_through(text)
    sample = head.decode(encoding, "replace")
    newline = "\r" if "\r" in sample and "\n" not in sample else "\n"
    first, end, _ = sample.removeprefix("\ufeff").partition(newline)
    stated = first.rstrip("\r").lower()
    if stated.startswith("sep=") and len(stated) == len("sep=;") and end:
        # Excel's own way of telling.
        offset = len((sample.partition(newline)[0] + end).encode(encoding))
        return DetectedFormat("text", container, Dialect(encoding, stated[-1], newline), offset, 1)
    delimiter = _delimiter(head, encoding, newline, uri, whole=len(head) < HEAD)
    return DetectedFormat("text", container, Dialect(encoding, delimiter, newline))


def _marked(head: bytes) -> str | None:
    marks = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
    return next((encoding for mark, encoding in marks.items() if head.startswith(mark)), None)


def _by_nul(head: bytes, *, whole: bool) -> str | None:
    """UTF-16 without byte order mark: of ASCII characters every other byte is NUL."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    nul = even + odd
    if not nul or (whole and len(head) % 2) or nul < _SHARE * len(head) / 2 or max(even, odd) < _SIDE * nul:
        return None
    little = odd > even
    units = list(zip(head[not little :: 2], head[little::2], strict=False))
    ends = [high for low, high in units if low in b"\r\n"]  # in other texts, letters stand beside them
    if not ends or ends.count(0) < _SIDE * len(ends):
        return None
    return "utf-16-le" if little else "utf-16-be"


def _read_through(text: BinaryIO) -> str:
    """UTF-8 or Windows-1252. Damage in UTF-8 must not turn all of it into something else: it stays UTF-8."""
    text.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    broken = beyond_ascii = False
    while True:
        chunk = text.read(_CHUNK)
        try:
            found = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            broken = True
            decoder = codecs.getincrementaldecoder("utf-8")("ignore")
            found = decoder.decode(bytes(error.object))
        beyond_ascii = beyond_ascii or not found.isascii()
        if broken and beyond_ascii:
            return "utf-8"
        if not chunk:
            return "cp1252" if broken else "utf-8"


def _delimiter(head: bytes, encoding: str, newline: str, uri: str, *, whole: bool) -> str:
    scores: dict[str, tuple[int, int]] = {}
    for delimiter in DELIMITERS:
        widths = _widths(head, Dialect(encoding, delimiter, newline), whole=whole)
        if widths and widths[0] > 1:
            scores[delimiter] = (sum(width == widths[0] for width in widths), widths[0])
    if not scores:
        return ","
    best = max(agreeing for agreeing, _ in scores.values())
    leading = [delimiter for delimiter, (agreeing, _) in scores.items() if agreeing == best]
    if len(leading) > 1:
        named = " or ".join(repr(delimiter) for delimiter in leading)
        raise unreadable(
            uri,
            f"its cells may be separated by {named}; quote those that hold the other, or begin with a line sep=,",
        )
    return leading[0]


def _widths(head: bytes, dialect: Dialect, *, whole: bool) -> list[int]:
    """Cells of the header and of the rows behind it; the last may be cut off, unless it is the `whole` file."""
    widths: list[int] = []
    records = Records(io.BytesIO(head), dialect)
    for cells in records:
        if records.offset == len(head) and not whole and widths:
            break
        if cells or not widths:
            widths.append(0 if isinstance(cells, RowError) else len(cells))
        if len(widths) > ROWS:
            break
    return widths
