"""Inputs and results of jobs, wherever they are."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, cast

from messages.base import File
from workers.extras import importing
from workers.files.errors import InputNotAllowed, InputNotFound
from workers.files.storage.base import FileMissing, ObjectStore, RemoteFile, Source
from workers.files.storage.chunked_draft import RemoteDraft
from workers.files.storage.drafts import Draft
from workers.files.storage.local import Local
from workers.files.storage.uris import (
    Location,
    file_name,
    local_path,
    remote_location,
    scheme_of,
    segment,
)
from workers.settings import HttpsSettings, S3Settings, SftpSettings, StorageSettings

_WEB = {"https", "http"}


class Storage:
    """Inputs and results of jobs.

    Args:
        inputs: roots that inputs may lie below: paths, `file://`, `s3://`, `sftp://`, `https://` or `http://` URIs.
        results: root of the results: a path, `file://`, `s3://` or `sftp://` URI; made when first needed.
        s3: access to S3.
        sftp: access to SFTP servers.
        https: which addresses inside the network may be read from.

    Raises:
        ValueError: a root that is none, or lacks the settings of its scheme.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        results: str,
        *,
        s3: S3Settings | None = None,
        sftp: SftpSettings | None = None,
        https: HttpsSettings | None = None,
    ) -> None:
        try:
            self._local = Local([root for root in inputs if scheme_of(root) == "file"])
            self._roots = [remote_location(root) for root in inputs if scheme_of(root) != "file"]
            self._results = _results_at(results)
        except InputNotAllowed as error:
            raise ValueError(f"A storage root is not usable: {error.message}") from None
        self._sources = self._connected(s3 or S3Settings(), sftp or SftpSettings(), https or HttpsSettings())

    @classmethod
    def of(cls, settings: StorageSettings) -> Storage:
        """The storage that the settings describe; raises as the class does."""
        return cls(
            settings.roots(), settings.results, s3=settings.s3, sftp=settings.sftp, https=settings.https
        )

    def stage(self, name: str, tables: Mapping[str, Callable[[], BinaryIO]]) -> StageStorage:
        """Return this storage as a stage of a job sees it.

        Args:
            name: of the stage.
            tables: opens the job's own tables (plain CSV), by the name that stands in place of a URI.
        """
        return StageStorage(self, name, tables)

    def own_table(self, uri: str) -> Callable[[], BinaryIO] | None:
        """Return what opens a table of the job's own, or None if `uri` is an input like any other."""
        del uri  # only a stage has such tables
        return None

    def check(self, uri: str) -> None:
        """Check that a message may name this input. This says nothing of its existence, and contacts no other machine.

        Raises:
            InputNotAllowed: it is not below an input root once symlinks, `..` and percent-encoding are resolved. Symlinks
                on another machine are resolved when the input is opened.
        """
        if scheme_of(uri) == "file":
            self._local.check(uri)
        else:
            self._locate(uri)

    def open(self, uri: str) -> BinaryIO:
        """The input, to be read and closed by the caller; seekable, with a few MiB in memory at most.

        Its methods raise `StorageUnavailable`, and `InputInvalid` when the file changes meanwhile.

        Raises:
            InputNotAllowed: as `check`, which may have been long ago.
            InputNotFound, InputInvalid: there is none, or it is not a regular file.
            StorageUnavailable: it cannot be had now.
        """
        if scheme_of(uri) == "file":
            return self._local.open(uri)
        return self._open(self._locate(uri), self._roots)

    def open_result(self, file: File) -> BinaryIO:
        """A published result of this storage, for a later stage of the same job; as `open`."""
        if isinstance(self._results, Local):
            return self._results.open(file.uri)
        location = remote_location(file.uri)
        if not location.below(self._results):
            raise InputNotAllowed("the file lies outside the results")
        return self._open(location, [self._results])

    def size(self, uri: str) -> int:
        """Bytes of the input; raises what `open` raises."""
        if scheme_of(uri) == "file":
            return self._local.size(uri)
        with self.open(uri) as stream:
            return stream.seek(0, os.SEEK_END)

    def draft(self, job_id: str, name: str) -> Draft:
        """The result `name` of a job, at `<results>/<job id>/<name>` once it is published."""
        folder, part = segment(job_id), segment(name)
        if isinstance(self._results, Local):
            return self._results.draft(folder, part)
        store = cast("ObjectStore", self._sources[_client(self._results)])
        return RemoteDraft(store, self._results / folder / part)

    def close(self) -> None:
        """Close idle connections."""
        for source in self._sources.values():
            source.close()

    def _locate(self, uri: str) -> Location:
        location = remote_location(uri)
        if not any(location.below(root) for root in self._roots):
            raise InputNotAllowed("the file lies outside the allowed roots")
        return location

    def _open(self, location: Location, roots: Sequence[Location]) -> BinaryIO:
        name = file_name(location.path)
        try:
            ranges = self._sources[_client(location)].open(location, roots)
        except FileMissing as absent:
            raise InputNotFound(f"{name} cannot be read: {absent}") from None
        return io.BufferedReader(RemoteFile(ranges, name))

    def _connected(self, s3: S3Settings, sftp: SftpSettings, https: HttpsSettings) -> dict[str, Source]:
        """Return the client of each place; the libraries of a scheme are imported only where it is used."""
        found: dict[str, Source] = {}
        web = [root for root in self._roots if root.scheme in _WEB]
        results = [] if isinstance(self._results, Local) else [self._results]
        for place in [*self._roots, *results]:
            if _client(place) in found:
                continue
            if place.scheme == "s3":
                with importing("s3", "an s3:// root"):
                    from workers.files.storage.s3 import S3  # noqa: PLC0415

                found[_client(place)] = S3(s3)
            elif place.scheme == "sftp":
                with importing("sftp", "an sftp:// root"):
                    from workers.files.storage.sftp import Sftp  # noqa: PLC0415

                found[_client(place)] = Sftp(place, sftp)
            else:
                from workers.files.storage.http import Web  # noqa: PLC0415
                from workers.files.storage.ssrf import networks  # noqa: PLC0415

                found[_client(place)] = Web(web, networks(https.networks))
        return found


class StageStorage(Storage):
    """The storage as a stage of a job sees it: results are called `<stage>.…`, inputs may be the job's own tables."""

    def __init__(self, storage: Storage, stage: str, tables: Mapping[str, Callable[[], BinaryIO]]) -> None:
        self._storage = storage
        self._stage = stage
        self._tables = tables

    def own_table(self, uri: str) -> Callable[[], BinaryIO] | None:
        """As `Storage.own_table`."""
        return self._tables.get(uri)

    def check(self, uri: str) -> None:
        """As `Storage.check`."""
        self._storage.check(uri)

    def open(self, uri: str) -> BinaryIO:
        """As `Storage.open`."""
        return self._storage.open(uri)

    def open_result(self, file: File) -> BinaryIO:
        """As `Storage.open_result`."""
        return self._storage.open_result(file)

    def size(self, uri: str) -> int:
        """As `Storage.size`."""
        return self._storage.size(uri)

    def draft(self, job_id: str, name: str) -> Draft:
        """Return the draft of the stage's result `name`: the file is called `<stage>.<name>`."""
        return self._storage.draft(job_id, f"{self._stage}.{name}")

    def close(self) -> None:
        """As `Storage.close`."""
        self._storage.close()


def _results_at(root: str) -> Local | Location:
    if scheme_of(root) == "file":
        return Local([os.path.realpath(local_path(root))])
    location = remote_location(root)
    if location.scheme in _WEB:
        raise InputNotAllowed("results cannot be written to the web, use s3:// or sftp://")
    return location


def _client(place: Location) -> str:
    """Places with the same one share a client."""
    return f"sftp://{place.authority}" if place.scheme == "sftp" else "web" if place.scheme in _WEB else "s3"
