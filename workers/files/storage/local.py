"""Files of this machine: opened part by part below their root, written beside their name and renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from messages.base import File
from workers.errors import StorageUnavailable
from workers.files.errors import InputInvalid, InputNotAllowed, InputNotFound
from workers.files.storage.drafts import Draft, DraftLost
from workers.files.storage.uris import file_name, local_path

# What keeps an input from being opened and is the input's fault; any other error is the machine's.
_ABSENT = {
    errno.EACCES,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENXIO,
    errno.EPERM,
}

# Opening a FIFO must not wait for its writer, nor a terminal become ours.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# On the way down a folder need not be listable, where the system knows O_PATH.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class Local:
    """Folders and files of this machine, or mounted there.

    Args:
        roots: that files may lie below, as paths or `file://` URIs.
    """

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = [Path(local_path(root)).absolute() for root in roots]

    def check(self, uri: str) -> None:
        """Raise `InputNotAllowed` for what lies outside the roots once symlinks and `..` are resolved."""
        _below(self._roots, local_path(uri))

    def open(self, uri: str) -> BinaryIO:
        """The file, to be read and closed by the caller; raises what `Storage.open` raises."""
        return _open(*_below(self._roots, local_path(uri)), uri)

    def size(self, uri: str) -> int:
        """Bytes of the file; raises what `open` raises."""
        with self.open(uri) as stream:
            return os.fstat(stream.fileno()).st_size

    def draft(self, folder: str, name: str) -> Draft:
        """The file `name` in a folder of the first root."""
        return LocalDraft(Path(os.path.realpath(self._roots[0])) / folder / name)


class LocalDraft(Draft):
    """The file `<name>.part` until it is renamed to `<name>`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")

    @property
    def size(self) -> int:
        """As `Draft.size`."""
        try:
            with _stored():
                return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def append(self, offset: int) -> Iterator[BinaryIO]:
        """As `Draft.append`; on disk when the block ends without an exception."""
        if self.size < offset:
            raise DraftLost(errno.ESTALE, "The draft is shorter than recorded, start it again at 0")
        with _stored():
            self._part.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            with os.fdopen(handle, "wb") as stream:
                stream.truncate(offset)
                stream.seek(offset)
                yield stream
                stream.flush()
                os.fsync(handle)

    def open(self) -> BinaryIO:
        """As `Draft.open`."""
        try:
            handle = os.open(self._part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise DraftLost(errno.ESTALE, "There is no draft to read") from None
        return os.fdopen(handle, "rb")

    def remove(self) -> None:
        """As `Draft.remove`."""
        with _stored():
            self._part.unlink(missing_ok=True)

    def publish(self, media_type: str, records: int | None) -> File:
        """As `Draft.publish`."""
        try:
            with _stored():
                if self._part.exists():
                    with self._part.open("rb") as stream:
                        os.fsync(stream.fileno())
                    self._part.replace(self._path)
                # Also when the name is there already: the crash may have come before these.
                for directory in (self._path.parent, self._path.parent.parent):
                    _sync(directory)
                with self._path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                    size = stream.tell()
        except FileNotFoundError:
            raise DraftLost(errno.ENOENT, "There is no draft to publish, start it again at 0") from None
        return File(
            uri=self._path.as_uri(), media_type=media_type, records=records, bytes=size, sha256=digest
        )


@contextmanager
def _stored() -> Iterator[None]:
    """Writing may go better later: when there is room again, or the mounted volume is back."""
    try:
        yield
    except (DraftLost, FileNotFoundError):
        raise
    except OSError as error:
        raise StorageUnavailable(
            f"the results cannot be stored: {error.strerror or type(error).__name__}"
        ) from error


def _below(roots: Sequence[Path], path: str) -> tuple[Path, Path]:
    """The path without symlinks and `..`, and the root that it lies below."""
    real = Path(os.path.realpath(path))
    for root in roots:
        # Resolved each time: what a mounted volume's links point to changes while we run.
        real_root = Path(os.path.realpath(root))
        if real.is_relative_to(real_root):
            return real_root, real
    raise InputNotAllowed("the file lies outside the allowed roots")


def _open(root: Path, path: Path, uri: str) -> BinaryIO:
    """Open `path` part by part from `root`, so that a link put there since it was resolved is not followed."""
    try:
        handle = os.open(root.parent, _PASS)
        *folders, last = path.relative_to(root.parent).parts or (".",)
        try:
            for folder in folders:
                above, handle = handle, os.open(folder, _PASS | os.O_NOFOLLOW, dir_fd=handle)
                os.close(above)
            above, handle = handle, os.open(last, _READ | os.O_NOFOLLOW, dir_fd=handle)
            os.close(above)
        except BaseException:
            os.close(handle)
            raise
    except OSError as error:
        if error.errno not in _ABSENT:
            raise StorageUnavailable(
                f"the inputs cannot be read: {error.strerror or type(error).__name__}"
            ) from error
        raise InputNotFound(f"{file_name(uri)} cannot be read: {os.strerror(error.errno or 0)}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputInvalid(f"{file_name(uri)} is not a regular file")
    return os.fdopen(handle, "rb")


def _sync(directory: Path) -> None:
    """Make the directory's entries survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
