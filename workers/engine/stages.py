"""Parts of a job that are each the work of another command's job function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A part of a job that is the work of a job function of its own.

    Attributes:
        name: stands before the names of its steps: `match: start`.
        begin: the job's percentage when it begins.
        end: that when it is over.
        parts: how the names of its long steps begin, in their order: each counts for the same share.
    """

    name: str
    begin: float
    end: float
    parts: Sequence[str] = ()

    def step(self, name: str) -> str:
        """The name of its step `name` in the whole job."""
        return f"{self.name}: {name}"

    def percent(self, step: str, percent: float | None) -> float:
        """The job's percentage when the step `step` of the job has come to `percent`; 0 where it does not tell."""
        part = next((n for n, begins in enumerate(self.parts) if step.startswith(self.step(begins))), None)
        share = 0.0 if part is None else (part + (percent or 0.0) / 100) / len(self.parts)
        return self.begin + (self.end - self.begin) * share
