"""Commands about jobs themselves."""

from __future__ import annotations

from messages.control import CancelJob, ControlResult, RetryJob
from messages.errors import Code
from messages.events import Status
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.errors import JobFailed
from workers.ledger.job_store import NotRetryable


def cancel(command: CancelJob, _run: Run, services: Services) -> ControlResult:
    """Ask the job to end. One that has ended stays as it is: the status tells."""
    return _result(command.job_id, services.ledger.jobs.cancel(command.job_id))


def retry(command: RetryJob, run: Run, services: Services) -> ControlResult:
    """Let the job go on. One that has completed or still runs stays as it is: the status tells."""
    try:
        status = services.ledger.jobs.retry(
            command.job_id, run.job_id, services.retry_deadline, repeat_effect=command.repeat_effect
        )
    except NotRetryable as error:
        raise JobFailed(Code.INVALID_COMMAND, str(error)) from error
    return _result(command.job_id, status)


def _result(job_id: str, status: Status | None) -> ControlResult:
    if status is None:
        raise JobFailed(Code.INVALID_COMMAND, f"there is no job {job_id}")
    return ControlResult(job_id=job_id, status=status.value)
