from __future__ import annotations

from typing import Any

from clients.errors import (
    OutcomeUnknown,
)
from clients.transport import Observation, before_effect
from messages.errors import Code
from messages.events import Status
from tests.unit.engine.conftest import EffectVendor, HarnessFactory, error_code
from workers.engine.context import Run
from workers.engine.run_limits import RunLimits
from workers.engine.turn_context import count_call
from workers.errors import StorageUnavailable, Undecided


def test_recovery_adopts_an_effect_when_its_answer_was_lost(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    vendor.lose_answers = 1
    harness = harness_of(
        lambda run: run.once("start", lambda: vendor.do("a"), recover=lambda: vendor.find("a"))
    )
    harness.arrive()
    assert harness.job().status is Status.RUNNING
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == ["a"]
    assert harness.job().retries == 1


def test_effect_is_not_repeated_when_it_has_no_recovery(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    vendor.lose_answers = 1
    harness = harness_of(lambda run: run.once("start", lambda: vendor.do("a")))
    harness.arrive()
    assert harness.drive().status is Status.FAILED
    assert error_code(harness) == Code.OUTCOME_UNKNOWN
    assert vendor.done == ["a"]
    # a retry repeats the effect only with `repeat_effect`
    refused = harness.control("r1", "job.retry", job_id="job")
    assert refused.status is Status.FAILED
    assert harness.control("r2", "job.retry", job_id="job", repeat_effect=True).status is Status.COMPLETED
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == ["a", "a"]
    assert harness.finals() == ["data8.start_job.failed", "data8.start_job.completed"]


def test_recovery_fails_the_job_when_it_is_undecided(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    vendor.lose_answers = 1

    def cannot_tell() -> dict[str, Any] | None:
        raise Undecided("the count is neither the one nor the other")

    harness = harness_of(lambda run: run.once("start", lambda: vendor.do("a"), recover=cannot_tell))
    harness.arrive()
    harness.drive()
    assert error_code(harness) == Code.OUTCOME_UNKNOWN


def test_recovery_trusts_not_found_only_when_no_request_can_be_in_flight(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    limits = RunLimits(
        min_delay=0.001, max_delay=0.01, stall_timeout=60, time_slice=15, effect_settle_seconds=3600
    )
    findable: list[dict[str, Any]] = []

    def job_function(run: Run) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            before_effect.get()()
            vendor.done.append("a")
            raise OutcomeUnknown("data8", "x", "lost")

        return run.once("start", effect, recover=lambda: findable[0] if findable else None)

    harness = harness_of(job_function, limits, deadline=7200.0)
    harness.arrive()
    waiting = harness.turn()
    assert waiting.status is Status.RUNNING
    assert waiting.due_at is not None
    assert waiting.due_at - harness.ledger.database.now() > 3000
    assert vendor.done == ["a"]
    findable.append({"late": True})
    assert harness.turn().status is Status.COMPLETED
    assert vendor.done == ["a"]


def test_recovery_adopts_an_effect_when_the_storage_broke_while_it_was_sent(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    def send() -> dict[str, Any]:
        vendor.do("a")
        count_call(Observation("data8", "jobs.create", None, 0.1))
        raise StorageUnavailable("s3://bucket cannot be reached")

    harness = harness_of(lambda run: run.once("start", send, recover=lambda: vendor.find("a")))
    harness.arrive()
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == ["a"]
