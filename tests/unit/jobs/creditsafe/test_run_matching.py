"""Tests of `creditsafe.run_matching` against Creditsafe's simulator, turn by turn."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from clients.creditsafe import MatchingExecution, NewRecord
from messages.errors import Code
from messages.events import Status
from sandbox.core import Fault
from tests.support.clock import Clock
from tests.support.sandbox_harness import SandboxHarness, failure
from workers.jobs.creditsafe import run_matching
from workers.jobs.creditsafe.run_matching import matching, summary_of


@pytest.fixture
def portfolio_id(harness: SandboxHarness) -> str:
    made = harness.creditsafe.portfolios.create("Suppliers").portfolio_id
    names = ["Tesco PLC", "TESCO plc", "Nobody & Sons"]
    harness.creditsafe.records.create(made, [NewRecord(name=name) for name in names])
    return made


def test_matching_ends_with_its_summary(harness: SandboxHarness, portfolio_id: str) -> None:
    job = harness.run("creditsafe.run_matching", portfolio_id=portfolio_id)
    assert job.result is not None, job.error
    assert job.result["summary"] == {
        "total": 3,
        "matched": 2,
        "unmatched": 1,
        "totalRows": 3,
        "manualMatched": 0,
        "duplicates": 1,
    }
    execution = harness.creditsafe.matching.status(portfolio_id, job.result["execution_id"])
    assert execution.status == "COMPLETED"
    assert harness.effects("creditsafe.matching.start") == 1


def test_a_lost_start_is_never_repeated_without_a_persons_word(
    harness: SandboxHarness, portfolio_id: str
) -> None:
    harness.fault("creditsafe.matching.start", Fault("lost_after"))
    job = harness.run("creditsafe.run_matching", portfolio_id=portfolio_id)
    failure(job, Code.OUTCOME_UNKNOWN)
    assert harness.effects("creditsafe.matching.start") == 1
    harness.run("job.retry", id="retry", job_id="job", repeat_effect=True)
    assert harness.drive().status is Status.COMPLETED
    assert harness.effects("creditsafe.matching.start") == 2


def test_a_failed_run_is_started_anew_by_a_retry(harness: SandboxHarness) -> None:
    portfolio_id = harness.creditsafe.portfolios.create("Suppliers [fails once]").portfolio_id
    job = harness.run("creditsafe.run_matching", portfolio_id=portfolio_id)
    failure(job, Code.VENDOR_FAILED)
    assert job.error is not None
    assert job.error["detail"] == "FAILED"
    harness.run("job.retry", id="retry", job_id="job")
    job = harness.drive()
    assert job.result is not None, job.error
    assert job.result["summary"]["total"] == 0


def test_a_run_that_is_under_way_is_waited_for(harness: SandboxHarness, portfolio_id: str) -> None:
    clock = harness.state.clock = Clock()
    harness.state.job_seconds = 10
    harness.arrive("creditsafe.run_matching", portfolio_id=portfolio_id)
    for _ in range(3):
        harness.turn()
    assert harness.job().status is Status.RUNNING
    clock.now += 10
    assert harness.drive().status is Status.COMPLETED


def test_a_second_run_at_once_is_the_vendors_refusal(harness: SandboxHarness, portfolio_id: str) -> None:
    harness.state.job_seconds = 1_000
    harness.creditsafe.matching.start(portfolio_id)
    job = harness.run("creditsafe.run_matching", portfolio_id=portfolio_id)
    failure(job, Code.VENDOR_REJECTED)
    assert job.error is not None
    assert (job.error["vendor_status"], "in progress" in str(job.error["detail"])) == (409, True)


def test_records_are_counted_when_there_is_no_summary(
    harness: SandboxHarness, portfolio_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_matching, "PAGE_SIZE", 2)
    monkeypatch.setattr("sandbox.creditsafe.store.Store.match", without_summary())
    job = harness.run("creditsafe.run_matching", portfolio_id=portfolio_id)
    assert job.result is not None, job.error
    assert job.result["summary"] == {"total": 3, "matched": 2, "unmatched": 1}


def without_summary() -> Any:
    """Return the simulator's matching as of a vendor that reports no summary."""
    from sandbox.creditsafe.store import Store  # noqa: PLC0415 - the original, before it is replaced

    original = Store.match

    def match(store: Store, portfolio: str, find: Any) -> dict[str, int]:
        original(store, portfolio, find)
        return {}

    return match


@pytest.mark.parametrize(
    ("reported", "summary"),
    [
        ({"totalRows": 5, "matched": 3, "unmatched": 2}, (5, 3, 2)),
        ({"total": 5, "matched": 3}, (5, 3, 2)),
        ({"matched": 3, "unmatched": 2}, (5, 3, 2)),
        ({"totalRows": 5, "unmatched": 2}, None),
        ({"totalRows": "5", "matched": 3}, None),
        ({}, None),
    ],
)
def test_summaries_are_completed_where_they_can_be(
    reported: dict[str, Any], summary: tuple[int, int, int] | None
) -> None:
    found = summary_of(reported)
    assert (None if found is None else (found.total, found.matched, found.unmatched)) == summary


def test_states_of_matching() -> None:
    states = Counter(
        matching(MatchingExecution(status=status)).state
        for status in ("PENDING", "COMPLETED", "partiallyCompleted", "FAILED", "matchingError", None)
    )
    assert states == {"running": 2, "done": 2, "failed": 2}
