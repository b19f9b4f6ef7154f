from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from clients.errors import (
    RateLimited,
)
from messages.errors import Code
from messages.events import Status
from tests.support.turn_harness import LIMITS
from tests.unit.engine.conftest import EffectVendor, HarnessFactory, error_code
from workers.engine.context import Run
from workers.engine.run_limits import RunLimits
from workers.ledger.database import LedgerUnavailable
from workers.polling.next_poll import PollResult


def test_once_does_an_effect_once_when_turns_are_replayed(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    results = iter(
        [PollResult("running", percent=10.0), PollResult("running", percent=50.0), PollResult("done", "ok")]
    )

    def job_function(run: Run) -> dict[str, Any]:
        started = run.once("start", lambda: vendor.do("a"))
        return {"started": started, "finished": run.poll("finish", lambda: next(results))}

    harness = harness_of(job_function)
    harness.arrive()
    job = harness.drive()
    assert job.status is Status.COMPLETED
    assert job.result is not None
    assert job.result["statistics"] == {"started": {"name": "a"}, "finished": "ok"}
    assert vendor.done == ["a"]
    assert (job.polls, job.turns) == (3, 4)
    assert harness.finals() == ["data8.start_job.completed"]


def test_once_repeats_an_effect_when_the_vendor_refused_it(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    vendor.refuse = RateLimited("data8", "jobs.create", "too many calls", retry_after=7.0)
    harness = harness_of(lambda run: run.once("start", lambda: vendor.do("a")))
    before = harness.ledger.database.now()
    harness.arrive()
    job = harness.job()
    assert job.due_at is not None
    assert job.due_at - before >= 7.0
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == ["a"]


def test_once_records_no_intent_when_nothing_was_sent(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    """The ledger fails while the effect waits for its rate limit, before the request is sent."""
    errors = [LedgerUnavailable("gone while the call was counted")]

    def effect() -> dict[str, Any]:
        if errors:
            raise errors.pop()
        return vendor.do("a")

    harness = harness_of(lambda run: run.once("start", effect))
    with pytest.raises(LedgerUnavailable):
        harness.arrive()
    assert harness.ledger.queries.steps("job") == []
    assert harness.turn().status is Status.COMPLETED
    assert vendor.done == ["a"]


def test_poll_fails_the_job_when_the_vendor_makes_no_progress(harness_of: HarnessFactory) -> None:
    limits = RunLimits(
        min_delay=0.001, max_delay=0.01, stall_timeout=0.0, time_slice=15, effect_settle_seconds=0
    )
    harness = harness_of(lambda run: run.poll("finish", lambda: PollResult("running", percent=99.0)), limits)
    harness.arrive()
    harness.drive()
    assert error_code(harness) == Code.STALLED


def test_generation_grows_when_a_retry_repeats_a_failed_vendor_job(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    results = iter([PollResult("failed", detail="bad postcode file"), PollResult("done", "ok")])

    def job_function(run: Run) -> dict[str, Any]:
        name = f"job {run.generation('start')}"
        run.once("prepare", lambda: vendor.do("prepared"))
        run.once("start", lambda: vendor.do(name), recover=lambda: vendor.find(name), unique=True)
        return {"answer": run.poll("finish", lambda: next(results), redo=["start"])}

    harness = harness_of(job_function)
    harness.arrive()
    failed = harness.drive()
    assert failed.error is not None
    assert (failed.error["code"], failed.error["detail"]) == (Code.VENDOR_FAILED, "bad postcode file")
    harness.control("again", "job.retry", job_id="job")
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == ["prepared", "job 1", "job 2"]


def test_run_starts_no_further_step_when_its_time_slice_is_over(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    parts = ("one", "two", "three")
    harness = harness_of(
        lambda run: {name: run.once(name, partial(vendor.do, name)) for name in parts},
        replace(LIMITS, time_slice=0.0),
    )
    harness.arrive()
    assert vendor.done == ["one"]
    harness.turn()
    assert vendor.done == ["one", "two"]
    assert harness.drive().turns == len(parts)
    assert vendor.done == [*parts]


def test_poll_calls_no_vendor_when_the_job_was_cancelled(
    harness_of: HarnessFactory,
) -> None:
    polls: list[int] = []

    def poll() -> PollResult:
        polls.append(1)
        return PollResult("running")

    harness = harness_of(lambda run: run.poll("finish", poll))
    harness.arrive()
    harness.turn()
    cancel = harness.control("c", "job.cancel", job_id="job")
    assert cancel.result == {"job_id": "job", "status": "running"}
    job = harness.job()
    assert job.due_at is not None
    assert job.due_at <= harness.ledger.database.now()
    assert harness.turn().status is Status.CANCELLED
    assert len(polls) == 1
    assert harness.finals() == ["data8.start_job.cancelled"]
