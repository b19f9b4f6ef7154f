from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients.data8 import Data8
from clients.errors import (
    AuthenticationError,
    CircuitOpenError,
    Rejected,
    VendorUnavailable,
)
from clients.transport import correlation
from messages.errors import Code
from messages.events import Status
from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME
from tests.support.turn_harness import TurnHarness, command
from tests.unit.engine.conftest import EffectVendor, HarnessFactory, error_code
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.run_limits import RunLimits
from workers.errors import JobFailed, StorageUnavailable
from workers.ledger.claim import Claim
from workers.ledger.database import LedgerUnavailable
from workers.polling.next_poll import PollResult


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            Rejected("data8", "jobs.create", "refused", status=400, detail="no such workflow"),
            Code.VENDOR_REJECTED,
        ),
        (AuthenticationError("data8", "token", "credentials refused", status=401), Code.VENDOR_AUTH),
        (JobFailed(Code.INPUT_INVALID, "clients.csv, line 3: too few cells"), Code.INPUT_INVALID),
        (ZeroDivisionError(), Code.INTERNAL_ERROR),
    ],
)
def test_turn_fails_the_job_when_the_error_is_final(
    harness_of: HarnessFactory, vendor: EffectVendor, error: Exception, code: Code
) -> None:
    vendor.refuse = error
    harness = harness_of(lambda run: run.once("start", lambda: vendor.do("a"), recover=repeatable))
    harness.arrive()
    assert harness.job().status is Status.FAILED
    assert error_code(harness) == code
    assert harness.finals() == ["data8.start_job.failed"]


def test_turn_counts_no_failure_when_the_circuit_is_open(harness_of: HarnessFactory) -> None:
    """However long the vendor was unavailable, the next turn is due when the circuit admits a probe."""
    limits = RunLimits(min_delay=1, max_delay=300, stall_timeout=60, time_slice=15, effect_settle_seconds=0)
    outage: list[Exception] = [CircuitOpenError("data8", "jobs.get", "not called", retry_after=7.0)] * 30
    outage += [VendorUnavailable("data8", "jobs.get", "cannot be reached")] * 12

    def poll() -> dict[str, Any]:
        raise outage.pop()

    harness = harness_of(lambda run: poll(), limits)
    harness.arrive()
    for _ in range(11):
        job = harness.turn()
    assert (job.consecutive_failures, job.retries) == (12, 12)
    assert job.due_at is not None
    assert job.due_at - harness.ledger.database.now() <= 60
    for _ in range(30):
        before = harness.ledger.database.now()
        job = harness.turn()
        assert job.due_at is not None
        assert before + 6.5 < job.due_at <= harness.ledger.database.now() + 7.7
    assert (job.consecutive_failures, job.retries) == (12, 12)


def test_turn_fails_the_job_when_the_vendor_is_unavailable_at_the_deadline(
    harness_of: HarnessFactory,
) -> None:
    def job_function(run: Run) -> dict[str, Any]:
        raise VendorUnavailable("data8", "jobs.get", "cannot be reached")

    harness = harness_of(job_function, deadline=0.0)
    harness.arrive()
    assert error_code(harness) == Code.VENDOR_UNAVAILABLE


def test_turn_fails_the_job_when_it_still_waits_at_the_deadline(harness_of: HarnessFactory) -> None:
    harness = harness_of(lambda run: run.poll("finish", lambda: PollResult("running")), deadline=0.0)
    harness.arrive()
    assert harness.drive().status is Status.FAILED
    assert error_code(harness) == Code.DEADLINE_EXCEEDED


def test_turn_fails_the_job_when_the_storage_is_unavailable_at_the_deadline(
    harness_of: HarnessFactory,
) -> None:
    def job_function(_run: Run) -> dict[str, Any]:
        raise StorageUnavailable("s3://bucket cannot be reached")

    harness = harness_of(job_function, deadline=0.0)
    harness.arrive()
    assert error_code(harness) == Code.DEADLINE_EXCEEDED
    assert harness.job().error is not None
    assert "s3://bucket" in str(harness.job().error)


def test_cancel_and_retry_fail_when_the_job_is_unknown(harness_of: HarnessFactory) -> None:
    harness = harness_of(lambda run: {})
    for id_, type_ in (("c", "job.cancel"), ("r", "job.retry")):
        error = harness.control(id_, type_, job_id="nobody").error
        assert error is not None
        assert (error["code"], error["message"]) == (Code.INVALID_COMMAND, "there is no job nobody")


def test_turns_change_nothing_when_messages_are_old_or_repeated(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    def job_function(run: Run) -> dict[str, Any]:
        run.once("start", lambda: vendor.do("a"))
        return {"answer": run.poll("finish", lambda: PollResult("done", "ok"))}

    harness = harness_of(job_function)
    harness.arrive()
    harness.turns.run_turn("job", 7)
    harness.arrive()
    assert harness.job().turn == 2
    harness.turns.run_turn("job", 2)
    harness.turns.run_turn("job", 2)
    harness.turns.run_turn("job", 1)
    assert harness.finals() == ["data8.start_job.completed"]
    assert vendor.done == ["a"]


def test_repeated_command_is_answered_again_when_its_event_is_being_published(
    harness_of: HarnessFactory,
) -> None:
    harness = harness_of(lambda _: {})
    harness.arrive()
    with harness.database.write() as connection:
        events = harness.ledger.dispatch.unpublished_events(connection, 10)
    harness.arrive()  # the broker has the events, the ledger has not recorded that yet
    with harness.database.write() as connection:
        harness.ledger.dispatch.mark_published(connection, events)
        republished = harness.ledger.dispatch.unpublished_events(connection, 10)

    assert [(event.id, event.body) for event in republished] == [(events[-1].id, events[-1].body)]
    assert harness.finals() == ["data8.start_job.completed"]


def test_turn_is_rescheduled_when_another_worker_has_the_job_lock(harness_of: HarnessFactory) -> None:
    harness = harness_of(lambda run: {"answer": run.poll("finish", lambda: PollResult("done", "ok"))})
    harness.arrive()
    with harness.ledger.jobs.lock("job"):
        harness.turn()
    job = harness.job()
    assert (job.turn, job.status) == (2, Status.RUNNING)
    assert job.due_at is not None
    assert harness.drive().status is Status.COMPLETED


def test_worker_cannot_write_when_it_has_lost_the_job_lock(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    harness: TurnHarness

    def job_function(run: Run) -> dict[str, Any]:
        if not vendor.done:
            vendor.done.append("the first worker is slow")
            with harness.database.connect() as connection:
                assert Claim.take(harness.database, connection, "job", 1) is not None
        return run.once("start", lambda: vendor.do("a"))

    harness = harness_of(job_function)
    harness.arrive()
    assert harness.job().status is Status.ACCEPTED
    assert "a" not in vendor.done
    assert harness.turn().status is Status.COMPLETED


def test_job_fails_when_its_turn_kills_worker_after_worker(harness_of: HarnessFactory) -> None:
    class Killed(BaseException):
        pass

    def job_function(run: Run) -> dict[str, Any]:
        raise Killed

    harness = harness_of(job_function)
    with pytest.raises(Killed):
        harness.arrive()
    for _ in range(4):
        with pytest.raises(Killed):
            harness.turn()
    assert harness.turn().status is Status.FAILED
    assert error_code(harness) == Code.INTERNAL_ERROR


def test_begin_count_does_not_grow_when_the_ledger_was_unavailable(
    harness_of: HarnessFactory,
) -> None:
    errors = [LedgerUnavailable("gone")] * 10

    def job_function(run: Run) -> dict[str, Any]:
        if errors:
            raise errors.pop()
        return {}

    harness = harness_of(job_function)
    with pytest.raises(LedgerUnavailable):
        harness.turns.receive_command(command("job"))
    while errors:
        with pytest.raises(LedgerUnavailable):
            harness.turns.run_turn("job", 1, redelivered=True)
    assert harness.job().begin_count == 1
    harness.turns.run_turn("job", 1, redelivered=True)
    assert harness.job().status is Status.COMPLETED


def test_vendor_calls_carry_the_jobs_correlation_id_in_every_turn(
    sandbox: Sandbox, sqlite_url: str, tmp_path: Path
) -> None:
    sent: list[str | None] = []
    http = httpx.Client(
        event_hooks={"request": [lambda request: sent.append(request.headers.get("X-Correlation-ID"))]}
    )
    data8 = Data8.connect(
        f"{sandbox.url}/data8", f"{sandbox.url}/data8/connect/token", USERNAME, PASSWORD, http=http
    )

    def job_function(run: Run) -> dict[str, bool]:
        def poll() -> PollResult:
            data8.jobs.list()
            return PollResult("done", answer=True)

        run.once("start", lambda: len(list(data8.jobs.list())))
        return {"finished": run.poll("finish", poll)}

    harness = TurnHarness(sqlite_url, tmp_path, job_function)
    harness.turns.receive_command(
        json.dumps(json.loads(command("a")) | {"correlationid": "Aufträge 7"}).encode()
    )
    harness.drive("a")
    assert sent == ["Auftr%C3%A4ge%207"] * 3  # the token, and a call in each turn
    harness.arrive("b")
    harness.drive("b")
    assert sent[3:] == ["b"] * 2
    assert correlation.get() is None
    data8.close()
    harness.database.close()
