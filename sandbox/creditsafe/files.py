"""Import files as they come: csv, gzip, tar or gztar, never unpacked beyond a limit."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from sandbox.creditsafe.base import Refused

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Bytes of an import as it is sent, and of what it unpacks to (the latter is the simulator's own).
IMPORT_LIMIT = 50_000_000
UNPACKED_LIMIT = 1_000_000_000
RECORD_FIELDS = (
    *("companyId", "orgNumber", "name", "tradingName", "aliasName", "previousName", "phone", "email"),
    *("address1", "address2", "address3", "town", "postcode", "region", "country", "countryCode"),
    *("vatNumber", "taxCode", "personalID", "personalLimit", "safeNumber", "reference"),
)
Stream = IO[bytes] | gzip.GzipFile
_GZIP, _TAR = b"\x1f\x8b", b"ustar"


class Upload:
    """An import file.

    Attributes:
        digest: of the CSV as unpacked, once its rows are read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def rows(self) -> Iterator[dict[str, str]]:
        """The records. Refused as 400 when anything is wrong with the file."""
        try:
            yield from self._rows()
        except UnicodeDecodeError:
            raise Refused(400, "invalid file", "the file is not UTF-8") from None
        except (OSError, EOFError, zlib.error, tarfile.TarError):
            raise Refused(400, "invalid file", "the archive is damaged") from None

    def _rows(self) -> Iterator[dict[str, str]]:
        plain: Stream = self._file
        if _starts(plain, 0, _GZIP):
            plain = gzip.open(plain)  # noqa: SIM115 - it holds nothing but `self._file`, which is its owner's
        if not _starts(plain, 257, _TAR):
            yield from self._records(plain)
            return
        with tarfile.open(fileobj=plain) as archive:
            member = archive.next()
            content = archive.extractfile(member) if member is not None else None
            if member is None or content is None or not member.name.endswith(".csv"):
                raise Refused(400, "invalid file", "the archive must hold one CSV file")
            yield from self._records(content)
            if archive.next() is not None:
                raise Refused(400, "invalid file", "the archive must hold one CSV file, nothing else")

    def _records(self, content: Stream) -> Iterator[dict[str, str]]:
        capped = io.BufferedReader(_Capped(content, self.digest))
        lines = csv.reader(io.TextIOWrapper(capped, "utf-8-sig", newline=""), strict=True)
        try:
            header = next(lines, [])
            _check(header)
            for cells in lines:
                if len(cells) != len(header):
                    raise Refused(
                        400, "invalid file", f"line {lines.line_num}: {len(cells)} cells, not {len(header)}"
                    )
                yield dict(zip(header, cells, strict=True))
        except csv.Error as error:
            raise Refused(400, "invalid file", f"line {lines.line_num}: {error}") from None


class _Capped(io.RawIOBase):
    """Reads on until the limit, and takes the digest of what it read."""

    def __init__(self, source: Stream, digest: hashlib._Hash) -> None:
        self._source = source
        self._digest = digest
        self._left = UNPACKED_LIMIT

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        data = self._source.read(len(view))
        self._left -= len(data)
        if self._left < 0:
            raise Refused(400, "invalid file", f"the file unpacks to more than {UNPACKED_LIMIT:,} bytes")
        self._digest.update(data)
        view[: len(data)] = data
        return len(data)


def _check(header: list[str]) -> None:
    if not any(header):
        raise Refused(400, "invalid file", "the first row must hold field names")
    for column, name in enumerate(header, start=1):
        if name not in RECORD_FIELDS:
            raise Refused(400, "invalid file", f"column {column}: {name!r} is no field name")
        if header.index(name) != column - 1:
            raise Refused(400, "invalid file", f"column {column}: {name!r} is there twice")


def _starts(file: Stream, offset: int, magic: bytes) -> bool:
    file.seek(0)
    magic_bytes = file.read(offset + len(magic))[offset:] == magic
    file.seek(0)
    return magic_bytes
