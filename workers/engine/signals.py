"""Exceptions by which a job function ends its turn or its job."""

from __future__ import annotations

from messages.errors import Code
from messages.events import Progress
from workers.errors import JobFailed
from workers.ledger.records import PollUrgency


class Suspended(BaseException):
    """Ends the turn. Not an `Exception`, so that no job function catches it by accident.

    Attributes:
        due_at: when the next turn is due, in epoch seconds.
        progress: of the job, if it has changed.
        polled: the step that polls the vendor, if one does.
        urgency: of the next poll.
    """

    def __init__(
        self,
        due_at: float,
        progress: Progress | None = None,
        polled: str | None = None,
        urgency: PollUrgency | None = None,
    ) -> None:
        super().__init__(due_at)
        self.due_at = due_at
        self.progress = progress
        self.polled = polled
        self.urgency = urgency


class Cancelled(BaseException):
    """Ends a job that was cancelled, between two steps. Not an `Exception`, for the reason of `Suspended`."""


class VendorJobFailed(JobFailed):
    """Ends a job whose vendor job has failed; a retry repeats the steps in `void`."""

    def __init__(self, message: str, detail: str | None, void: tuple[str, ...]) -> None:
        super().__init__(Code.VENDOR_FAILED, message, detail)
        self.void = void
