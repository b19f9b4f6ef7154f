"""S3 and what speaks its language, through s3fs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any

import aiohttp
import s3fs
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from fsspec.asyn import sync

from workers.errors import StorageUnavailable
from workers.files.storage.base import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    FileMissing,
    ObjectStore,
    RangeReader,
    VersionChanged,
)
from workers.files.storage.uris import Location
from workers.settings import S3Settings

#: Bytes of one part of an upload: S3 takes 10,000 parts, so 160 GB are the most.
PART = 16 * 1024 * 1024
#: Names that one request removes at most.
_BATCH = 1_000
#: What S3 says when it is our credentials and not the object that it does not like.
_CREDENTIALS = {
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NotSignedUp",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}


class S3(ObjectStore):
    """All buckets of one account."""

    def __init__(self, access: S3Settings) -> None:
        self._fs = s3fs.S3FileSystem(
            key=access.key,
            secret=access.secret.get_secret_value() if access.secret else None,
            endpoint_url=access.endpoint_url,
            client_kwargs={"region_name": access.region} if access.region else {},
            config_kwargs={
                "connect_timeout": CONNECT_TIMEOUT,
                "read_timeout": READ_TIMEOUT,
                "retries": {"total_max_attempts": 2, "mode": "standard"},
            },
            use_listings_cache=False,
            skip_instance_cache=True,
        )
        self._fs.retries = 1  # ours come as turns

    def open(self, location: Location, roots: Sequence[Location]) -> RangeReader:
        """As `Source.open`."""
        del roots  # a key is what it says: there are no links
        with _reading(location):
            try:
                head = self._call("head_object", location)
            except PermissionError:
                # The answer to a question about an object has no body: this one says what is refused.
                self._call("get_object", location, Range="bytes=0-0")["Body"].close()
                raise
        return _Object(self, location, head["ContentLength"], head["ETag"])

    def read(self, location: Location, start: int, end: int, version: str) -> bytes:
        """The bytes from `start` to before `end` of one version; raises `VersionChanged`, `StorageUnavailable`."""
        with _working(location):
            answer = self._call("get_object", location, Range=f"bytes={start}-{end - 1}", IfMatch=version)
            content: bytes = sync(self._fs.loop, _read, answer["Body"])
        if len(content) != end - start:
            raise StorageUnavailable(f"{_place(location)} has sent less than it said")
        return content

    def list(self, folder: Location) -> Mapping[str, int]:
        """As `Store.list`."""
        found: dict[str, int] = {}
        more: dict[str, str] = {}
        prefix = f"{folder.path}/"
        while True:
            with _working(folder):
                page = self._fs.call_s3(
                    "list_objects_v2", Bucket=folder.authority, Prefix=prefix, Delimiter="/", **more
                )
            found |= {each["Key"].removeprefix(prefix): each["Size"] for each in page.get("Contents", [])}
            if not page.get("IsTruncated"):
                return found
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def put(self, location: Location, pieces: Iterable[bytes], scratch: str) -> None:
        """As `Store.put`."""
        del scratch  # an object appears when its upload is completed
        parts = _parts(pieces)
        first = next(parts)
        second = next(parts, None)
        with _working(location):
            if second is None:
                self._call("put_object", location, Body=first)
                return
            upload = self._call("create_multipart_upload", location)["UploadId"]
            try:
                done = [
                    {"PartNumber": number, "ETag": self._part(location, upload, number, content)}
                    for number, content in enumerate(chain([first, second], parts), 1)
                ]
                self._call(
                    "complete_multipart_upload", location, UploadId=upload, MultipartUpload={"Parts": done}
                )
            except BaseException:
                with suppress(OSError, BotoCoreError):  # what went wrong first is what is told
                    self._call("abort_multipart_upload", location, UploadId=upload)
                raise

    def remove(self, folder: Location, names: Iterable[str]) -> None:
        """As `Store.remove`."""
        keys = [(folder / name).path for name in names]
        # The first alone: it decides whether the others are still a draft.
        for batch in filter(
            None, (keys[:1], *(keys[at : at + _BATCH] for at in range(1, len(keys), _BATCH)))
        ):
            with _working(folder):
                answer = self._fs.call_s3(
                    "delete_objects",
                    Bucket=folder.authority,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            if answer.get("Errors"):
                code = answer["Errors"][0].get("Code")
                raise StorageUnavailable(f"{_place(folder)} does not remove what it is asked to ({code})")

    def close(self) -> None:
        """Nothing: s3fs closes its connections with the process."""

    def _part(self, location: Location, upload: str, number: int, content: bytes) -> str:
        answer = self._call("upload_part", location, UploadId=upload, PartNumber=number, Body=content)
        return str(answer["ETag"])

    def _call(self, operation: str, location: Location, **arguments: object) -> Any:
        return self._fs.call_s3(operation, Bucket=location.authority, Key=location.path, **arguments)


class _Object(RangeReader):
    """One version of an object."""

    def __init__(self, s3: S3, location: Location, size: int, version: str) -> None:
        self.size = size
        self._s3 = s3
        self._location = location
        self._version = version

    def fetch(self, start: int, end: int) -> bytes:
        return self._s3.read(self._location, start, end, self._version)

    def close(self) -> None:
        pass  # every range is a request of its own


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The content in parts of one size, the last one smaller; one empty part if there is nothing."""
    buffer = bytearray()
    sent = False
    for piece in pieces:
        buffer += piece
        while len(buffer) > PART:
            yield bytes(buffer[:PART])
            sent = True
            del buffer[:PART]
    if buffer or not sent:
        yield bytes(buffer)


async def _read(body: Any) -> bytes:
    try:
        return bytes(await body.read())
    finally:
        body.close()


@contextmanager
def _reading(location: Location) -> Iterator[None]:
    """As `_working`, for an object that need not be there."""
    try:
        with _working(location):
            yield
    except _Refused as refused:
        raise FileMissing(str(refused)) from None


class _Refused(StorageUnavailable):
    """There is no such object or bucket, or it is not for us."""


@contextmanager
def _working(location: Location) -> Iterator[None]:
    """Tell what s3fs raises in our own words: those of servers and libraries may repeat credentials."""
    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        if (code := _code(error)) in _CREDENTIALS:
            raise StorageUnavailable(f"{_place(location)} refuses the credentials ({code})") from None
        missing = isinstance(error, FileNotFoundError)
        raise _Refused(f"{_place(location)} {'is not there' if missing else 'is refused to us'}") from None
    except NoCredentialsError:
        raise StorageUnavailable(
            f"{_place(location)}: there are no credentials, set KYB_STORAGE__S3__KEY"
        ) from None
    except (OSError, BotoCoreError, aiohttp.ClientError) as error:
        code = _code(error)
        if code in {"412", "PreconditionFailed"}:
            raise VersionChanged from None
        raise StorageUnavailable(
            f"{_place(location)} cannot be reached or has failed ({code or type(error).__name__})"
        ) from None


def _code(error: BaseException) -> str | None:
    """S3's word for what went wrong, if it was S3 that said so."""
    cause = error.__cause__
    return str(cause.response["Error"].get("Code")) if isinstance(cause, ClientError) else None


def _place(location: Location) -> str:
    return f"s3://{location.authority}"
