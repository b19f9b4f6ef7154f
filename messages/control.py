"""Commands about jobs themselves."""

from __future__ import annotations

from messages.base import Command, JobId, Result


class ControlResult(Result):
    """The job and its status after the command took effect."""

    job_id: str
    status: str


class CancelJob(Command):
    """End a job at its next turn, or at once if it only waits."""

    type_ = "job.cancel"
    result = ControlResult

    job_id: JobId


class RetryJob(Command):
    """Let a failed or cancelled job go on from its last recorded step.

    One that failed as `outcome_unknown` only with `repeat_effect`, a person's decision.
    """

    type_ = "job.retry"
    result = ControlResult

    job_id: JobId
    repeat_effect: bool = False


COMMANDS: tuple[type[Command], ...] = (CancelJob, RetryJob)
