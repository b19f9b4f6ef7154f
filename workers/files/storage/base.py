"""The common base of remote storage, and a file that is read from it in ranges."""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from workers.errors import StorageUnavailable
from workers.files.errors import InputInvalid
from workers.files.storage.uris import Location

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Bytes of the first range that is fetched, and of the first after a jump.
AHEAD_MIN = 64 * 1024
#: Bytes of the largest one: who reads on gets twice as much each time, up to this. Never more is held of a file.
AHEAD_MAX = 4 * 1024 * 1024
#: Seconds to connect, and between two bytes of an answer.
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0


class FileMissing(Exception):
    """There is no such file, or the server does not hand it out; the message says which, in a few words."""


class VersionChanged(Exception):
    """The file is not the one that was opened."""


class RangeReader(ABC):
    """A file that was opened: any part of it can be had, and all parts are of the same version of it.

    Attributes:
        size: in bytes.
    """

    size: int

    @abstractmethod
    def fetch(self, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`, which lies within the file.

        Raises:
            Changed: the file is another one than when it was opened.
            StorageUnavailable: they cannot be had now.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""


class Source(ABC):
    """One server or bucket that inputs are read from. Used by all threads."""

    @abstractmethod
    def open(self, location: Location, roots: Sequence[Location]) -> RangeReader:
        """The file at a place that lies below one of the roots.

        Raises:
            Absent, InputNotAllowed, StorageUnavailable
        """

    @abstractmethod
    def close(self) -> None:
        """Close idle connections."""


class ObjectStore(Source):
    """One server or bucket that also takes results. Every method raises `StorageUnavailable`."""

    @abstractmethod
    def list(self, folder: Location) -> Mapping[str, int]:
        """Names and sizes of the files in a folder; nothing if there is none."""

    @abstractmethod
    def put(self, location: Location, pieces: Iterable[bytes], scratch: str) -> None:
        """Write a file whole or not at all, in place of what was there; on return it is stored.

        Args:
            location: of the file.
            pieces: its content.
            scratch: a path for what is not whole yet, where the store needs one.
        """

    @abstractmethod
    def remove(self, folder: Location, names: Iterable[str]) -> None:
        """Remove files of a folder, in this order, and the folder if it is left empty; what is not there is fine."""


class RemoteFile(io.RawIOBase):
    """A file of another machine as a seekable stream, read in ranges that grow while they are read in order.

    Args:
        ranges: of the file; closed with it.
        name: for messages.
    """

    def __init__(self, ranges: RangeReader, name: str) -> None:
        self._ranges = ranges
        self._name = name
        self._at = 0
        self._block = b""
        self._begin = 0  # offset of the block
        self._ahead = AHEAD_MIN

    def readinto(self, buffer: WriteableBuffer) -> int:
        """As of any stream. Raises `InputInvalid` if the file has changed, `StorageUnavailable`."""
        view = memoryview(buffer).cast("B")
        if self._at >= self._ranges.size or not view:
            return 0
        if not self._begin <= self._at < self._begin + len(self._block):
            self._load()
        found = self._block[self._at - self._begin :][: len(view)]
        view[: len(found)] = found
        self._at += len(found)
        return len(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any stream; nothing is fetched."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._ranges.size}[whence]
        if base + offset < 0:
            raise ValueError("a negative position")
        self._at = base + offset
        return self._at

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def close(self) -> None:
        """Close the file and its connections."""
        if not self.closed:
            self._ranges.close()
            self._block = b""
        super().close()

    def _load(self) -> None:
        in_order = self._at == self._begin + len(self._block)
        self._ahead = min(2 * self._ahead, AHEAD_MAX) if in_order and self._block else AHEAD_MIN
        self._begin, self._block = self._at, b""
        end = min(self._at + self._ahead, self._ranges.size)
        try:
            self._block = fetch_with_reconnect(self._ranges, self._at, end)
        except VersionChanged:
            raise InputInvalid(f"{self._name} has changed while it was read; send it anew") from None


def fetch_with_reconnect(ranges: RangeReader, start: int, end: int) -> bytes:
    """As `RangeReader.fetch`; a connection that was cut is made again at once, once."""
    try:
        return ranges.fetch(start, end)
    except StorageUnavailable:
        return ranges.fetch(start, end)
