"""Errors that end jobs or settle messages."""

from __future__ import annotations

from messages.errors import Code


class JobFailed(Exception):
    """Ends the job: it becomes `failed` with this code.

    Attributes:
        code: the error code of the `failed` event.
        message: the cause and the remedy in one sentence, without contents of records.
        detail: more about the cause, or the vendor's message.
    """

    def __init__(self, code: Code, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.detail = detail


class StorageUnavailable(Exception):
    """Inputs or results cannot be reached at the moment. `workers.engine.retry_policy` decides whether to retry.

    Attributes:
        message: the storage and the cause, without credentials and contents.
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
