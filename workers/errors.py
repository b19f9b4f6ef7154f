"""How a job says that it cannot go on."""

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


class Undecided(Exception):
    """Raised by a recovery that cannot tell whether its effect happened.

    The job fails as `outcome_unknown` instead of doing the effect a second time.
    """
