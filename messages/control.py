"""Commands about jobs themselves."""

from __future__ import annotations

from typing import Self

from messages.base import Command, JobId, Result
from messages.example_values import BATCH


class ControlResult(Result):
    """The job and its status after the command took effect."""

    job_id: str
    """The id of the job that the command was about."""
    status: str
    """The status of that job once the command took effect."""


class CancelJob(Command):
    """End a job at its next turn, or at once if it only waits."""

    type_ = "job.cancel"
    result = ControlResult

    job_id: JobId
    """The id of the job to cancel, which is the `id` of its command."""

    @classmethod
    def example(cls) -> tuple[Self, ControlResult]:
        """Return an example of the command and of its result."""
        job_id = f"{BATCH}.start_job"
        return cls(job_id=job_id), ControlResult(job_id=job_id, status="cancelled")


class RetryJob(Command):
    """Let a failed or cancelled job go on from its last recorded step.

    One that failed as `outcome_unknown` only with `repeat_effect`, a person's decision.
    """

    type_ = "job.retry"
    result = ControlResult

    job_id: JobId
    """The id of the job to continue, which is the `id` of its command."""
    repeat_effect: bool = False
    """Whether a job that failed as `outcome_unknown` may repeat the request whose answer was lost."""

    @classmethod
    def example(cls) -> tuple[Self, ControlResult]:
        """Return an example of the command and of its result."""
        job_id = f"{BATCH}.start_job"
        return cls(job_id=job_id), ControlResult(job_id=job_id, status="running")


COMMANDS: tuple[type[Command], ...] = (CancelJob, RetryJob)
