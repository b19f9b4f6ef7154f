"""What ends a turn from within a job function."""

from __future__ import annotations

from messages.errors import Code
from messages.events import Progress
from workers.errors import JobFailed
from workers.ledger.records import PollUrgency


class Suspended(BaseException):
    """Ends the turn: the next one is due at `due_at`. Not an `Exception`, so that no job swallows it."""

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
    """Ends the job between two steps, as somebody asked. Not an `Exception`, as `Suspended`."""


class VendorJobFailed(JobFailed):
    """The vendor's own job ended as failed; the steps in `void` are done anew by a retry."""

    def __init__(self, message: str, detail: str | None, void: tuple[str, ...]) -> None:
        super().__init__(Code.VENDOR_FAILED, message, detail)
        self.void = void
