"""Examples of the commands about jobs, each with the result of a job that completed."""

from __future__ import annotations

from messages.base import Command, Result
from messages.control import CancelJob, ControlResult, RetryJob
from messages.examples.shared import BATCH

JOBS: list[tuple[Command, Result]] = [
    (CancelJob(job_id=f"{BATCH}.start_job"), ControlResult(job_id=f"{BATCH}.start_job", status="cancelled")),
    (RetryJob(job_id=f"{BATCH}.start_job"), ControlResult(job_id=f"{BATCH}.start_job", status="running")),
]
