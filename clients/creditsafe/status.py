"""The statuses of service runs: unpublished words, classified in one place."""

from __future__ import annotations

import re
from enum import StrEnum

_DONE = {"completed", "complete", "success", "succeeded", "finished", "done", "matched", "enriched"}
_PARTIAL = {"partiallycompleted"}
_FAILED = {"failed", "failure", "rejected", "cancelled", "canceled", "insufficientcredits"}


class State(StrEnum):
    """The status of a service run."""

    RUNNING = "running"
    DONE = "done"
    PARTIAL = "partial"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether the status is final."""
        return self is not State.RUNNING


def state_of(status: str | None) -> State:
    """Classify a status, whatever its case and punctuation: `COMPLETED`, `partially_completed`, `uploadError`.

    The words are not published: these are the ones of DataStudio's relatives. An unknown word means that
    the run goes on; the job's deadline and stall limits bound how long that is believed.
    """
    word = re.sub(r"[^a-z]", "", (status or "").lower())
    if word in _DONE:
        return State.DONE
    if word in _PARTIAL:
        return State.PARTIAL
    if word in _FAILED or word.endswith("error"):
        return State.FAILED
    return State.RUNNING
