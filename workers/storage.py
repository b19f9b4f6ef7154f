"""Where jobs read their inputs and leave their results: files below the configured roots.

A message may name any URI, so nothing outside the input roots is ever opened; results appear complete or not at all.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, unquote_to_bytes

from messages.base import File
from messages.errors import Code
from workers.errors import JobFailed

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
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
_NAME_LIMIT = 200  # bytes of one path part; file systems take 255, `.part` included

# Opening a FIFO must not wait for its writer, nor a terminal become ours.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# On the way down a folder need not be listable, where the system knows O_PATH.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC


class InputNotAllowed(JobFailed, ValueError):
    """The URI is not one that a message may name: its command is rejected."""

    def __init__(self, reason: str) -> None:
        super().__init__(Code.INPUT_NOT_ALLOWED, reason)


class DraftLost(OSError):
    """The draft holds less than was recorded of it: write it again from offset 0."""


def file_name(uri: str) -> str:
    """The last part of a URI or path, for messages to people."""
    return uri.rstrip("/").rpartition("/")[2]


class Storage:
    """Inputs and results of jobs.

    Args:
        inputs: roots that inputs may lie below, as paths or `file://` URIs.
        results: root of the results, a path or `file://` URI; made when first needed.

    Raises:
        ValueError: a root that is neither path nor `file://` URI.
    """

    def __init__(self, inputs: Sequence[str], results: str) -> None:
        try:
            self._inputs = [Path(_path(root)).absolute() for root in inputs]
            self._results = Path(os.path.realpath(_path(results)))
        except InputNotAllowed as error:
            raise ValueError(f"A storage root is not usable: {error.message}") from None

    def check(self, uri: str) -> None:
        """Whether a message may name this input; says nothing of its existence.

        Raises:
            InputNotAllowed: not below an input root once symlinks, `..` and percent-encoding are resolved.
        """
        self._locate(uri)

    def open(self, uri: str) -> BinaryIO:
        """The input, to be read and closed by the caller; seekable.

        Raises:
            InputNotAllowed: as `check`, which may have been long ago.
            JobFailed: `input_not_found`, `input_invalid` where it is not a regular file.
        """
        return _open(*self._locate(uri), uri)

    def open_result(self, file: File) -> BinaryIO:
        """A published result of this storage, for a later stage of the same job; as `open`."""
        return _open(*_below([self._results], _path(file.uri)), file.uri)

    def size(self, uri: str) -> int:
        """Bytes of the input; raises what `open` raises."""
        with self.open(uri) as stream:
            return os.fstat(stream.fileno()).st_size

    def draft(self, job_id: str, name: str) -> Draft:
        """The result `name` of a job, at `<results>/<job id>/<name>` once it is published."""
        return Draft(self._results / _segment(job_id) / _segment(name))

    def _locate(self, uri: str) -> tuple[Path, Path]:
        return _below(self._inputs, _path(uri))


class Draft:
    """A result while it is written: invisible under its name until it is published.

    Whoever writes keeps the offset reached and goes on from there after a crash.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")

    @property
    def size(self) -> int:
        """Bytes written so far; 0 before the first."""
        try:
            return self._part.stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def append(self, offset: int) -> Iterator[BinaryIO]:
        """Write on from `offset`: what lies beyond is cut off; on disk when the block ends without an exception.

        Raises:
            DraftLost: there are fewer than `offset` bytes.
        """
        if self.size < offset:
            raise DraftLost(errno.ESTALE, "The draft is shorter than recorded, start it again at 0")
        self._part.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with os.fdopen(handle, "wb") as stream:
            stream.truncate(offset)
            stream.seek(offset)
            yield stream
            stream.flush()
            os.fsync(handle)

    def open(self) -> BinaryIO:
        """What is written so far, to be read and closed by the caller; seekable.

        Raises:
            DraftLost: nothing was written, or it was published.
        """
        try:
            handle = os.open(self._part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise DraftLost(errno.ESTALE, "There is no draft to read") from None
        return os.fdopen(handle, "rb")

    def remove(self) -> None:
        """Discard what is written and not published, if there is any."""
        self._part.unlink(missing_ok=True)

    def publish(self, media_type: str, records: int | None) -> File:
        """Give the draft its name, in one step; done again, it describes what was published.

        Args:
            media_type: of the content.
            records: rows or objects in it; None where they are not ours to count.

        Raises:
            DraftLost: nothing was written.
        """
        if self._part.exists():
            with self._part.open("rb") as stream:
                os.fsync(stream.fileno())
            self._part.replace(self._path)
        # Also when the name is there already: the crash may have come before these.
        try:
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


def _path(uri: str) -> str:
    """The path that a URI or path names, nothing resolved yet."""
    path = uri
    if scheme := _SCHEME.match(uri):
        if scheme[1].lower() != "file":
            raise InputNotAllowed(f"the scheme {scheme[1]!r} is not supported, use a path or file:///…")
        path = uri[scheme.end() :]
        if path.startswith("//"):
            host, slash, path = path[2:].partition("/")
            if host.lower() not in {"", "localhost"}:
                raise InputNotAllowed("a file URI of another host cannot be read, use file:///…")
            path = slash + path
        if not path.startswith("/"):
            raise InputNotAllowed("a file URI needs an absolute path: file:///…")
        if "?" in path or "#" in path:
            raise InputNotAllowed("a file URI has no query or fragment, write %3F and %23")
        path = os.fsdecode(unquote_to_bytes(path))
    if not path or _CONTROL.search(path):
        raise InputNotAllowed("the path is empty or holds control characters")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise InputNotAllowed("the path is not valid Unicode") from None
    return path


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
            raise
        raise JobFailed(
            Code.INPUT_NOT_FOUND, f"{file_name(uri)} cannot be read: {os.strerror(error.errno or 0)}"
        ) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise JobFailed(Code.INPUT_INVALID, f"{file_name(uri)} is not a regular file")
    return os.fdopen(handle, "rb")


def _segment(name: str) -> str:
    """A name as one path part: never `.`, `..` or a draft's name, and never the part of another name."""
    part = quote(name, safe=":", errors="surrogatepass")
    if not part.strip(".") or part.endswith(".part"):
        head, _, tail = part.rpartition(".")
        part = f"{head}%2E{tail}" if part else "%"
    if len(part) > _NAME_LIMIT:
        part = f"{part[:100]}~{hashlib.sha256(part.encode()).hexdigest()}"
    return part


def _sync(directory: Path) -> None:
    """Make the directory's entries survive a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
