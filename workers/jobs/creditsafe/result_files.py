"""Result files of Creditsafe's services, stored as Creditsafe hands them out."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import httpx

from clients.creditsafe import Creditsafe, Execution, FileExecution, State
from clients.errors import Rejected, VendorUnavailable
from messages.base import File
from messages.errors import Code
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.errors import JobFailed
from workers.files.storage import Draft
from workers.jobs.results import publish
from workers.polling.next_poll import PollResult

#: What a result file is if its host does not say. Assumed: nothing is published but that there is a file.
RESULT_TYPE = "text/csv"
#: Bytes between two checkpoints.
PIECE = 1024 * 1024

_UNSAID = {"", "application/octet-stream", "binary/octet-stream"}
_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+-]{0,127}")
_ENDINGS = {
    "text/csv": ".csv",
    "application/gzip": ".gz",
    "application/json": ".json",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/zip": ".zip",
}


class DownloadCheckpoint(TypedDict):
    """Checkpoint of a download; all keys but `offset` and `etag` once its answer has begun, `records` at its end."""

    offset: int
    etag: str | None
    size: NotRequired[int | None]
    media_type: NotRequired[str]
    lines: NotRequired[list[int]]
    records: NotRequired[int | None]


def poll_execution(execution: FileExecution) -> PollResult:
    """One look at a run that ends with a file.

    Assumed: a run that is partially complete is done, and has a file of what it could do.
    """
    match execution.state:
        case State.RUNNING:
            return PollResult("running")
        case State.FAILED:
            return PollResult("failed", detail=reason(execution))
        case state:
            answer = {"partial": state is State.PARTIAL, "removed": execution.removed}
            return PollResult("done", answer=answer)


def reason(execution: Execution) -> str | None:
    """Why a run failed: Creditsafe's message, or else its status."""
    words = (execution.model_extra or {}).get("message")
    return words if isinstance(words, str) else execution.status


def store(run: Run, services: Services, name: str, status: Callable[[], FileExecution]) -> File:
    """Store the file of a finished run as the result `name`.

    Args:
        run: the job's run.
        services: the vendors' clients and the storage.
        name: of the result; the file's extension follows its type.
        status: reads the run from Creditsafe. Each attempt reads it again: links are short-lived and do not belong into
            the ledger.
    """

    def draft(media_type: str) -> Draft:
        return services.storage.draft(run.job_id, name + _ENDINGS.get(media_type, ""))

    stored = run.transfer(
        f"download {name}", lambda at: download(services.creditsafe, status, draft, at), kind="download"
    )
    return publish(run, draft(stored["media_type"]), name, stored["media_type"], stored["records"])


def download(
    creditsafe: Creditsafe,
    status: Callable[[], FileExecution],
    draft: Callable[[str], Draft],
    at: DownloadCheckpoint | None,
) -> Generator[DownloadCheckpoint]:
    """Fetch a file in pieces. If its host serves only the whole file, each attempt starts again.

    The checkpoints hold `offset` (bytes so far), `size`, `etag`, `media_type`, the state of `Lines` and, in the end,
    `records`: rows if it is CSV, else None.

    Raises:
        JobFailed: `vendor_failed` if there is no file.
        VendorUnavailable: the link has expired, or the connection broke: a retry gets another link.
    """
    if at is None or draft(at["media_type"]).size < at["offset"]:
        at = {"offset": 0, "etag": None}
    elif "records" in at:
        return
    if at["offset"] == 0 or at["offset"] != at["size"]:
        link = status().link
        if link is None:
            raise JobFailed(
                Code.VENDOR_FAILED, "Creditsafe says that the run is complete, but names no file of it"
            )
        try:
            with creditsafe.download(link, offset=at["offset"], etag=at["etag"]) as response:
                for at in pieces(response, draft, at):  # noqa: B020 - it goes on where it was
                    if at["etag"] is not None:
                        yield at
        except Rejected as refused:
            message = "the link to the file is refused, it has probably expired"
            raise VendorUnavailable(
                refused.vendor, refused.operation, message, status=refused.status
            ) from None
    is_csv = at["media_type"] == "text/csv"
    yield at | {"records": Lines.of(at["lines"]).records if is_csv else None}


def pieces(
    response: httpx.Response, draft: Callable[[str], Draft], at: DownloadCheckpoint
) -> Generator[DownloadCheckpoint]:
    """Write an answer to the draft; after each piece, a checkpoint. Without an `etag` it is no place to resume."""
    offset, lines = 0, Lines()
    if response.status_code == httpx.codes.PARTIAL_CONTENT:
        begin = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
        if begin is None or int(begin[1]) != at["offset"]:
            raise VendorUnavailable(
                "creditsafe", "download", "another part of the file came than was asked for"
            )
        offset, lines = at["offset"], Lines.of(at["lines"])
        size, etag, media_type = at["size"], at["etag"], at["media_type"]
    else:
        size, etag, media_type = described(response)
    at = {"offset": offset, "size": size, "etag": etag, "media_type": media_type, "lines": lines.json()}
    target = draft(media_type)
    for piece in response.iter_bytes(PIECE):
        with target.append(offset) as out:
            out.write(piece)
        lines.feed(piece)
        offset += len(piece)
        at = at | {"offset": offset, "lines": lines.json()}
        yield at
    if not offset:
        with target.append(0):
            yield at


def described(response: httpx.Response) -> tuple[int | None, str | None, str]:
    """Size, `ETag` and type of a whole file; the tag only if a part of just this file can be asked for."""
    headers = response.headers
    length = headers.get("content-length", "")
    plain = "content-encoding" not in headers
    size = int(length) if plain and length.isdecimal() else None
    etag = headers.get("etag")
    resumable = plain and headers.get("accept-ranges") == "bytes" and (etag or "").startswith('"')
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in _UNSAID or not _TYPE.fullmatch(media_type):
        media_type = RESULT_TYPE
    return size, etag if resumable else None, media_type


@dataclass
class Lines:
    """Counts the rows of a CSV as it passes, quoted line ends left out.

    Attributes:
        ended: lines that have come to their end.
        quoted: whether what comes next is inside quotes.
        begun: whether a line has begun that has not ended.
    """

    ended: int = 0
    quoted: bool = False
    begun: bool = False

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        for number, text in enumerate(data.split(b'"')):
            if number:
                self.quoted = not self.quoted
            if not self.quoted:
                self.ended += text.count(b"\n")
        if data:
            self.begun = self.quoted or not data.endswith(b"\n")

    @property
    def records(self) -> int:
        """Rows without the header."""
        return max(self.ended + self.begun - 1, 0)

    def json(self) -> list[int]:
        """As JSON values, for a checkpoint."""
        return [self.ended, self.quoted, self.begun]

    @classmethod
    def of(cls, values: list[Any]) -> Lines:
        """From what `json` gave."""
        ended, quoted, begun = values
        return cls(ended, bool(quoted), bool(begun))
