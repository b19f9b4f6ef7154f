"""XLSX workbooks, row by row: of a sheet no more than a row is held, of its shared texts only where they are."""

from __future__ import annotations

import mmap
import os
import posixpath
import re
import tempfile
import zipfile
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from workers.files.formats.archives import opened_zip, too_large, unreadable
from workers.files.formats.csv_records import ROW_LIMIT, RowError
from workers.files.formats.reader import Row, fitting, refused
from workers.files.formats.xlsx_values import Style, number_text, styles_of

#: What a sheet can have, says the file format.
ROWS_LIMIT, COLUMNS_LIMIT = 1_048_576, 16_384
#: Bytes of XML in which a row or a shared text must end.
PIECE_LIMIT = 4 * ROW_LIMIT
#: Bytes of the parts that are held as a whole: list of sheets, styles.
SMALL_LIMIT = 32 * 1024 * 1024

_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_COLUMN = re.compile("([A-Z]{1,3})[0-9]+")


class _Sheet(NamedTuple):
    name: str
    part: str


class WorkbookReader:
    """The one visible sheet of a workbook that holds anything. Its first row is the header."""

    unit = "row"
    header_line = 1
    resumable = False  # XML in a stream that unpacks: but it has no more than 1,048,576 rows

    def __init__(self, stream: BinaryIO, uri: str, texts: SharedStrings) -> None:
        self._stream = stream
        self._number = 0
        self._uri = uri
        with opened_zip(stream, uri) as archive:
            packed = stream.seek(0, os.SEEK_END)
            if trouble := too_large(uri, sum(each.file_size for each in archive.infolist()), packed):
                raise trouble
            self._book = _Book(archive, uri, texts)
            filled = [sheet for sheet in self._book.sheets if self._filled(archive, sheet)]
            if len(filled) > 1:
                raise unreadable(
                    uri, f"{len(filled)} sheets hold data; hide all but one, or save one as a file of its own"
                )
            if not filled:
                raise unreadable(uri, "no visible sheet holds anything")
            self._sheet = filled[0]
        number, cells = next(self._raw_rows())
        header = _fitting_header(cells) if number == 1 else []
        self.header: list[str] | RowError = header

    def rows(self, at: dict[str, int] | None) -> Iterator[Row]:
        """As of any reader; a row without a value has no cells."""
        after = at["row"] if at else 1
        width = len(self.header)
        last = after
        for number, cells in self._raw_rows():
            if number > after:
                if number > last + 1:  # rows without anything need not be there
                    yield [], {"row": last + 1}
                last = number
                self._number = number
                yield fitting(cells, width, number) if any(cells) else [], {"row": number}

    def bad(self, column: int | None, reason: str, cells: list[str]) -> RowError:
        """As of any reader."""
        return refused(self._number, column, reason, cells)

    def _filled(self, archive: zipfile.ZipFile, sheet: _Sheet) -> bool:
        return any(any(cells) for _, cells in self._book.rows(archive, sheet.part))

    def _raw_rows(self) -> Iterator[tuple[int, list[str | RowError]]]:
        with opened_zip(self._stream, self._uri) as archive:
            yield from self._book.rows(archive, self._sheet.part)


def _fitting_header(cells: list[str | RowError]) -> list[str] | RowError:
    while cells and not cells[-1]:
        cells.pop()
    return fitting(cells, len(cells), 1) if cells else []


class _Book:
    """The shared parts of a workbook: the names of its sheets, its shared strings and its styles."""

    def __init__(self, archive: zipfile.ZipFile, uri: str, texts: SharedStrings) -> None:
        self._uri = uri
        parts: dict[str, str] = {}
        for element in self._small(archive, "xl/_rels/workbook.xml.rels"):
            if _tag(element) == "Relationship":
                target = posixpath.normpath(posixpath.join("/xl", element.get("Target", "")))
                parts[element.get("Id", "")] = target.lstrip("/")
        self.sheets: list[_Sheet] = []
        self._date1904 = False
        for element in self._small(archive, "xl/workbook.xml"):
            if _tag(element) == "workbookPr":
                self._date1904 = element.get("date1904") in {"1", "true"}
            elif _tag(element) == "sheet" and element.get("state", "visible") == "visible":
                key = next((value for name, value in element.items() if name.endswith("}id")), "")
                if "worksheets/" in parts.get(key, ""):
                    self.sheets.append(_Sheet(element.get("name", ""), parts[key]))
        names = archive.namelist()
        self._styles: list[Style] = []
        if "xl/styles.xml" in names:
            self._styles = styles_of(self._small(archive, "xl/styles.xml"))
        self._texts = texts
        if "xl/sharedStrings.xml" in names:
            for element in self._elements(archive, "xl/sharedStrings.xml", "si"):
                self._texts.add(_text(element))
        self._texts.end()

    def rows(self, archive: zipfile.ZipFile, part: str) -> Iterator[tuple[int, list[str | RowError]]]:
        """The rows of a sheet that are there, each with its number and its cells from the first column on."""
        number = 0
        for element in self._elements(archive, part, "row"):
            stated = element.get("r", "")
            following = int(stated) if stated.isdecimal() and len(stated) < 9 else number + 1  # noqa: PLR2004
            if following <= number or following > ROWS_LIMIT or len(element) > COLUMNS_LIMIT:
                raise unreadable(self._uri, f"the sheet is broken behind row {number}; save it anew")
            number = following
            cells: list[str | RowError] = []
            for cell in element:
                if _tag(cell) != "c":
                    continue
                column = _column(cell.get("r", "")) or len(cells) + 1
                if not len(cells) < column <= COLUMNS_LIMIT:
                    raise unreadable(self._uri, f"the sheet is broken in row {number}; save it anew")
                cells += [""] * (column - len(cells) - 1)
                cells.append(self._value(cell, number, column))
            yield number, cells

    def _value(self, cell: Element, row: int, column: int) -> str | RowError:
        kind = cell.get("t", "n")
        parts = {_tag(part): part for part in cell}
        stored = parts.get("v")
        text = (stored.text or "") if stored is not None else ""

        def bad(reason: str) -> RowError:
            return RowError(row, row, column, reason, text, "")

        if "f" in parts and not text and kind != "str":
            return bad("a formula without its result; open the file in Excel and save it, or save it as CSV")
        if kind == "e":
            return bad("the cell is an error")
        if kind == "inlineStr" and "is" in parts:
            return _text(parts["is"])
        if not text:
            return ""
        try:
            return self._converted(kind, text, cell)
        except (ValueError, IndexError, OverflowError):
            return bad("the cell holds no value of its kind")

    def _converted(self, kind: str, text: str, cell: Element) -> str:
        match kind:
            case "s":
                return self._texts[int(text)]
            case "b":
                return "TRUE" if int(text) else "FALSE"
            case "n":
                index = int(cell.get("s", "0"))
                style = self._styles[index] if index < len(self._styles) else Style()
                return number_text(text, style, date1904=self._date1904)
            case _:
                return _ESCAPED.sub(_unescape, text)

    def _small(self, archive: zipfile.ZipFile, part: str) -> list[Element]:
        """All elements of a small part."""
        try:
            if archive.getinfo(part).file_size > SMALL_LIMIT:
                raise unreadable(self._uri, f"a part of the workbook has more than {SMALL_LIMIT} bytes")
        except KeyError:
            raise unreadable(self._uri, "a part of the workbook is missing; save it anew") from None
        return [element for element, _ in self._events(archive, part)]

    def _elements(self, archive: zipfile.ZipFile, part: str, tag: str) -> Iterator[Element]:
        """The elements of one name, each forgotten when the next is asked for."""
        for element, parent in self._events(archive, part):
            if _tag(element) == tag:
                yield element
                element.clear()
                if parent is not None:
                    parent.clear()  # what was read is still in the tree, as empty elements

    def _events(self, archive: zipfile.ZipFile, part: str) -> Iterator[tuple[Element, Element | None]]:
        """Elements as they end, each with the one that it is in."""
        above: list[Element] = []
        try:
            with archive.open(part) as stream:
                source = _Pieces(stream, self._uri)
                for event, element in iterparse(source, events=("start", "end"), forbid_dtd=True):
                    if event == "start":
                        above.append(element)
                        continue
                    above.pop()
                    yield element, above[-1] if above else None
                    if _tag(element) in {"row", "si"}:
                        source.since = 0
        except DefusedXmlException as error:
            raise unreadable(
                self._uri, "the workbook defines XML entities, as no program does; it is not read"
            ) from error
        except (ParseError, KeyError, zipfile.BadZipFile, EOFError, OSError) as error:
            raise unreadable(
                self._uri, f"the workbook is broken ({type(error).__name__}); save it anew"
            ) from error


class _Pieces:
    """A stream that must come to the end of a row again and again."""

    def __init__(self, stream: Any, uri: str) -> None:
        self.since = 0
        self._stream = stream
        self._uri = uri

    def read(self, size: int = -1) -> bytes:
        """As of any stream."""
        data: bytes = self._stream.read(size)
        self.since += len(data)
        if self.since > PIECE_LIMIT:
            raise unreadable(self._uri, f"a row of the sheet has more than {PIECE_LIMIT} bytes")
        return data


class SharedStrings:
    """The shared texts, in a file without a name; only where each ends is held. To be closed."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this
        self._ends = array("Q", [0])
        self._map: mmap.mmap | bytes = b""

    def add(self, text: str) -> None:
        """One more."""
        self._file.write(data := text.encode(errors="replace"))
        self._ends.append(self._ends[-1] + len(data))

    def end(self) -> None:
        """That were all."""
        self._file.flush()
        if self._ends[-1]:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def close(self) -> None:
        """They are not needed any more."""
        if isinstance(self._map, mmap.mmap):
            self._map.close()
        self._file.close()

    def __getitem__(self, index: int) -> str:
        """Raises `IndexError`."""
        if index < 0:
            raise IndexError
        return self._map[self._ends[index] : self._ends[index + 1]].decode()


def _tag(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _text(element: Element) -> str:
    """A text, of all its runs; what tells how to pronounce it is not part of it."""
    runs = [run.text or "" for part in element for run in _runs(part)]
    return _ESCAPED.sub(_unescape, "".join(runs))


def _runs(part: Element) -> list[Element]:
    if _tag(part) == "t":
        return [part]
    return [run for run in part if _tag(run) == "t"] if _tag(part) == "r" else []


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _column(reference: str) -> int | None:
    """`C7` is in column 3."""
    match = _COLUMN.fullmatch(reference)
    if match is None:
        return None
    number = 0
    for letter in match[1]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number
