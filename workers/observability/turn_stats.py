"""What happened in a turn, for whoever counts: filled by `workers.engine.context`, told once by `workers.engine.turns`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class TurnOutcome:
    """How a turn ended.

    Attributes:
        name: `completed`, `failed` or `cancelled` end the job; a turn that is `waiting`, `retrying` or out of
            `budget` is followed by another; one that was `fenced` or `interrupted` left that to somebody else.
        reason: the code of a failure, what is retried, or whose budget.
        result: of a completed job.
    """

    name: Literal[
        "completed", "failed", "cancelled", "waiting", "retrying", "budget", "fenced", "interrupted"
    ]
    reason: str = ""
    result: Mapping[str, Any] | None = None

    @property
    def is_terminal(self) -> bool:
        """Whether the job ended with it."""
        return self.name in {"completed", "failed", "cancelled"}


INTERRUPTED = TurnOutcome("interrupted")


@dataclass
class TurnStats:
    """What a turn did.

    Attributes:
        polls: looks at the vendor's job.
        recovered: what was found of each effect in doubt: `adopted`, `not_happened` or `undecided`.
        found_done: for each vendor's job that was found done, the seconds since the last look that saw it
            running, and those since it was done, if the vendor says when that was.
        moved: step and records of each transfer.
    """

    polls: int = 0
    recovered: list[str] = field(default_factory=list)
    found_done: list[tuple[float, float | None]] = field(default_factory=list)
    moved: list[tuple[str, int]] = field(default_factory=list)
