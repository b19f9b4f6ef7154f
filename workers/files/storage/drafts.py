"""A result while it is written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import BinaryIO

from messages.base import File

#: Bytes that an `Appender` gathers at most before it stores them.
GATHERED = 1024 * 1024


class DraftLost(OSError):
    """The draft holds less than was recorded of it: write it again from offset 0."""


class Draft(ABC):
    """A result while it is written, invisible under its name until it is published.

    The writer keeps the offset that it reached and continues there after a crash. Every method raises
    `StorageUnavailable` if the storage cannot do it now.
    """

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes written so far; 0 before the first."""

    @abstractmethod
    def append(self, offset: int) -> AbstractContextManager[BinaryIO]:
        """Write on from `offset`: what lies beyond is cut off; stored when the block ends without an exception.

        Raises:
            DraftLost: there are fewer than `offset` bytes.
        """

    @abstractmethod
    def open(self) -> BinaryIO:
        """Open what is written so far for reading; the caller closes it. The stream is seekable.

        Raises:
            DraftLost: nothing was written, or it was published.
        """

    @abstractmethod
    def remove(self) -> None:
        """Discard what is written and not published, if there is any."""

    @abstractmethod
    def publish(self, media_type: str, records: int | None) -> File:
        """Give the draft its name, in one step; done again, it describes what was published.

        Args:
            media_type: of the content.
            records: rows or objects in it; None where they are not ours to count.

        Raises:
            DraftLost: nothing was written.
        """


class Appender:
    """Writes a draft in many small pieces and buffers them, since each store costs a disk sync or a request.

    Buffered data is lost in a crash. So `store` comes before the offset is recorded, as `Run.transfer` does with its
    argument `store`.

    Args:
        draft: to write to; call `begin` first.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._gathered = bytearray()
        self._end = 0

    @property
    def size(self) -> int:
        """Bytes of the draft that are stored."""
        return self._draft.size

    def begin(self, offset: int) -> None:
        """Write on from `offset`: what lies beyond is cut off. Raises as `Draft.append`."""
        self.store()
        with self._draft.append(offset):
            self._end = offset

    def write(self, content: bytes) -> None:
        """Write on. May raise as `Draft.append`."""
        self._gathered += content
        self._end += len(content)
        if len(self._gathered) >= GATHERED:
            self.store()

    def tell(self) -> int:
        """The offset reached in the draft."""
        return self._end

    def store(self) -> None:
        """Store what is gathered; a crash does not lose it then. Raises as `Draft.append`."""
        if self._gathered:
            with self._draft.append(self._end - len(self._gathered)) as out:
                out.write(self._gathered)
            self._gathered.clear()
