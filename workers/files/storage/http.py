"""HTTPS, and HTTP where a root says so: read in ranges, redirected only to where inputs may lie."""

from __future__ import annotations

import re
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO
from urllib.parse import urljoin

import httpcore
import httpx

from workers.errors import StorageUnavailable
from workers.files.errors import InputInvalid, InputNotAllowed
from workers.files.storage.base import (
    AHEAD_MIN,
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    FileMissing,
    RangeReader,
    Source,
    VersionChanged,
)
from workers.files.storage.ssrf import Network, SsrfGuardBackend, networks_named_by_root
from workers.files.storage.uris import Location, file_name, remote_location

#: Redirects that are followed for one request.
REDIRECTS = 5
#: Bytes of a file from a server that knows no ranges: it is fetched whole, into a file without a name.
WHOLE_LIMIT = 1024 * 1024 * 1024

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_NOTHING = re.compile(r"bytes \*/0")
_TIMEOUTS = {"connect": CONNECT_TIMEOUT, "read": READ_TIMEOUT, "write": READ_TIMEOUT, "pool": READ_TIMEOUT}


class Web(Source):
    """All servers of the web that inputs may be read from.

    Args:
        roots: places of the web below which inputs may lie.
        allowed: networks inside that may be reached.
    """

    def __init__(self, roots: Sequence[Location], allowed: Sequence[Network]) -> None:
        named = {root.host: networks_named_by_root(root.host) for root in roots}
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            network_backend=SsrfGuardBackend(allowed, named),
            max_connections=100,
            keepalive_expiry=5.0,
        )

    def open(self, location: Location, roots: Sequence[Location]) -> RangeReader:
        """As `Source.open`."""
        with self.answer(location, roots, 0, AHEAD_MIN) as (status, headers, body):
            version = _version(headers)
            if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                if not _NOTHING.fullmatch(headers.get("content-range", "")):
                    raise FileMissing("the server does not hand out its beginning")
                return _Pieces(self, location, roots, 0, version, b"")
            if status == httpx.codes.PARTIAL_CONTENT:
                first, size = _range(headers)
                if first != 0:
                    raise FileMissing("the server has answered with another range than asked for")
                return _Pieces(self, location, roots, size, version, _exactly(body, min(size, AHEAD_MIN)))
            return _Whole(body, file_name(location.path))

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    @contextmanager
    def answer(
        self, location: Location, roots: Sequence[Location], start: int, end: int
    ) -> Iterator[tuple[int, dict[str, str], Iterator[bytes]]]:
        """Status 200, 206 or 416, headers and content of the answer to a request for a range.

        Raises:
            Absent, InputNotAllowed, StorageUnavailable
        """
        place = f"{location.scheme}://{location.authority}"
        asked: dict[bytes | str, bytes | str] = {
            "Accept-Encoding": "identity",
            "Range": f"bytes={start}-{end - 1}",
            "User-Agent": "kyb-workers",
        }
        try:
            for _ in range(REDIRECTS + 1):
                with self._pool.stream(
                    "GET", location.uri, headers=asked, extensions={"timeout": _TIMEOUTS}
                ) as response:
                    headers = {
                        name.decode("latin-1").lower(): value.decode("latin-1")
                        for name, value in response.headers
                    }
                    if httpx.codes.is_redirect(response.status) and "location" in headers:
                        location = _redirected(location, headers["location"], roots)
                        continue
                    _accepted(response.status, headers, place)
                    yield response.status, headers, response.iter_stream()
                    return
            raise FileMissing(f"it is redirected more than {REDIRECTS} times")
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            what = "cannot be reached or has failed"
            if isinstance(error.__context__, ssl.SSLCertVerificationError):
                what = "shows a certificate that is not trusted"
            raise StorageUnavailable(f"{place} {what} ({type(error).__name__})") from None


class _Pieces(RangeReader):
    """A file of a server that knows ranges."""

    def __init__(
        self,
        web: Web,
        location: Location,
        roots: Sequence[Location],
        size: int,
        version: tuple[str, ...],
        head: bytes,
    ) -> None:
        self.size = size
        self._web = web
        self._location = location
        self._roots = roots
        self._version = version
        self._head = head

    def fetch(self, start: int, end: int) -> bytes:
        if end <= len(self._head):
            return self._head[start:end]
        try:
            with self._web.answer(self._location, self._roots, start, end) as (status, headers, body):
                if status != httpx.codes.PARTIAL_CONTENT or _version(headers) != self._version:
                    raise VersionChanged
                if _range(headers) != (start, self.size):
                    raise VersionChanged
                return _exactly(body, end - start)
        except FileMissing:
            raise VersionChanged from None

    def close(self) -> None:
        self._head = b""


class _Whole(RangeReader):
    """A file of a server that knows no ranges: fetched whole, kept on disk, gone when it is closed."""

    def __init__(self, body: Iterator[bytes], name: str) -> None:
        with ExitStack() as undo:
            self._copy: IO[bytes] = undo.enter_context(tempfile.TemporaryFile())
            self.size = 0
            for part in body:
                self.size += len(part)
                if self.size > WHOLE_LIMIT:
                    raise InputInvalid(
                        f"{name} has more than {WHOLE_LIMIT} bytes, and its server cannot send it in ranges",
                    )
                self._copy.write(part)
            undo.pop_all()

    def fetch(self, start: int, end: int) -> bytes:
        self._copy.seek(start)
        return self._copy.read(end - start)

    def close(self) -> None:
        self._copy.close()


def _redirected(location: Location, target: str, roots: Sequence[Location]) -> Location:
    """Return the target of a redirect, whose query no message repeats. Raises `InputNotAllowed`."""
    try:
        target_location = remote_location(urljoin(location.uri, target), query=True)
    except (InputNotAllowed, ValueError):
        raise InputNotAllowed("the server redirects to what is no plain web address") from None
    if not any(target_location.below(root) for root in roots):
        raise InputNotAllowed("the server redirects to a place outside the allowed roots")
    return target_location


def _accepted(status: int, headers: dict[str, str], place: str) -> None:
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        return
    if status in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise FileMissing("the server sends it packed, unasked")
    elif status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        after = headers.get("retry-after", "")
        raise StorageUnavailable(
            f"{place} has failed (HTTP {status})", retry_after=float(after) if after.isdecimal() else None
        )
    elif status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise FileMissing(f"it is refused to us (HTTP {status})")
    else:
        raise FileMissing(f"it is not there (HTTP {status})")


def _range(headers: dict[str, str]) -> tuple[int, int]:
    """The first byte of an answer, and the size of the file."""
    match = _RANGE.fullmatch(headers.get("content-range", ""))
    if match is None:
        raise FileMissing("the server sends ranges without saying which, or of what")
    return int(match[1]), int(match[3])


def _version(headers: dict[str, str]) -> tuple[str, ...]:
    return headers.get("etag", ""), headers.get("last-modified", "")


def _exactly(body: Iterator[bytes], size: int) -> bytes:
    """Return the first bytes of an answer; the rest is not read."""
    content = bytearray()
    for part in body:
        content += part
        if len(content) > size:
            raise StorageUnavailable("the server sends more than it was asked for")
    if len(content) < size:
        raise StorageUnavailable("the server sends less than it said")
    return bytes(content)
