"""Errors by which jobs and messages end."""

from __future__ import annotations

from messages.errors import Code


class JobFailed(Exception):
    """Ends the job: it becomes `failed` with this code.

    Attributes:
        code: the error code of the `failed` event.
        message: what is wrong and what to do about it, in one sentence, without any record's contents.
        detail: more of the same, or the vendor's own words.
    """

    def __init__(self, code: Code, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail


class StorageUnavailable(Exception):
    """Inputs or results cannot be reached now; whether to try again or give up is decided in `workers.engine.turns`.

    Attributes:
        message: which storage, and what happened; no credentials, no contents.
        retry_after: seconds to wait before the next attempt, if known.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class Undecided(Exception):
    """Raised by a recovery that cannot tell whether its effect happened.

    The job fails as `outcome_unknown` instead of doing the effect a second time.
    """


class Reject(Exception):
    """Dead-letters the message: it is no valid command. The text is the reason."""


class Requeue(Exception):
    """Returns the message to its queue, to be delivered again."""
