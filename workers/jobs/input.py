"""One input of a job, as its function sees it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from messages.base import File
from messages.errors import Code
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.errors import JobFailed
from workers.files.errors import InputError, InputNotAllowed, InputNotFound
from workers.files.formats.convert import CheckHeader, CheckRow, ReadOptions, convert
from workers.files.formats.sniff import DetectedFormat, sniff
from workers.files.storage import Draft, DraftLost, Storage, file_name
from workers.jobs.results import CSV, publish


def input_failure(error: InputError) -> JobFailed:
    """Return the job's failure because of an input, with the code that its event carries."""
    if isinstance(error, InputNotAllowed):
        code = Code.INPUT_NOT_ALLOWED
    elif isinstance(error, InputNotFound):
        code = Code.INPUT_NOT_FOUND
    else:
        code = Code.INPUT_INVALID
    return JobFailed(code, error.message, error.detail)


class InputTable:
    """An input that can be read as CSV in UTF-8 with commas, and a header row.

    Attributes:
        uri: of the input itself, for messages.
        rejected: rows that were left out.
    """

    def __init__(
        self,
        uri: str,
        opened: Callable[[], BinaryIO],
        rejected: int = 0,
        copy: Draft | None = None,
        rejects: Draft | None = None,
    ) -> None:
        self.uri = uri
        self.rejected = rejected
        self._opened = opened
        self._copy = copy
        self._rejects = rejects

    @property
    def filename(self) -> str:
        """The name to send the table under."""
        name = file_name(self.uri)
        return name if self._copy is None else f"{name.partition('.')[0]}.csv"

    def open(self) -> BinaryIO:
        """The table, to be read and closed by the caller; seekable, the same bytes each time.

        Raises:
            JobFailed: as `Storage.open`, and `internal_error` if the job's copy is gone.
        """
        try:
            return self._opened()
        except DraftLost as error:
            raise JobFailed(
                Code.INTERNAL_ERROR,
                f"the job's own copy of {file_name(self.uri)} is gone; send the command anew with another id",
            ) from error

    def publish_rejects(self, run: Run, name: str = "rejects") -> File | None:
        """The rows that were left out as the job's result `name`; None if there are none.

        A table for people: `line`, `column`, `reason`, `row`.
        """
        if not self.rejected or self._rejects is None:
            return None
        return publish(run, self._rejects, name, CSV, self.rejected)

    def discard(self, run: Run, name: str = "copy") -> None:
        """Remove the job's copy: nothing of the job reads it any more."""
        if self._copy is not None:
            copy = self._copy

            def remove() -> bool:
                copy.remove()
                return True

            run.once(f"discard {name}", remove, recover=repeatable)


def intake(
    run: Run,
    storage: Storage,
    uri: str,
    *,
    name: str = "file",
    strict: bool = True,
    check_header: CheckHeader | None = None,
    check_row: CheckRow | None = None,
    repeated_headers: bool = False,
) -> InputTable:
    """Take in an input of any kind that `docs/reference/files.md` lists.

    Plain CSV is read where it is, and not looked at any further if it is to be `strict`: its reader does that.
    Anything else becomes a copy in the job's folder, never published; a job that fails keeps it for a retry.
    What another stage of the job has written is read as it is.

    Args:
        run: the job's turn.
        storage: where the input is and the copy goes.
        uri: of the input.
        name: of this input in the job, for its steps and files.
        strict: whether the first bad row ends the job; otherwise bad rows are left out and listed.
        check_header: what the reader demands of the header.
        check_row: what the reader demands of a row beyond its number of cells.
        repeated_headers: whether two columns may have one name.

    Raises:
        JobFailed: `input_not_found`; `input_invalid`, naming file, line or row, and column.
    """
    own_table = storage.own_table(uri)
    if own_table is not None:
        return InputTable(uri, own_table)
    copy = storage.draft(run.job_id, f"{name}.copy")
    rejects = storage.draft(run.job_id, "rejects.csv" if name == "file" else f"rejects.{name}.csv")

    def look() -> dict[str, Any]:
        with storage.open(uri) as stream:
            return {"found": sniff(stream, uri).json(), "bytes": stream.seek(0, os.SEEK_END)}

    seen = run.once(f"look at {name}", look, recover=repeatable)
    found = DetectedFormat.of(seen["found"])
    if found.plain and strict:
        return InputTable(uri, partial(storage.open, uri))
    wanted = ReadOptions(uri, strict, check_header, check_row, repeated_headers, seen["bytes"])
    try:
        converted = run.transfer(
            f"take in {name}", partial(convert, storage, found, wanted, copy, rejects), kind="take"
        )
    except (InputError, JobFailed):  # a retry cannot use them: the file must be corrected
        copy.remove()
        rejects.remove()
        raise
    return InputTable(uri, copy.open, converted["rejected"], copy, rejects)
