"""Statistics of a turn: filled by `workers.engine.context`, reported once by `workers.engine.turns`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True)
class TurnOutcome:
    """The outcome of a turn.

    Attributes:
        name: `completed`, `failed` and `cancelled` end the job. After `waiting`, `retrying` and `rate_limited` another
            turn follows. A turn that was `fenced` or `interrupted` leaves the job to another worker.
        reason: the code of a failure, the error that is retried, or the vendor whose rate limit is exhausted.
        result: of a completed job.
    """

    name: Literal[
        "completed", "failed", "cancelled", "waiting", "retrying", "rate_limited", "fenced", "interrupted"
    ]
    reason: str = ""
    result: Mapping[str, Any] | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.name in {"completed", "failed", "cancelled"}


INTERRUPTED = TurnOutcome("interrupted")

#: What a transfer does with the records that it moves: a label of metrics.
TransferKind = Literal[
    "clear", "collect", "convert", "download", "export", "fetch", "inspect", "read", "take", "tally", "trace", "upload",
    "write",
]  # fmt: skip


@dataclass
class TurnStats:
    """Counts of one turn.

    Attributes:
        polls: polls of vendor jobs.
        recovered: the result for each effect in doubt: `adopted`, `not_happened` or `undecided`.
        found_done: for each vendor job that a poll found done, the seconds since the last poll that saw it running, and
            since it ended, if the vendor reports that.
        transferred: kind and records of each transfer.
    """

    polls: int = 0
    recovered: list[str] = field(default_factory=list)
    found_done: list[tuple[float, float | None]] = field(default_factory=list)
    transferred: list[tuple[TransferKind, int]] = field(default_factory=list)

    def vendor_job_done(self, now: float, last_seen_running: float, done_at: datetime | None) -> None:
        """Note that a vendor job was found done at `now` (epoch seconds), for the detection delay."""
        delay = now - done_at.timestamp() if done_at is not None else None
        self.found_done.append((now - last_seen_running, delay))
