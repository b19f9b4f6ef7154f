"""A result while it is written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import BinaryIO

from messages.base import File


class DraftLost(OSError):
    """The draft holds less than was recorded of it: write it again from offset 0."""


class Draft(ABC):
    """A result while it is written: invisible under its name until it is published.

    Whoever writes keeps the offset reached and goes on from there after a crash. Every method raises
    `StorageUnavailable` where the storage cannot do it now.
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
        """What is written so far, to be read and closed by the caller; seekable.

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
