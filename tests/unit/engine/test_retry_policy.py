"""The retry policy as a table: one row for each kind of error, the same rows as in docs/reference/vendors.md."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import (
    AuthenticationError,
    CircuitOpenError,
    Conflict,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    VendorError,
    VendorUnavailable,
)
from messages.events import Status
from workers.engine.retry_policy import RETRY_MAX_SECONDS, Decision, Fail, Retry, Wait, decide
from workers.errors import StorageUnavailable
from workers.ledger.records import Job

ROOT = Path(__file__).parents[3]
NOW, DEADLINE = 1_000.0, 2_000.0
JOB = Job(
    id="job", command="data8.start_job", queue="kyb.data8", vendor="data8", source="/tests",
    correlation_id="job", traceparent=None, tracestate=None, span=None, data={}, fingerprint="",
    status=Status.RUNNING, turn=2, begin_count=1, fence=1, due_at=None, dispatched_at=None, rate_limit=None,
    delay_since=None, delay_base=None, delay_rate=None, delay_accel=None, deadline_at=DEADLINE,
    cancel_requested=False, attempt=1, retried_by=None, consecutive_failures=0, sequence=1, progressed_at=None,
    progress=None, result=None, error=None, turns=1, polls=0, vendor_calls=1, retries=0, accepted_at=0.0,
    updated_at=0.0, ended_at=None, restored_at=None,
)  # fmt: skip


def error(kind: type[VendorError], **attributes: Any) -> VendorError:
    return kind("data8", "jobs.get", "it went wrong", **attributes)


#: For each row of the documented table: errors, and what happens before and after the job's deadline.
POLICY: dict[str, tuple[list[VendorError | StorageUnavailable], str, str]] = {
    "`Rejected`, `NotFound`, `Conflict`": (
        [error(Rejected, status=400), error(NotFound, status=404), error(Conflict, status=409)],
        "vendor_rejected", "vendor_rejected",
    ),
    "`AuthenticationError`": ([error(AuthenticationError, status=401)], "vendor_auth", "vendor_auth"),
    "`RateLimited` by our own limit": ([error(RateLimited, retry_after=7)], "waits", "deadline_exceeded"),
    "`RateLimited` by a 429": (
        [error(RateLimited, status=429, retry_after=7)], "retries", "vendor_unavailable",
    ),
    "`VendorUnavailable`, `OutcomeUnknown`": (
        [
            error(VendorUnavailable, status=503, retry_after=7), error(VendorUnavailable, status=500),
            error(VendorUnavailable), error(OutcomeUnknown),
        ],
        "retries", "vendor_unavailable",
    ),
    "`CircuitOpenError`": ([error(CircuitOpenError, retry_after=7)], "waits", "vendor_unavailable"),
    "`StorageUnavailable`": ([StorageUnavailable("s3: no answer")], "retries", "deadline_exceeded"),
}  # fmt: skip


def outcome(decision: Decision, *, deadline_passed: bool) -> str:
    """Return `retries`, `waits` or the code of the failure."""
    if isinstance(decision, Fail):
        return decision.failure.code
    if isinstance(decision, Wait):  # turns fail a job that would wait past its deadline
        return "deadline_exceeded" if deadline_passed else "waits"
    return "retries"


@pytest.mark.parametrize(("errors", "before", "after"), POLICY.values(), ids=POLICY)
def test_policy_decides_by_kind_of_error_and_deadline(
    errors: list[VendorError | StorageUnavailable], before: str, after: str
) -> None:
    for raised in errors:
        assert outcome(decide(raised, JOB, NOW), deadline_passed=False) == before
        assert outcome(decide(raised, JOB, DEADLINE), deadline_passed=True) == after


def test_policy_is_the_table_of_the_vendors_page() -> None:
    page = (ROOT / "docs" / "reference" / "vendors.md").read_text(encoding="utf-8")
    table = page.partition("| error | before the job's deadline | after it |\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[1:]]
    documented = {
        label: (documented_outcome(before), documented_outcome(before if after == "the same" else after))
        for label, before, after in rows
    }

    assert documented == {label: (before, after) for label, (_, before, after) in POLICY.items()}


def documented_outcome(cell: str) -> str:
    """Return a cell's outcome: `retries`, `waits` or the code in "fails as `code`"."""
    code = re.match(r"fails as `(\w+)`", cell)
    return code[1] if code is not None else re.split(r"[ ,]", cell)[0]


def test_failure_has_the_vendors_status_and_message_when_rejected() -> None:
    decision = decide(error(Rejected, status=422, detail="no such field"), JOB, NOW)
    assert isinstance(decision, Fail)
    assert decision.vendor_status == 422
    assert (decision.failure.message, decision.failure.detail) == (
        "data8 jobs.get: it went wrong",
        "no such field",
    )


def test_retry_delay_doubles_up_to_a_minute_when_failures_repeat() -> None:
    delays = []
    for failures in range(9):
        decision = decide(
            error(VendorUnavailable), replace(JOB, consecutive_failures=failures), NOW, jitter=1.0
        )
        assert isinstance(decision, Retry)
        delays.append(decision.delay)
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@given(
    failures=st.integers(0, 60),
    retry_after=st.none() | st.floats(0, 3_600),
    max_delay=st.floats(0.001, 300),
    jitter=st.floats(0, 1),
)
def test_retry_delay_is_within_its_bounds_when_retry_after_is_given(
    failures: int, retry_after: float | None, max_delay: float, jitter: float
) -> None:
    raised = error(VendorUnavailable, status=503, retry_after=retry_after)
    job = replace(JOB, consecutive_failures=failures)
    decision = decide(raised, job, NOW, max_delay=max_delay, jitter=jitter)
    assert isinstance(decision, Retry)
    minimum = retry_after or 0.0
    assert minimum <= decision.delay <= max(minimum, max_delay)
    assert decision.delay <= max(minimum, RETRY_MAX_SECONDS)


@given(retry_after=st.floats(0, 3_600), jitter=st.floats(0, 1))
def test_wait_is_spread_by_at_most_a_tenth(retry_after: float, jitter: float) -> None:
    decision = decide(error(RateLimited, retry_after=retry_after), JOB, NOW, jitter=jitter)
    assert isinstance(decision, Wait)
    assert retry_after <= decision.delay <= retry_after * 1.1 + 1e-9
