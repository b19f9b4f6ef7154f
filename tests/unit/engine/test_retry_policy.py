"""The retry policy as a table: one row for each kind of error, as docs/reference/vendors.md has it."""

from __future__ import annotations

from dataclasses import replace
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


def verdict(decision: Decision) -> str:
    """The decision in one word: the kind, or the code of a failure."""
    return decision.failure.code if isinstance(decision, Fail) else type(decision).__name__.lower()


@pytest.mark.parametrize(
    ("raised", "before_deadline", "after_deadline"),
    [
        (error(Rejected, status=400), "vendor_rejected", "vendor_rejected"),
        (error(NotFound, status=404), "vendor_rejected", "vendor_rejected"),
        (error(Conflict, status=409), "vendor_rejected", "vendor_rejected"),
        (error(AuthenticationError, status=401), "vendor_auth", "vendor_auth"),
        (error(RateLimited, status=429, retry_after=7), "retry", "vendor_unavailable"),
        (error(RateLimited, retry_after=7), "wait", "wait"),
        (error(VendorUnavailable, status=503, retry_after=7), "retry", "vendor_unavailable"),
        (error(VendorUnavailable, status=500), "retry", "vendor_unavailable"),
        (error(VendorUnavailable), "retry", "vendor_unavailable"),
        (error(CircuitOpenError, retry_after=7), "wait", "vendor_unavailable"),
        (error(OutcomeUnknown), "retry", "vendor_unavailable"),
        (StorageUnavailable("s3: no answer"), "retry", "deadline_exceeded"),
    ],
    ids=[
        "400", "404", "409", "401", "429", "own rate limit", "503 with Retry-After", "500", "no connection",
        "circuit open", "outcome unknown", "storage unavailable",
    ],
)  # fmt: skip
def test_policy_decides_by_kind_of_error(
    raised: VendorError | StorageUnavailable, before_deadline: str, after_deadline: str
) -> None:
    assert verdict(decide(raised, JOB, NOW)) == before_deadline
    assert verdict(decide(raised, JOB, DEADLINE)) == after_deadline


def test_failure_keeps_the_vendors_status_and_message() -> None:
    decision = decide(error(Rejected, status=422, detail="no such field"), JOB, NOW)
    assert isinstance(decision, Fail)
    assert decision.vendor_status == 422
    assert (decision.failure.message, decision.failure.detail) == (
        "data8 jobs.get: it went wrong",
        "no such field",
    )


def test_retry_delay_doubles_up_to_a_minute() -> None:
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
def test_retry_comes_neither_before_retry_after_nor_after_both_bounds(
    failures: int, retry_after: float | None, max_delay: float, jitter: float
) -> None:
    raised = error(VendorUnavailable, status=503, retry_after=retry_after)
    job = replace(JOB, consecutive_failures=failures)
    decision = decide(raised, job, NOW, max_delay=max_delay, jitter=jitter)
    assert isinstance(decision, Retry)
    least = retry_after or 0.0
    assert least <= decision.delay <= max(least, max_delay, 0.0)
    assert decision.delay <= max(least, RETRY_MAX_SECONDS)


@given(retry_after=st.floats(0, 3_600), jitter=st.floats(0, 1))
def test_waits_are_spread_by_at_most_a_tenth(retry_after: float, jitter: float) -> None:
    decision = decide(error(RateLimited, retry_after=retry_after), JOB, NOW, jitter=jitter)
    assert isinstance(decision, Wait)
    assert retry_after <= decision.delay <= retry_after * 1.1 + 1e-9
