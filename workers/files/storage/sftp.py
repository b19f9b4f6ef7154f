"""SFTP, through asyncssh: one connection per server, shared by all threads; only known hosts are talked to."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import asyncssh
from fsspec.asyn import get_loop, sync

from workers.errors import StorageUnavailable
from workers.files.errors import InputInvalid, InputNotAllowed
from workers.files.storage.base import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    FileMissing,
    ObjectStore,
    RangeReader,
    VersionChanged,
)
from workers.files.storage.uris import Location, file_name
from workers.settings import SftpSettings

T = TypeVar("T")
#: Size in bytes and time of the last change.
Version = tuple[int, int]

#: Seconds for one operation, a range of a file or a piece of a result included; a dead connection is noticed sooner.
OPERATION_TIMEOUT = 300.0
#: Seconds for which refused credentials are not tried again: accounts lock.
BARRED = 60.0
#: Files that are removed at once.
_TOGETHER = 50


class Sftp(ObjectStore):
    """One server.

    Args:
        server: any place on it.
        access: who we are, and whom we trust.

    Raises:
        ValueError: it is not said whom we trust, or who we are.
    """

    def __init__(self, server: Location, access: SftpSettings) -> None:
        if access.known_hosts is None or not access.known_hosts.is_file():
            raise ValueError("sftp:// needs KYB_STORAGE__SFTP__KNOWN_HOSTS, a file with the servers' keys")
        if access.username is None or not (access.private_key or access.password):
            raise ValueError("sftp:// needs KYB_STORAGE__SFTP__USERNAME, and __PRIVATE_KEY or __PASSWORD")
        self._server = server
        self._access = access
        self._place = f"sftp://{server.authority}"
        self._connecting = asyncio.Lock()
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None
        self._barred_until = 0.0

    def open(self, location: Location, roots: Sequence[Location]) -> RangeReader:
        """As `Source.open`."""
        above = [root.path or "/" for root in roots if root.server == location.server]
        with self.trouble(reading=True):
            path, handle, attributes = self.run(self._open, location.path, above)
        return _Handle(self, path, handle, attributes)

    def list(self, folder: Location) -> Mapping[str, int]:
        """As `Store.list`."""

        async def listed() -> dict[str, int]:
            client = await self.client()
            entries = [each async for each in client.scandir(folder.path)]
            return {str(each.filename): each.attrs.size or 0 for each in entries if _regular(each.attrs)}

        with self.trouble():
            try:
                return self.run(listed)
            except asyncssh.SFTPNoSuchFile:
                return {}

    def put(self, location: Location, pieces: Iterable[bytes], scratch: str) -> None:
        """As `Store.put`."""
        with self.trouble():
            handle = self.run(self._begin, scratch)
            size = 0
            try:
                for piece in pieces:
                    size += self.run(handle.write, piece, size)
                self.run(_sync, handle)
                written = self.run(handle.stat).size
            finally:
                with suppress(asyncssh.Error, OSError):
                    self.run(handle.close)
            if written != size:
                raise StorageUnavailable(f"{self._place} has stored {written} bytes of {size}")
            self.run(self._rename, scratch, location.path)

    def remove(self, folder: Location, names: Iterable[str]) -> None:
        """As `Store.remove`."""
        paths = [(folder / name).path for name in names]

        async def removed() -> None:
            client = await self.client()
            # The first alone: it decides whether the others are still a draft.
            for batch in (paths[:1], *(paths[at : at + _TOGETHER] for at in range(1, len(paths), _TOGETHER))):
                for outcome in await asyncio.gather(*map(client.remove, batch), return_exceptions=True):
                    if isinstance(outcome, BaseException) and not isinstance(
                        outcome, asyncssh.SFTPNoSuchFile
                    ):
                        raise outcome
            with suppress(asyncssh.SFTPError):  # something else is in it
                await client.rmdir(folder.path)

        if paths:
            with self.trouble():
                self.run(removed)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with suppress(asyncssh.Error, OSError):
                self.run(self._drop)

    def run(self, work: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T:
        """Do something in the event loop's thread and wait for it."""
        result: T = sync(get_loop(), work, *arguments, timeout=OPERATION_TIMEOUT)
        return result

    async def client(self) -> asyncssh.SFTPClient:
        """The session, a new one if the last was cut."""
        async with self._connecting:
            if self._client is not None and self._connection is not None and not self._connection.is_closed():
                return self._client
            if time.monotonic() < self._barred_until:
                raise asyncssh.PermissionDenied("refused a moment ago")
            password = self._access.password.get_secret_value() if self._access.password else None
            try:
                connection = await asyncssh.connect(
                    self._server.host,
                    self._server.port,
                    username=self._access.username,
                    password=password,
                    client_keys=[str(self._access.private_key)] if self._access.private_key else None,
                    passphrase=password,
                    known_hosts=str(self._access.known_hosts),
                    config=None,
                    agent_path=None,
                    connect_timeout=CONNECT_TIMEOUT,
                    login_timeout=READ_TIMEOUT,
                    keepalive_interval=READ_TIMEOUT / 3,
                    keepalive_count_max=2,
                )
            except asyncssh.PermissionDenied:
                self._barred_until = time.monotonic() + BARRED
                raise
            try:
                self._client = await connection.start_sftp_client()
            except BaseException:
                connection.abort()
                raise
            self._connection = connection
            return self._client

    async def opened(self, path: str) -> tuple[asyncssh.SFTPClientFile, Version]:
        """A regular file, no link, and its version."""
        client = await self.client()
        if not _regular(await client.lstat(path)):
            raise InputInvalid(f"{file_name(path)} is not a regular file")
        handle = await client.open(path, "rb", encoding=None)
        # Nobody can be kept from putting a link there meanwhile, but it would have to be gone again by now.
        if await _real(client, path) != path:
            await handle.close()
            raise InputNotAllowed("the file was replaced by a link while it was opened")
        return handle, await _version(handle)

    async def _open(self, path: str, roots: Sequence[str]) -> tuple[str, asyncssh.SFTPClientFile, Version]:
        client = await self.client()
        real = await _real(client, path)
        if roots and not any([_below(real, await _real(client, root)) for root in roots]):
            raise InputNotAllowed("the file lies outside the allowed roots")
        return real, *await self.opened(real)

    async def _begin(self, path: str) -> asyncssh.SFTPClientFile:
        client = await self.client()
        folder = path.rpartition("/")[0]
        if not await client.isdir(folder):
            await client.makedirs(folder, exist_ok=True)
        return await client.open(path, "wb", encoding=None)

    async def _rename(self, old: str, new: str) -> None:
        await (await self.client()).posix_rename(old, new)

    async def _drop(self) -> None:
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.abort()
            await connection.wait_closed()

    @contextmanager
    def trouble(self, *, reading: bool = False) -> Iterator[None]:
        """Tell what goes wrong in our own words: those of servers may repeat anything."""
        try:
            yield
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPPermissionDenied) as error:
            refused = isinstance(error, asyncssh.SFTPPermissionDenied)
            message = "is refused to us" if refused else "is not there"
            if reading:
                raise FileMissing(f"it {message}") from None
            raise StorageUnavailable(f"{self._place}: the file or folder {message}") from None
        except asyncssh.PermissionDenied:
            raise StorageUnavailable(f"{self._place} refuses the credentials", retry_after=BARRED) from None
        except asyncssh.HostKeyNotVerifiable:
            raise StorageUnavailable(
                f"{self._place} shows a key that is not in KYB_STORAGE__SFTP__KNOWN_HOSTS"
            ) from None
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
            raise StorageUnavailable(
                "KYB_STORAGE__SFTP__PRIVATE_KEY cannot be read with that password"
            ) from None
        except (asyncssh.Error, OSError) as error:
            raise StorageUnavailable(
                f"{self._place} cannot be reached or has failed ({type(error).__name__})"
            ) from None


class _Handle(RangeReader):
    """An open file."""

    def __init__(self, server: Sftp, path: str, handle: asyncssh.SFTPClientFile, version: Version) -> None:
        self.size = version[0]
        self._server = server
        self._path = path
        self._handle: asyncssh.SFTPClientFile | None = handle
        self._version = version

    def fetch(self, start: int, end: int) -> bytes:
        with self._server.trouble():
            return self._server.run(self._fetch, start, end)

    def close(self) -> None:
        if self._handle is not None:
            with suppress(asyncssh.Error, OSError):
                self._server.run(self._handle.close)

    async def _fetch(self, start: int, end: int) -> bytes:
        if self._handle is None:
            self._handle, version = await self._server.opened(self._path)
            if version != self._version:
                raise VersionChanged
        try:
            content: bytes = await self._handle.read(end - start, start)
            version = await _version(self._handle)
        except (asyncssh.Error, OSError, asyncio.CancelledError):
            self._handle = None  # the next attempt opens it again
            raise
        if version != self._version or len(content) != end - start:
            raise VersionChanged
        return content


async def _version(handle: asyncssh.SFTPClientFile) -> Version:
    attributes = await handle.stat()
    return attributes.size or 0, attributes.mtime or 0


async def _real(client: asyncssh.SFTPClient, path: str) -> str:
    """The path without links, by the server's word."""
    return str(await client.realpath(path))


async def _sync(handle: asyncssh.SFTPClientFile) -> None:
    """To the server's disk, if it knows how."""
    with suppress(asyncssh.SFTPOpUnsupported):
        await handle.fsync()


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root.rstrip('/')}/")


def _regular(found: asyncssh.SFTPAttrs) -> bool:
    return found.permissions is not None and stat.S_ISREG(found.permissions)
