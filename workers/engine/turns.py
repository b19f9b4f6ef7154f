"""Turns: what happens between a message and its acknowledgement.

    command ─▶ valid? ─▶ record the job ─▶ lock the job ─▶ claim the turn ─▶ call the job function
                                                                              │ suspended ─▶ next turn, due later
                                                                              │ returned  ─▶ completed
                                                                              └ raised    ─▶ retry, or failed

The caller acknowledges the message when these methods return. `Reject` dead-letters it. After `LedgerUnavailable`
nothing can be done until the ledger is back.
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

#: A turn that was begun more often than this without progress kills its workers (a poison message): the job fails.
BEGIN_LIMIT = 5
#: A turn that was begun more often than this without progress is suspected of killing its workers. A process runs one
#: suspect at a time, so that a crash is counted against that turn alone.
SUSPECT_AFTER_BEGINS = 2
#: A turn whose job another worker has locked is retried after this time.
LOCKED_RETRY_SECONDS = 5.0


class Turns:
    """Runs turns.

    Args:
        store: where jobs are locked, claimed and rescheduled.
        jobs: the job function of each command.
        services: passed to the job functions.
        limits: of each run.
        deadline: maximum age of a job, in seconds.
        stopping: returns whether the process is shutting down. Transfers then end their time slice.
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

    def receive_command(self, body: bytes, queue: str | None = None, *, redelivered: bool = False) -> None:
        """Record a command as a job and run its first turn, unless the job is scheduled for later.

        Args:
            body: the CloudEvent.
            queue: that the command came from; a command that belongs to another queue is rejected.
            redelivered: as for `run_turn`.

        Raises:
            Reject: the command is not valid; its `rejected` event is in the outbox.
            LedgerUnavailable: the ledger cannot be reached.
        """
        try:
            request, acceptance, claimed = self._admission.accept(body, queue, claim_first_turn=True)
        except InvalidCommand as invalid:
            metrics.command_received(invalid.type, invalid.code.value)
            log.warning(
                "rejected",
                job_id=invalid.id,
                command=invalid.type,
                code=invalid.code,
                error=str(invalid)[:500],
            )
            raise Reject(f"{invalid.code}: {invalid}"[:500]) from None
        metrics.command_received(request.type, acceptance.value)
        if claimed is not None:
            self._run_locked(request.id, 1, lambda lock, _: lock.resume(claimed))
        elif acceptance not in {Acceptance.DUPLICATE_ENDED, Acceptance.SCHEDULED}:
            self.run_turn(request.id, 1, redelivered=redelivered)

    def run_turn(self, job_id: str, turn: int, *, redelivered: bool = False) -> None:
        """Run one turn of a job, unless it was run before.

        Args:
            job_id: of the job.
            turn: its number.
            redelivered: this process began the turn before and then lost the ledger. The process has survived, so
                `begin_count` does not grow.

        Raises:
            LedgerUnavailable: the ledger cannot be reached.
        """
        self._run_locked(job_id, turn, lambda lock, admit: lock.take(turn, admit, redelivered=redelivered))

    def _run_locked(
        self, job_id: str, turn: int, claim_turn: Callable[[JobLock, Callable[[int], bool]], Claim | None]
    ) -> None:
        """Run the turn that `claim_turn` claims under the job lock; reschedule it if another worker has the lock."""
        with self._store.lock(job_id) as lock:
            if lock is None:
                self._store.reschedule(job_id, turn, LOCKED_RETRY_SECONDS)
                return
            try:
                with self._isolation() as admit:
                    claim = claim_turn(lock, admit)
                    if claim is not None:
                        self._run_observed(claim)
            except TurnDeferred:
                self._store.reschedule(job_id, turn, LOCKED_RETRY_SECONDS)

    @contextmanager
    def _isolation(self) -> Iterator[Callable[[int], bool]]:
        """Provide a function that returns whether a turn with this `begin_count` may run now: one suspect at a time."""
        alone = False

        def admit(begin_count: int) -> bool:
            nonlocal alone
            alone = begin_count > SUSPECT_AFTER_BEGINS and self._suspects.acquire(blocking=False)
            return alone or begin_count <= SUSPECT_AFTER_BEGINS

        try:
            yield admit
        finally:
            if alone:
                self._suspects.release()

    def _run_observed(self, claim: Claim) -> None:
        """Run the turn, and report its outcome to metrics and traces."""
        job, began, outcome = claim.job, time.monotonic(), INTERRUPTED
        run = Run(claim, self._limits, self._stopping, read_history=self._histories.get)
        with tracing.turn(job) as span, bind_turn(claim):
            try:
                outcome = self._run_to_outcome(claim, run)
            except Fenced:
                outcome = TurnOutcome("fenced")
                log.warning("turn fenced", step=run.step)
            finally:
                job_seconds = time.time() - job.accepted_at
                metrics.turn_ended(job.command, outcome, time.monotonic() - began, run.stats, job_seconds)
                span.set_outcome(outcome, run.step)

    def _run_to_outcome(self, claim: Claim, run: Run) -> TurnOutcome:
        """Call the job function and record in the ledger how it ended."""
        job = claim.job
        try:
            result = dump(self._call_job_function(claim, run))
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
                # A step that the restored ledger has forgotten published or removed the draft: write it again.
                log.warning("draft lost after recovery", step=run.step)
                claim.void_transfers()
                return self._suspend(claim, Suspended(claim.now + RETRY_BASE_SECONDS))
            log.exception("unhandled exception", step=run.step)
            outcome = self._fail(
                claim, run, JobFailed(Code.INTERNAL_ERROR, "a defect of ours; the trace is in the log")
            )
        return outcome

    def _call_job_function(self, claim: Claim, run: Run) -> Result:
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
        """Retry, wait or fail, as the retry policy decides."""
        jitter = random.random()  # noqa: S311 - no secret
        decision = decide(error, claim.job, claim.now, max_delay=self._limits.max_delay, jitter=jitter)
        if isinstance(decision, Fail):
            return self._fail(claim, run, decision.failure, vendor_status=decision.vendor_status)
        urgency = claim.job.urgency if run.polling else None  # the poll is still to be made
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
        # The detail is left out: a vendor's message may quote a record.
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
