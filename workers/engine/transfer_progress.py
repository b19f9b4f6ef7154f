"""What a transfer's checkpoint says of its progress."""

from __future__ import annotations

from typing import Any

from messages.events import Progress


def records_done(checkpoint: Any) -> int:
    """Return how many records the checkpoint counts as done; 0 if it does not count them."""
    done = checkpoint.get("done") if isinstance(checkpoint, dict) else None
    return done if isinstance(done, int) else 0


def checkpoint_progress(step: str, checkpoint: Any, total: int | None) -> Progress:
    """Return the progress of the step; `percent` only if the checkpoint counts records and `total` is known."""
    done = records_done(checkpoint) if isinstance(checkpoint, dict) and "done" in checkpoint else None
    # There may be more records than were counted at first.
    percent = min(round(100.0 * done / total, 1), 100.0) if done is not None and total else None
    return Progress(step=step, percent=percent, done=done, total=total)
