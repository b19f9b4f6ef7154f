"""The files of a resolution: a table read through before it is sent, lists written as they come."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import IO, Any, BinaryIO, NotRequired, TypedDict

from clients.sayari import known_header
from clients.sayari.requests import ATTRIBUTES
from clients.sayari.shapes import TokenPage
from clients.sayari.workspace_shapes import UnresolvedEntity
from messages.errors import Code
from workers.engine.context import Run
from workers.errors import JobFailed
from workers.files.formats.csv_records import RowError
from workers.files.formats.csv_table import Position, Table, invalid_row
from workers.files.storage import Appender, Draft, file_name
from workers.jobs.input import InputTable
from workers.observability.turn_stats import TransferKind

#: Rows between two checkpoints while a file is read through.
READ_ROWS = 5_000
#: Entities a page of results; more is not documented.
PAGE = 100
#: Bytes of a vendor's file that are held in memory; a larger one waits on disk until it is whole.
HELD = 4 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"


class ReadCheckpoint(TypedDict):
    """Checkpoint of checking a file; `bytes` once it was checked whole."""

    done: int
    at: NotRequired[dict[str, int]]
    bytes: NotRequired[int]


class CollectCheckpoint(TypedDict):
    """Checkpoint of collecting a list: the token of the next page, bytes and objects written."""

    next: str | None
    offset: int
    done: int
    end: bool


def read_through(source: InputTable, at: ReadCheckpoint | None) -> Generator[ReadCheckpoint]:
    """Check a whole file before anything of it is sent.

    The last checkpoint holds `done` (entities) and `bytes` (of the file).

    Raises:
        JobFailed: `input_invalid` for a header that Sayari does not know, a row that says nothing, no rows.
    """
    if at is not None and "bytes" in at:
        return
    uri = source.uri
    with source.open() as stream:
        table = Table.open(stream, uri, allow_repeated_headers=True)
        check_header(table.header, uri)
        last = Position.of(at["at"]) if at else None
        for cells, position in table.rows(last):
            if wrong := nothing_in(cells):
                raise invalid_row(uri, RowError(position.line, position.line, *wrong, "", ""))
            last = position
            if position.row % READ_ROWS == 0:
                yield {"done": position.row, "at": position.json()}
        if last is None:
            raise JobFailed(Code.INPUT_INVALID, f"{file_name(uri)} holds no entities, only a header")
        yield {"done": last.row, "bytes": _size(stream)}


def nothing_in(cells: list[str]) -> tuple[None, str] | None:
    """Return the error of an empty row, since Sayari accepts no such entity; None for any other row."""
    return None if any(cells) else (None, "every cell is empty; leave the row out")


def check_header(header: list[str], uri: str) -> None:
    """Raise `input_invalid`, with file, line and column, for a header that is no attribute of Sayari's.

    The name itself is repeated only if other names are known. Otherwise the row may be data.
    """
    known = any(map(known_header, header))
    for column, name in enumerate(header, start=1):
        if known_header(name):
            continue
        place = f"{file_name(uri)}, line 1, column {column}"
        what = f"{name[:64]!r} is not an attribute" if known else "this is not the name of an attribute"
        raise JobFailed(
            Code.INPUT_INVALID,
            f"{place}: {what} of Sayari's; the first row must hold names of these, exactly as here",
            f"{', '.join(ATTRIBUTES)}, or one of Sayari's identifier types, e.g. uk_company_number",
        )


@contextmanager
def sendable(source: InputTable, size: int) -> Iterator[IO[bytes]]:
    """The file as Sayari takes it, streamed: without byte order mark, which would be part of the first header.

    Raises:
        JobFailed: `input_invalid` if the file is not what it was when it was read through.
    """
    with source.open() as stream:
        if _size(stream) != size:
            raise JobFailed(
                Code.INPUT_INVALID,
                f"{file_name(source.uri)} has changed since it was read through; send it anew",
            )
        stream.seek(0)
        marked = stream.read(len(_BOM)) == _BOM
        stream.seek(0)
        yield io.BufferedReader(SkipPrefix(stream, len(_BOM))) if marked else stream


class SkipPrefix(io.RawIOBase):
    """A stream without its first `start` bytes."""

    def __init__(self, stream: BinaryIO, start: int) -> None:
        self._stream = stream
        self._start = start
        stream.seek(start)

    def readinto(self, buffer: Any) -> int:
        """As of any stream."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any stream."""
        skipped = self._start if whence == os.SEEK_SET else 0
        return self._stream.seek(offset + skipped, whence) - self._start

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True


def collect(
    run: Run,
    name: str,
    kind: TransferKind,
    draft: Draft,
    fetch: Callable[..., TokenPage[Any]],
    keep: Callable[[Any], bool] = lambda _: True,
    total: int | None = None,
) -> int:
    """Write a list of Sayari's to `draft`, one object a line as the vendor gave it; how many those are.

    It is the transfer `name`, page by page to the end.

    Args:
        run: the job's turn.
        name: of the step.
        kind: of the transfer, for metrics.
        draft: to write to.
        fetch: gives the page that `next` names.
        keep: whether an object is to be written.
        total: how many there should be, if known.
    """
    out = Appender(draft)
    work = partial(_collect, run, out, fetch, keep)
    done: int = run.transfer(name, work, kind=kind, total=total, store=out.store)["done"]
    return done


def _collect(
    run: Run,
    out: Appender,
    fetch: Callable[..., TokenPage[Any]],
    keep: Callable[[Any], bool],
    at: CollectCheckpoint | None,
) -> Generator[CollectCheckpoint]:
    """A checkpoint holds `next` (page token), `offset` (bytes written), `done` (objects written) and `end`."""
    if at is None or out.size < at["offset"]:
        at = {"next": None, "offset": 0, "done": 0, "end": False}
    out.begin(at["offset"])
    if at["end"]:
        return
    pages = PageChain(fetch, at["next"])
    for _, page in run.map_ordered(pages.fetch, pages.tokens(), 1):
        kept = [entity for entity in page.data if keep(entity)]
        out.write(b"".join(json_line(entity.given) for entity in kept))
        done = at["done"] + len(kept)
        at = {"next": page.next, "offset": out.tell(), "done": done, "end": page.next is None}
        yield at


class PageChain:
    """Pages each of which names the next one: that is fetched while the one before is written.

    Args:
        fetch: gives the page that `next` names.
        start: the token of the first page.
    """

    def __init__(self, fetch: Callable[..., TokenPage[Any]], start: str | None) -> None:
        self._fetch = fetch
        self._following = start
        self._ended = False

    def tokens(self) -> Iterator[str | None]:
        """The token of each page; that of the next is known once `fetch` has returned."""
        while not self._ended:
            yield self._following

    def fetch(self, token: str | None) -> TokenPage[Any]:
        """The page of a token, one at a time. Raises `JobFailed` for one that would never end."""
        page = self._fetch(next=token)
        if page.next is not None and page.next == token:
            raise JobFailed(Code.VENDOR_FAILED, "a page of Sayari's results names itself as the next one")
        self._following, self._ended = page.next, page.next is None
        return page


def save(fetch: Callable[..., object], draft: Draft, media_type: str) -> int:
    """Write the file that the vendor makes to `draft`, its bytes; where that fails, nothing is left of it.

    Args:
        fetch: called with the type to `accept` and the binary file to write `to`.
        draft: of the file.
        media_type: as Sayari calls it.
    """
    with tempfile.SpooledTemporaryFile(HELD) as whole:
        fetch(accept=media_type, to=whole)
        whole.seek(0)
        with draft.append(0) as out:
            shutil.copyfileobj(whole, out)
            return out.tell()


def json_line(value: object) -> bytes:
    """A JSON value as a line of a result."""
    return json_bytes(value) + b"\n"


def json_bytes(value: object) -> bytes:
    """A JSON value in UTF-8, without spaces. Lone surrogates stay what the vendor sent."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")


def newer(newest: str | None, entity: UnresolvedEntity) -> bool:
    """Return whether an entity was uploaded after the newest one that was there before.

    Assumed: `created` is the time of the upload by the vendor's clock, equal for all of its entities. An entity without a
    readable time counts as newer.
    """
    if newest is None:  # nothing was there
        return True
    before, created = moment(newest), moment(entity.created)
    return before is None or created is None or created > before


def moment(text: str | None) -> datetime | None:
    """A timestamp of Sayari's; None where it cannot be read."""
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return time if time.tzinfo is not None else None


def _size(stream: BinaryIO) -> int:
    return stream.seek(0, os.SEEK_END)
