"""Turns: what happens between a message and its acknowledgement.

    command ─▶ valid? ─▶ record the job ─▶ hold ─▶ take the turn ─▶ run the job's function
                                                                     │ suspended ─▶ timer
                                                                     │ returned  ─▶ completed
                                                                     └ raised    ─▶ retry, or failed

Nothing here acknowledges anything: a message is settled when these methods return, `Reject` dead-letters it,
and `LedgerUnavailable` means that nothing can be done until the ledger is back.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from clients.errors import RateLimited, VendorError
from messages.base import Result, dump
from messages.catalogue import COMMANDS
from messages.envelope import InvalidCommand
from messages.errors import Code, Error
from messages.events import Outcome
from workers.engine.admission import Admission
from workers.engine.context import Run
from workers.engine.history_cache import HistoryCache
from workers.engine.registry import JobFunction, Services
from workers.engine.retry_policy import RETRY_BASE_SECONDS, Fail, Retry, Wait, decide
from workers.engine.run_limits import RunLimits
from workers.engine.signals import Cancelled, Suspended, VendorJobFailed
from workers.engine.turn_context import bind_turn
from workers.errors import JobFailed, Reject, StorageUnavailable
from workers.extras import MissingExtra
from workers.files.errors import InputError
from workers.files.storage import DraftLost
from workers.jobs.input import input_failure
from workers.ledger.claim import Claim, Fenced, TurnDeferred
from workers.ledger.database import LedgerUnavailable
from workers.ledger.job_store import Acceptance, JobLock, JobStore
from workers.ledger.records import encode
from workers.observability import metrics, tracing
from workers.observability.turn_stats import INTERRUPTED, TurnOutcome

log = structlog.get_logger("kyb.turn")

#: A turn that was begun so often without getting anywhere kills its workers: the job ends.
BEGIN_LIMIT = 5
#: A turn that was begun more often than this without getting anywhere may be what kills its workers. Of such
#: turns one process runs one at a time, so that the innocent among them are not counted with the guilty.
SUSPECT_AFTER = 2
#: A turn that another worker holds is looked at again after so many seconds.
LOCKED_RETRY_SECONDS = 5.0


class Turns:
    """Runs turns.

    Args:
        store: where jobs are locked, claimed and rescheduled.
        jobs: the function of every command.
        services: what the functions work with.
        limits: bounds of every run, in seconds.
        deadline: seconds that a job may take in all.
        stopping: whether the process is asked to stop: transfers then end their slice.
    """

    def __init__(
        self,
        store: JobStore,
        jobs: Mapping[str, JobFunction],
        services: Services,
        limits: RunLimits,
        deadline: float,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._services = services
        self._limits = limits
        self._admission = Admission(store, services.storage, deadline)
        self._stopping = stopping
        self._histories = HistoryCache()
        self._suspects = threading.Lock()

    def arrive(self, body: bytes, queue: str | None = None, *, again: bool = False) -> None:
        """A command came in: record it and take its first turn, unless that is to begin later.

        Args:
            body: the CloudEvent.
            queue: where it was found; a command that belongs elsewhere is rejected.
            again: as for `take`.

        Raises:
            Reject: it is not valid; its `rejected` event is in the outbox.
        """
        try:
            request, accepted, begun = self._admission.accept(body, queue, handed=True)
        except InvalidCommand as invalid:
            metrics.received(invalid.type, invalid.code.value)
            log.warning(
                "rejected",
                job_id=invalid.id,
                command=invalid.type,
                code=invalid.code,
                error=str(invalid)[:500],
            )
            raise Reject(f"{invalid.code}: {invalid}"[:500]) from None
        metrics.received(request.type, accepted.value)
        if begun is not None:
            self._hold(request.id, 1, lambda hold, _: hold.begun(begun))
        elif accepted not in {Acceptance.DUPLICATE_ENDED, Acceptance.SCHEDULED}:
            self.take(request.id, 1, again=again)

    def take(self, job_id: str, turn: int, *, again: bool = False) -> None:
        """Run one turn of a job, unless it was run before. Raises `LedgerUnavailable`.

        `again`: the caller tries once more after `LedgerUnavailable`. The process has outlived that, so the turn is
        not suspected of killing it.
        """
        self._hold(job_id, turn, lambda hold, admit: hold.take(turn, admit, again=again))

    def _hold(
        self, job_id: str, turn: int, take: Callable[[JobLock, Callable[[int], bool]], Claim | None]
    ) -> None:
        """Run what `take` takes while nobody else can run a turn of the job."""
        with self._store.lock(job_id) as hold:
            if hold is None:
                self._store.reschedule(job_id, turn, LOCKED_RETRY_SECONDS)
                return
            try:
                with self._isolation() as admit:
                    claim = take(hold, admit)
                    if claim is not None:
                        self._observed(claim)
            except TurnDeferred:
                self._store.reschedule(job_id, turn, LOCKED_RETRY_SECONDS)

    @contextmanager
    def _isolation(self) -> Iterator[Callable[[int], bool]]:
        """Gives what says whether a turn begun so often may run now: of suspects, one at a time."""
        alone = False

        def admit(takes: int) -> bool:
            nonlocal alone
            alone = takes > SUSPECT_AFTER and self._suspects.acquire(blocking=False)
            return alone or takes <= SUSPECT_AFTER

        try:
            yield admit
        finally:
            if alone:
                self._suspects.release()

    def _observed(self, claim: Claim) -> None:
        """Run the turn, and tell once how it ended to whoever counts and traces."""
        job, began, outcome = claim.job, time.monotonic(), INTERRUPTED
        run = Run(claim, self._limits, self._stopping, read_history=self._histories.of)
        with tracing.turn(job) as span, bind_turn(claim):
            try:
                outcome = self._run(claim, run)
            except Fenced:
                outcome = TurnOutcome("fenced")
                log.warning("turn fenced", step=run.step)
            finally:
                lasted = time.time() - job.accepted_at
                metrics.turn_ended(job.command, outcome, time.monotonic() - began, run.stats, lasted)
                span.ended(outcome, run.step)

    def _run(self, claim: Claim, run: Run) -> TurnOutcome:
        job = claim.job
        try:
            result = dump(self._play(claim, run))
            claim.finish(Outcome.COMPLETED, result=result)
            log.info("completed", turns=job.turns)
            outcome = TurnOutcome("completed", result=result)
        except Suspended as suspended:
            outcome = self._suspend(claim, suspended)
        except Cancelled:
            claim.finish(Outcome.CANCELLED)
            log.info("cancelled", step=run.step)
            outcome = TurnOutcome("cancelled")
        except (Fenced, LedgerUnavailable):
            raise
        except (VendorError, StorageUnavailable) as error:
            outcome = self._handle_error(claim, run, error)
        except MissingExtra as missing:
            outcome = self._fail(claim, run, JobFailed(Code.INTERNAL_ERROR, str(missing)))
        except InputError as error:
            outcome = self._fail(claim, run, input_failure(error))
        except JobFailed as failed:
            void = failed.void if isinstance(failed, VendorJobFailed) else ()
            outcome = self._fail(claim, run, failed, void=void)
        except Exception as error:
            if isinstance(error, DraftLost) and job.restored_at is not None:
                # Published or removed in what the ledger has forgotten: what wrote it is done anew.
                log.warning("draft lost after recovery", step=run.step)
                claim.void_transfers()
                return self._suspend(claim, Suspended(claim.now + RETRY_BASE_SECONDS))
            log.exception("unhandled exception", step=run.step)
            outcome = self._fail(
                claim, run, JobFailed(Code.INTERNAL_ERROR, "a defect of ours; the trace is in the log")
            )
        return outcome

    def _play(self, claim: Claim, run: Run) -> Result:
        job = claim.job
        if job.begin_count > BEGIN_LIMIT:
            raise JobFailed(
                Code.INTERNAL_ERROR, f"its turn ended {BEGIN_LIMIT} workers without getting anywhere"
            )
        if job.cancel_requested:
            raise Cancelled
        command = COMMANDS[job.command].model_validate_json(encode(job.data))
        return self._jobs[job.command](command, run, self._services)

    def _suspend(self, claim: Claim, suspended: Suspended) -> TurnOutcome:
        now = claim.now
        if now >= claim.job.deadline_at:
            claim.finish(
                Outcome.FAILED, error=_error(Code.DEADLINE_EXCEEDED, "the job outlived its deadline")
            )
            log.warning("failed", code=Code.DEADLINE_EXCEEDED)
            return TurnOutcome("failed", Code.DEADLINE_EXCEEDED.value)
        due_at = min(suspended.due_at, claim.job.deadline_at)
        claim.suspend(due_at, suspended.progress, polled=suspended.polled, urgency=suspended.urgency)
        log.info("waiting", step=suspended.polled, seconds=round(max(due_at - now, 0.0), 2))
        return TurnOutcome("waiting")

    def _handle_error(self, claim: Claim, run: Run, error: VendorError | StorageUnavailable) -> TurnOutcome:
        """Do what the retry policy decides."""
        jitter = random.random()  # noqa: S311 - no secret
        decision = decide(error, claim.job, claim.now, max_delay=self._limits.max_delay, jitter=jitter)
        if isinstance(decision, Fail):
            return self._fail(claim, run, decision.failure, vendor_status=decision.vendor_status)
        urgency = claim.job.urgency if run.polling else None  # a poll that was not made stays as urgent
        if isinstance(decision, Wait) and isinstance(error, RateLimited):
            outcome = self._suspend(claim, Suspended(claim.now + decision.delay, urgency=urgency))
            return outcome if outcome.is_terminal else TurnOutcome("rate_limited", error.vendor)
        if isinstance(decision, Retry):
            claim.job.consecutive_failures += 1
            claim.job.retries += 1
        claim.suspend(min(claim.now + decision.delay, claim.job.deadline_at), None, urgency=urgency)
        call: dict[str, Any] = {}
        if isinstance(error, VendorError):
            call = {"operation": f"{error.vendor}.{error.operation}", "status": error.status}
        log.warning("retrying", step=run.step, error=error.message, seconds=round(decision.delay, 2), **call)
        return TurnOutcome("retrying", type(error).__name__)

    def _fail(
        self,
        claim: Claim,
        run: Run,
        failed: JobFailed,
        *,
        vendor_status: int | None = None,
        void: tuple[str, ...] = (),
    ) -> TurnOutcome:
        error = _error(failed.code, failed.message, failed.detail, vendor_status, run.step)
        claim.finish(Outcome.FAILED, error=error, void=void)
        # without the detail: a vendor's words may repeat a record
        log.warning("failed", code=failed.code, step=run.step, error=failed.message)
        return TurnOutcome("failed", failed.code.value)


def _error(
    code: Code,
    message: str,
    detail: str | None = None,
    vendor_status: int | None = None,
    step: str | None = None,
) -> Error:
    return Error(
        code=code,
        message=message,
        detail=detail,
        vendor_status=vendor_status,
        step=step,
        retryable=code.retryable,
    )
