"""A table in parts that Creditsafe takes: cut between records, each with the header, packed for the wire."""

from __future__ import annotations

import gzip
import os
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO, NamedTuple, NotRequired, Self, TypedDict

from clients.creditsafe import IMPORT_LIMIT, RECORD_FIELDS, Format
from messages.errors import Code
from workers.errors import JobFailed
from workers.files.formats.csv_table import Position, Table
from workers.files.storage import file_name
from workers.jobs.input import InputTable

#: Bytes of a part before it is packed, header included; the rest of the limit is for what gzip may add.
PART_LIMIT = IMPORT_LIMIT - 1_000_000
#: Parts from this size on are packed: below it is not worth it.
GZIP_FROM = 64 * 1024
#: Parts are cut between spans of rows; of so many there is room in one, so that parts are nearly full.
SPANS = 200
#: A part beyond this size is kept on disk while it is sent.
SPOOL_LIMIT = 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class ReadCheckpoint(TypedDict):
    """Checkpoint of reading a file, with the positions where parts end; `first` and `bytes` once it was read whole."""

    done: int
    ends: list[dict[str, int]]
    at: NotRequired[dict[str, int]]
    first: NotRequired[int]
    bytes: NotRequired[int]


class Part(NamedTuple):
    """Records of a file: the bytes from `begin` to `end`, and how many records they hold."""

    begin: int
    end: int
    rows: int


def read_through(source: InputTable, at: ReadCheckpoint | None) -> Generator[ReadCheckpoint]:
    """Check a whole file before anything of it is sent, and find where to cut it.

    The last checkpoint holds `done` (records), `ends` (the positions where parts end) and `bytes` (of the file).

    Raises:
        JobFailed: `input_invalid` for a header that Creditsafe does not know, a row that is none, no records.
    """
    if at is not None and "bytes" in at:
        return
    uri = source.uri
    with source.open() as stream:
        table = Table.open(stream, uri)
        check_header(table.header, uri)
        header, first = _header(stream)
        ends: list[dict[str, int]] = at["ends"] if at else []
        begin = ends[-1]["offset"] if ends else first
        last = Position.of(at["at"]) if at else None
        for position in table.spans(last, max(PART_LIMIT // SPANS, 1)):
            if (
                last is not None
                and begin < last.offset
                and len(header) + position.offset - begin > PART_LIMIT
            ):
                ends = [*ends, last.json()]
                begin = last.offset
            last = position
            yield {"done": position.row, "at": position.json(), "ends": ends}
        if last is None:
            raise JobFailed(Code.INPUT_INVALID, f"{file_name(uri)} holds no records, only a header")
        yield {"done": last.row, "ends": [*ends, last.json()], "first": first, "bytes": _size(stream)}


def parts_of(plan: dict[str, Any]) -> list[Part]:
    """The parts that `read_through` found."""
    found: list[Part] = []
    begin, before = plan["first"], 0
    for end in map(Position.of, plan["ends"]):
        found.append(Part(begin, end.offset, end.row - before))
        begin, before = end.offset, end.row
    return found


def check_header(header: list[str], uri: str) -> None:
    """Raise `input_invalid`, with file, line and column, for a header that is no field of a record.

    The name itself is repeated only if other names are known. Otherwise the row may be data.
    """
    known = [name for name in header if name in RECORD_FIELDS]
    for column, name in enumerate(header, start=1):
        if name in RECORD_FIELDS:
            continue
        place = f"{file_name(uri)}, line 1, column {column}"
        what = f"{name[:64]!r} is not a field" if known else "this is not the name of a field"
        raise JobFailed(
            Code.INPUT_INVALID,
            f"{place}: {what} of Creditsafe's records; the first row must hold names of these, case as here",
            ", ".join(RECORD_FIELDS),
        )


class PartPacker:
    """Parts as files of their own, one packed while the one before is sent.

    Args:
        source: the file.
        plan: what `read_through` found.
    """

    def __init__(self, source: InputTable, plan: dict[str, Any]) -> None:
        self.parts = parts_of(plan)
        self._pack = partial(pack, source, plan)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="packing")
        self._ahead: dict[int, Future[tuple[IO[bytes], Format]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Discard parts that are packed and not sent."""
        self._pool.shutdown(cancel_futures=True)
        for future in self._ahead.values():
            if not future.cancelled() and future.exception() is None:
                future.result()[0].close()

    @contextmanager
    def part(self, number: int, *, ahead: bool) -> Iterator[tuple[IO[bytes], Format]]:
        """The part of this number, from 1, and its format; raises as `pack`.

        With `ahead` the next one is begun meanwhile.
        """
        future = self._ahead.pop(number, None) or self._pool.submit(self._pack, self.parts[number - 1])
        content, format = future.result()
        with content:
            if ahead and number < len(self.parts):
                self._ahead[number + 1] = self._pool.submit(self._pack, self.parts[number])
            yield content, format


def pack(source: InputTable, plan: dict[str, Any], part: Part) -> tuple[IO[bytes], Format]:
    """A part as a file of its own, for the caller to close: the same bytes each time, and their format.

    Raises:
        JobFailed: `input_invalid` if the file is not what it was when it was read through.
    """
    uri = source.uri
    with ExitStack() as failed, source.open() as stream:
        spool = failed.enter_context(SpooledTemporaryFile(max_size=SPOOL_LIMIT))
        if _size(stream) != plan["bytes"]:
            raise _changed(uri)
        header, _ = _header(stream)
        small = len(header) + part.end - part.begin < GZIP_FROM
        if small:
            _write(stream, uri, header, part, spool)
        else:
            # Neither time nor name: a repeated part must not look like another one.
            with gzip.GzipFile(fileobj=spool, mode="wb", filename="", mtime=0, compresslevel=1) as archive:
                _write(stream, uri, header, part, archive)
        failed.pop_all()
        return spool, "csv" if small else "gzip"


def _write(source: BinaryIO, uri: str, header: bytes, part: Part, target: IO[bytes] | gzip.GzipFile) -> None:
    target.write(header)
    source.seek(part.begin)
    left = part.end - part.begin
    while left:
        chunk = source.read(min(left, 64 * 1024))
        if not chunk:
            raise _changed(uri)
        target.write(chunk)
        left -= len(chunk)


def _header(stream: BinaryIO) -> tuple[bytes, int]:
    """The header's line without byte order mark, and where the first record begins."""
    stream.seek(0)
    line = stream.readline()
    return line.removeprefix(_BOM), len(line)


def _size(stream: BinaryIO) -> int:
    return stream.seek(0, os.SEEK_END)


def _changed(uri: str) -> JobFailed:
    return JobFailed(
        Code.INPUT_INVALID, f"{file_name(uri)} has changed since it was read through; send it anew"
    )
