"""Packed inputs, read as what is in them: gzip, and zip with one member. Nothing is ever written to a name found inside."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO, cast

from workers.files.errors import InputInvalid
from workers.files.storage import file_name

#: Bytes that an input may have once it is unpacked.
EXPANDED_LIMIT = 16 * 1024**3
#: How many times its size an input may become. Tables become 5 to 30 times smaller; a bomb, up to 1,000 times.
RATIO_LIMIT = 200
#: The ratio is looked at from this many bytes on: small files may be as repetitive as they like.
RATIO_FROM = 16 * 1024 * 1024

_BROKEN = (EOFError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError)
_ENCRYPTED = 0x1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def unreadable(uri: str, reason: str) -> InputInvalid:
    """The whole file is no use; the reason says what to do about it."""
    return InputInvalid(f"{file_name(uri)}: {reason}")


def too_large(uri: str, expanded: int, packed: int) -> InputInvalid | None:
    """Return why this many bytes out of `packed` ones are refused (a decompression bomb); None if they are not."""
    if expanded > EXPANDED_LIMIT:
        return unreadable(uri, f"it holds more than {EXPANDED_LIMIT} bytes once unpacked; split it")
    if expanded > RATIO_FROM and expanded > RATIO_LIMIT * packed:
        return unreadable(
            uri, f"unpacked it is more than {RATIO_LIMIT} times as large, as no table is; send it unpacked"
        )
    return None


@contextmanager
def unpacked(stream: BinaryIO, uri: str, container: str | None) -> Iterator[BinaryIO]:
    """The contents of `stream`, seekable, if slowly.

    Args:
        stream: the file.
        uri: its name, for errors.
        container: `gzip`, `zip` or None.

    Raises:
        InputInvalid: now or while it is read, for what is broken, encrypted or a bomb.
    """
    if container is None:
        yield stream
        return
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if container == "gzip":
        with gzip.GzipFile(fileobj=stream, mode="rb") as inner:
            yield cast("BinaryIO", _Bounded(inner, uri, size))
        return
    with opened_zip(stream, uri) as archive:
        member = the_member(archive, uri)
        with archive.open(member) as packed:
            yield cast("BinaryIO", _Bounded(packed, uri, max(member.compress_size, 1)))


@contextmanager
def opened_zip(stream: BinaryIO, uri: str) -> Iterator[zipfile.ZipFile]:
    """A zip archive, its directory read."""
    try:
        archive = zipfile.ZipFile(stream)
    except _BROKEN as error:
        raise unreadable(uri, f"the zip archive is broken ({type(error).__name__}); pack it anew") from error
    with archive:
        yield archive


def the_member(archive: zipfile.ZipFile, uri: str) -> zipfile.ZipInfo:
    """The only file in an archive; folders, and what macOS adds below `__MACOSX/`, do not count."""
    members = [
        each for each in archive.infolist() if not each.is_dir() and not each.filename.startswith("__MACOSX/")
    ]
    if len(members) != 1:
        raise unreadable(uri, f"the zip archive holds {len(members)} files; it must hold exactly one")
    [member] = members
    check_member(member, uri)
    if trouble := too_large(uri, member.file_size, max(member.compress_size, 1)):
        raise trouble
    return member


def check_member(member: zipfile.ZipInfo, uri: str) -> None:
    """Raise `InputInvalid` for what is encrypted or packed in an unusual way."""
    if member.flag_bits & _ENCRYPTED:
        raise unreadable(uri, "the file is encrypted; save it without a password")
    if member.compress_type not in _METHODS:
        raise unreadable(uri, "the zip archive is packed in an unusual way; use the usual one, Deflate")


class _Bounded(io.BufferedIOBase):
    """A stream that unpacks: stops at bombs, and says what is broken in our words."""

    def __init__(self, inner: IO[bytes] | gzip.GzipFile, uri: str, packed: int) -> None:
        self._inner = inner
        self._uri = uri
        self._packed = packed

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any stream."""
        try:
            data = self._inner.read(-1 if size is None else size)
        except _BROKEN as error:
            raise self._broken(error) from error
        if trouble := too_large(self._uri, self._inner.tell(), self._packed):
            raise trouble
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """As of any stream; what was passed already is unpacked again."""
        try:
            return self._inner.seek(offset, whence)
        except _BROKEN as error:
            raise self._broken(error) from error

    def tell(self) -> int:
        """As of any stream."""
        return self._inner.tell()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def _broken(self, error: Exception) -> InputInvalid:
        return unreadable(
            self._uri, f"it cannot be unpacked to its end ({type(error).__name__}); send it anew"
        )
