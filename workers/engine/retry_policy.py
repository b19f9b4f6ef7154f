"""The retry policy: whether a job retries, waits or fails after an error of a vendor or a storage.

docs/reference/vendors.md shows the policy as a table; `tests/unit/engine/test_retry_policy.py` tests it row by row.
"""

from __future__ import annotations

from dataclasses import dataclass

from clients.errors import AuthenticationError, CircuitOpenError, RateLimited, Rejected, VendorError
from messages.errors import Code
from workers.errors import JobFailed, StorageUnavailable
from workers.ledger.records import Job

#: Exponential backoff: the first retry comes after about the base, and each further delay is twice as long, up to the
#: maximum. Jobs thus resume soon after the vendor is available again.
RETRY_BASE_SECONDS = 1.0
RETRY_MAX_SECONDS = 60.0


@dataclass(frozen=True)
class Retry:
    """Try again in `delay` seconds: an attempt has failed."""

    delay: float


@dataclass(frozen=True)
class Wait:
    """Come back in `delay` seconds: nothing was sent, so no attempt has failed."""

    delay: float


@dataclass(frozen=True)
class Fail:
    """End the job as failed; `vendor_status` is the HTTP status of the vendor's answer, if there was one."""

    failure: JobFailed
    vendor_status: int | None = None


Decision = Retry | Wait | Fail


def decide(
    error: VendorError | StorageUnavailable,
    job: Job,
    now: float,
    *,
    max_delay: float = RETRY_MAX_SECONDS,
    jitter: float = 0.0,
) -> Decision:
    """Return whether the job retries, waits or fails after `error`.

    Args:
        error: what the client or the storage raised.
        job: whose deadline and consecutive failures are considered.
        now: epoch seconds.
        max_delay: longest delay between two attempts, in seconds; a longer `Retry-After` takes precedence.
        jitter: a random number from 0 to 1, which spreads the retries of jobs that failed together.
    """
    if isinstance(error, RateLimited) and error.status is None:  # our own rate limit: nothing was sent
        return Wait(_spread(error.retry_after, jitter))
    failure = _failure(error, deadline_passed=now >= job.deadline_at)
    if failure is not None:
        return failure
    if isinstance(error, CircuitOpenError):  # nothing was sent
        return Wait(_spread(error.retry_after, jitter))
    backoff: float = min(RETRY_BASE_SECONDS * 2**job.consecutive_failures, RETRY_MAX_SECONDS, max_delay)
    return Retry(max(backoff * (0.5 + 0.5 * jitter), error.retry_after or 0.0))


def _failure(error: VendorError | StorageUnavailable, *, deadline_passed: bool) -> Fail | None:
    """Return the failure if the job must end, None if another attempt may succeed."""
    if isinstance(error, StorageUnavailable):
        message = f"the storage was unavailable until the job's deadline: {error.message}"
        return Fail(JobFailed(Code.DEADLINE_EXCEEDED, message)) if deadline_passed else None
    if isinstance(error, AuthenticationError):
        code = Code.VENDOR_AUTH
    elif isinstance(error, Rejected):
        code = Code.VENDOR_REJECTED
    elif deadline_passed:
        code = Code.VENDOR_UNAVAILABLE
    else:
        return None
    message = f"{error.vendor} {error.operation}: {error.message}"
    return Fail(JobFailed(code, message, error.detail), error.status)


def _spread(retry_after: float | None, jitter: float) -> float:
    return (retry_after or 0.0) * (1.0 + 0.1 * jitter)
