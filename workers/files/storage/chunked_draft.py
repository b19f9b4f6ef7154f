"""A result on another machine while it is written: in pieces beside its name, joined when it is published.

    <name>.part/<offset>     bytes from that offset on, each piece stored whole or not at all
    <name>                   there once all is joined; then the pieces are removed, that at 0 first

A crash between any two of these leaves either all pieces or the published file, so that publishing again
gives the same bytes. Pieces without one at 0 are leftovers.
"""

from __future__ import annotations

import errno
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from messages.base import File
from workers.errors import StorageUnavailable
from workers.files.storage.base import (
    AHEAD_MAX,
    FileMissing,
    ObjectStore,
    RangeReader,
    RemoteFile,
    VersionChanged,
    fetch_with_reconnect,
)
from workers.files.storage.drafts import Draft, DraftLost
from workers.files.storage.uris import Location

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: Bytes of a piece at most: what is held while a result is written.
PIECE_LIMIT = 8 * 1024 * 1024
#: A last piece of fewer bytes is written again with what follows, so that many small appends are not many pieces.
PIECE_MIN = 1024 * 1024
#: Bytes read at once while pieces are joined.
_READ = AHEAD_MAX


class Piece(NamedTuple):
    """Bytes of a draft, stored under the offset of the first."""

    begin: int
    size: int

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.begin + self.size

    @property
    def name(self) -> str:
        """Its name in the draft's folder: names sort as offsets do."""
        return f"{self.begin:020d}"


class RemoteDraft(Draft):
    """A draft in pieces.

    Args:
        store: where it is.
        location: of the result once it is published.
    """

    def __init__(self, store: ObjectStore, location: Location) -> None:
        self._store = store
        self._location = location
        self._folder = location._replace(path=f"{location.path}.part")

    @property
    def size(self) -> int:
        """As `Draft.size`."""
        pieces, _ = self._pieces()
        return pieces[-1].end if pieces else 0

    @contextmanager
    def append(self, offset: int) -> Iterator[BinaryIO]:
        """As `Draft.append`; what is written is stored in pieces as it comes."""
        pieces, others = self._pieces()
        if (pieces[-1].end if pieces else 0) < offset:
            raise DraftLost(errno.ESTALE, "The draft is shorter than recorded, start it again at 0")
        beyond = [piece.name for piece in pieces if piece.begin >= offset]
        self._store.remove(self._folder, [*beyond, *others])
        kept = [piece for piece in pieces if piece.begin < offset]
        begin, head = offset, b""
        if kept and (kept[-1].end > offset or kept[-1].size < PIECE_MIN):
            begin = kept[-1].begin
            head = b"".join(self._read(kept[-1]))[: offset - begin]
        writer = _Writer(self._write, begin, head)
        yield cast("BinaryIO", writer)
        writer.finish()

    def open(self) -> BinaryIO:
        """As `Draft.open`."""
        pieces, _ = self._pieces()
        if not pieces:
            raise DraftLost(errno.ESTALE, "There is no draft to read")
        return io.BufferedReader(RemoteFile(_Joined(self._store, self._folder, pieces), "the draft"))

    def remove(self) -> None:
        """As `Draft.remove`."""
        self._store.remove(self._folder, sorted(self._store.list(self._folder)))

    def publish(self, media_type: str, records: int | None) -> File:
        """As `Draft.publish`; reads and writes the whole result once."""
        pieces, others = self._pieces()
        digest, size = hashlib.sha256(), 0

        def passing(content: Iterator[bytes]) -> Iterator[bytes]:
            nonlocal size
            for part in content:
                digest.update(part)
                size += len(part)
                yield part

        if pieces:
            joined = (part for piece in pieces for part in self._read(piece))
            self._store.put(self._location, passing(joined), f"{self._folder.path}/whole")
        else:
            try:
                for _ in passing(self._content(self._location)):
                    pass
            except FileMissing:
                raise DraftLost(errno.ENOENT, "There is no draft to publish, start it again at 0") from None
        if pieces or others:
            self._store.remove(self._folder, [*(piece.name for piece in pieces), *others])
        return File(
            uri=self._location.uri,
            media_type=media_type,
            records=records,
            bytes=size,
            sha256=digest.hexdigest(),
        )

    def _pieces(self) -> tuple[list[Piece], list[str]]:
        """The pieces from 0 on without a gap, and the names of all else that lies there."""
        parts = dict(self._store.list(self._folder))
        pieces: list[Piece] = []
        end = 0
        while (name := Piece(end, 0).name) in parts:
            pieces.append(Piece(end, parts.pop(name)))
            if not pieces[-1].size:
                break
            end = pieces[-1].end
        return pieces, sorted(parts)

    def _write(self, begin: int, content: bytes) -> None:
        name = Piece(begin, 0).name
        self._store.put(self._folder / name, [content], f"{self._folder.path}/{name}.new")

    def _read(self, piece: Piece) -> Iterator[bytes]:
        try:
            yield from self._content(self._folder / piece.name)
        except FileMissing:  # somebody else has published or begun anew; the next turn sees which
            raise StorageUnavailable("a piece of the draft was removed while it was read") from None

    def _content(self, location: Location) -> Iterator[bytes]:
        with closing(self._store.open(location, [])) as ranges:
            for begin in range(0, ranges.size, _READ):
                try:
                    yield fetch_with_reconnect(ranges, begin, min(begin + _READ, ranges.size))
                except VersionChanged:
                    raise StorageUnavailable("a piece of the draft was replaced while it was read") from None


class _Joined(RangeReader):
    """The pieces of a draft as one file."""

    def __init__(self, store: ObjectStore, folder: Location, pieces: Sequence[Piece]) -> None:
        self.size = pieces[-1].end
        self._store = store
        self._folder = folder
        self._pieces = pieces

    def fetch(self, start: int, end: int) -> bytes:
        found = b""
        for piece in self._pieces:
            if piece.begin < end and piece.end > start:
                try:
                    ranges = self._store.open(self._folder / piece.name, [])
                except FileMissing:
                    raise VersionChanged from None
                with closing(ranges):
                    found += ranges.fetch(
                        max(start, piece.begin) - piece.begin, min(end, piece.end) - piece.begin
                    )
        return found

    def close(self) -> None:
        pass  # pieces are opened for each range


class _Writer(io.RawIOBase):
    """A stream that stores in pieces what is written to it.

    Args:
        store: stores the bytes of one piece that begins at an offset.
        begin: offset of the first piece.
        head: bytes that it begins with.
    """

    def __init__(self, store: Callable[[int, bytes], None], begin: int, head: bytes) -> None:
        self._store = store
        self._begin = begin
        self._buffer = bytearray(head)

    def write(self, data: ReadableBuffer) -> int:
        """As of any stream; all of it is taken."""
        before = len(self._buffer)
        self._buffer += memoryview(data).cast("B")
        written = len(self._buffer) - before
        while len(self._buffer) >= PIECE_LIMIT:
            self._store(self._begin, bytes(self._buffer[:PIECE_LIMIT]))
            del self._buffer[:PIECE_LIMIT]
            self._begin += PIECE_LIMIT
        return written

    def finish(self) -> None:
        """Store the rest; of an empty draft an empty piece."""
        if self._buffer or not self._begin:
            self._store(self._begin, bytes(self._buffer))

    def tell(self) -> int:
        """The offset reached in the draft."""
        return self._begin + len(self._buffer)

    def writable(self) -> bool:
        """Yes."""
        return True
