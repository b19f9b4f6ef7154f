"""Parts of a job that are each the work of another command's job function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from messages.events import Progress


@dataclass(frozen=True)
class Stage:
    """A part of a job that another command's job function does.

    Attributes:
        name: prefix of the names of its steps: `match: start`.
        begin: the job's percentage when the stage begins.
        end: the job's percentage when the stage is over.
        parts: how the names of its long steps begin, in their order; each counts for the same share.
    """

    name: str
    begin: float
    end: float
    parts: Sequence[str] = ()

    def step(self, name: str) -> str:
        """Return the name of the stage's step `name` within the job."""
        return f"{self.name}: {name}"

    def percent(self, step: str, percent: float | None) -> float:
        """Return the job's percentage when its step `step` is at `percent`; a step without percentage counts as 0."""
        part = next((n for n, begins in enumerate(self.parts) if step.startswith(self.step(begins))), None)
        share = 0.0 if part is None else (part + (percent or 0.0) / 100) / len(self.parts)
        return self.begin + (self.end - self.begin) * share

    def job_progress(self, progress: Progress, before: float) -> Progress:
        """Return the step's progress with the job's percentage, which is never less than `before`."""
        percent = round(self.percent(progress.step, progress.percent), 1)
        return progress.model_copy(update={"percent": max(before, percent)})
