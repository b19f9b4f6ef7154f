"""Durable execution: what a job function uses to act, to poll and to move data, so that it survives any crash.

Every turn runs the job function from the top and replays the recorded steps: their results come from the ledger. The
function then goes as far as it can and ends the turn. A waiting job holds no thread, no message and no memory.

    an effect     not there ──intend──▶ intended ──effect──▶ done
                      ▲                    │ crash, or the answer was lost
                      └── not happened ◀── recover ── happened ──▶ done
                                           └── cannot tell ──▶ the job fails as `outcome_unknown`

    a poll        open ──running──▶ open (the turn ends, the next is due later) ──done──▶ done

    a transfer    open, with a checkpoint after each piece ──▶ done; several pieces may be in progress at once
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar, cast

from clients.errors import OutcomeUnknown, VendorError
from clients.transport import before_effect
from messages.errors import Code
from messages.events import Progress
from workers.engine.recovery import (
    baseline,
    doubt_after_restore,
    outcome_unknown,
    recover_effect,
    repeatable,
)
from workers.engine.run_limits import RunLimits
from workers.engine.signals import Cancelled, Suspended, VendorJobFailed
from workers.engine.stages import Stage
from workers.engine.transfer import TransferSlice, checkpoint_progress, records_done
from workers.errors import JobFailed, StorageUnavailable
from workers.ledger.claim import Claim
from workers.ledger.records import Step
from workers.observability.turn_stats import TransferKind, TurnStats
from workers.polling.history import History
from workers.polling.next_poll import NextPoll, PollResult, Stalled, plan_first_poll, plan_next_poll

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")

#: A transfer records a checkpoint at most this often. After a crash, the pieces since the last one are repeated.
CHECKPOINT_INTERVAL_SECONDS = 1.0


class Run:
    """One turn of one job, as its job function sees it.

    Args:
        claim: the turn's right to write to the ledger.
        limits: bounds of the run.
        stopping: returns whether the process is shutting down.
        monotonic: seconds of a clock that is never set back.
        read_history: reads the durations of earlier jobs, by claim and step name.
    """

    def __init__(
        self,
        claim: Claim,
        limits: RunLimits,
        stopping: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
        read_history: Callable[[Claim, str], History] = lambda _claim, _name: History(),
    ) -> None:
        self._claim = claim
        self._limits = limits
        self._stopping = stopping
        self._monotonic = monotonic
        self._read_history = read_history
        self._began = monotonic()
        #: Whether this turn has completed a step.
        self._step_completed = False
        #: The current step, for errors and logs.
        self.step: str | None = None
        #: Whether the current step is polling the vendor.
        self.polling = False
        #: What metrics count of this turn.
        self.stats = TurnStats()
        #: Of the transfer in progress.
        self._slice: TransferSlice | None = None
        self._stage: Stage | None = None

    @property
    def job_id(self) -> str:
        """The job's id, from which names at vendors (natural keys) are derived."""
        return self._claim.job.id

    @property
    def restored(self) -> bool:
        """Whether the ledger was restored from a backup, so that it may have forgotten what this job did."""
        return self._claim.job.restored_at is not None

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Run another command's job function as a part of this job: every step in the block belongs to the stage.

        Names that it derives from the job's id must differ from those of other stages.
        """
        self._stage = stage
        try:
            yield
        except VendorJobFailed as failed:
            failed.void = tuple(map(stage.step, failed.void))
            raise
        finally:
            self._stage = None

    def generation(self, name: str) -> int:
        """Return 1, plus one for each time a retry undid the step: for names that a vendor accepts only once."""
        step = self._claim.steps.get(self._named(name))
        return 1 if step is None else step.generation

    def once(
        self,
        name: str,
        effect: Callable[[], J],
        *,
        recover: Callable[[], J | None] | None = None,
        unique: bool = False,
    ) -> J:
        """Do an effect at a vendor exactly once, across crashes and lost answers.

        The intent is recorded just before the request leaves (`clients.transport.before_effect`). A request that was
        never sent, because there was no token, no permit of the rate limit or no connection, leaves no doubt.

        A ledger that was restored from a backup may have forgotten the effect. It is then treated as one that may
        have happened.

        Args:
            name: of the step, unique in the job.
            effect: makes exactly one call that changes something; returns plain JSON, not None.
            recover: called when the effect may have happened. Returns its result if it did, None if it did not, and
                raises `Undecided` if the vendor cannot say. Without `recover` the job then fails as `outcome_unknown`.
            unique: the vendor refuses a second effect by itself, so that None from `recover` is trusted at once.
                Otherwise it is trusted once no request can be in flight any more.

        Returns:
            The recorded result of the effect.

        Raises:
            JobFailed: `outcome_unknown` if the effect may have happened and the vendor cannot say.
        """
        self.step = name = self._named(name)
        step = self._claim.steps.get(name)
        if step is not None and step.state == "done":
            return cast("J", step.value)
        step = doubt_after_restore(self._claim, name, step, recover)
        in_doubt = unique and step is not None and step.state == "intended"
        if step is not None and step.state == "intended":
            adopted = recover_effect(
                self._claim,
                step,
                recover,
                unique=unique or recover in {repeatable, baseline},
                settle_seconds=self._limits.effect_settle_seconds,
                stats=self.stats,
            )
            if adopted is not None:
                self._record(name, "effect", adopted)
                return adopted
        self._raise_if_cancelled()
        self._suspend_if_slice_over()
        intended = False

        def intend() -> None:
            nonlocal intended
            if not intended:
                self._claim.intend(name)
            intended = True

        token = before_effect.set(intend)
        try:
            value = effect()
        except OutcomeUnknown as lost:
            if recover is None:
                why = f"{lost.message}, and the vendor offers no way to find out"
                raise outcome_unknown(name, why) from lost
            raise
        except VendorError:
            # A failed attempt leaves no effect; one before it may still take effect.
            if intended and not in_doubt:
                self._claim.record_not_done(name)
            raise
        finally:
            before_effect.reset(token)
        self._record(name, "effect", value)
        return value

    def poll(
        self,
        name: str,
        poll_vendor: Callable[[], PollResult],
        *,
        size: int | None = None,
        redo: Sequence[str] = (),
    ) -> Any:
        """Wait until a vendor job is done: one poll a turn, and nothing is held between turns.

        Args:
            name: of the step.
            poll_vendor: polls the vendor once.
            size: rows that the vendor works on, if known: durations are compared between jobs of similar size.
            redo: steps to repeat when the vendor job has failed and our job is retried.

        Returns:
            The `answer` of the poll that found the vendor job done.

        Raises:
            JobFailed: `vendor_failed`, or `stalled` when the vendor reports no progress for too long.
        """
        unstaged, name = name, self._named(name)
        self.step = name
        step = self._claim.steps.get(name)
        if step is not None and step.state == "done":
            return step.value
        self._raise_if_cancelled()
        if step is None or step.state == "void":
            self._claim.record_poll(name, size=size, value=None, polled=False)
            history = self._read_history(self._claim, name)
            planned = plan_first_poll(size, self._limits, history, rate_limited=self._rate_limited)
            raise self._poll_later(name, planned, history, Progress(step=name))
        self.polling = True
        result = poll_vendor()
        self.polling = False
        self._claim.job.polls += 1
        self.stats.polls += 1
        if result.state == "done":
            self.stats.vendor_job_done(
                self._claim.now, step.last_polled_at or step.started_at, result.done_at
            )
            self._claim.job.consecutive_failures = 0
            self._claim.record_poll_done(name, result.answer)
            return result.answer
        if result.state == "failed":
            raise VendorJobFailed("the vendor's job ended as failed", result.detail, (*redo, unstaged))
        raise self._wait(step, result)

    def transfer(
        self,
        name: str,
        work: Callable[[Any], Generator[Any]],
        *,
        kind: TransferKind,
        total: int | None = None,
        store: Callable[[], None] = lambda: None,
    ) -> Any:
        """Move much data in pieces, one time slice a turn, and continue after a crash at the last checkpoint.

        Args:
            name: of the step.
            work: called with the last checkpoint, None at first. It moves one piece at a time, or several at once
                with `map_ordered`, and yields a JSON object after each, from which it can continue.
            kind: the label of the transferred records in metrics.
            total: what `done` of the checkpoints counts up to, if known.
            store: called before a checkpoint is recorded; makes the pieces before it durable, e.g. `Appender.store`.

        Returns:
            The last JSON object that `work` yielded.
        """
        self.step = name = self._named(name)
        step = self._claim.steps.get(name)
        if step is not None and step.state == "done":
            return step.value
        self._raise_if_cancelled()
        self._suspend_if_slice_over()
        last = saved = step.value if step is not None and step.state == "open" else None
        first = records_done(last)
        began = checked = self._monotonic()
        time_slice = TransferSlice(began, self._limits.time_slice, self._stopping, lambda: self._claim.now)
        self._slice = time_slice
        with closing(work(last)) as pieces:
            try:
                for last in pieces:
                    now = self._monotonic()
                    time_slice.suspend_if_over(now)
                    if now - checked >= CHECKPOINT_INTERVAL_SECONDS:
                        store()
                        self._checkpoint(name, last, total)
                        saved, checked = last, now
            except (VendorError, StorageUnavailable, Suspended):
                if last is not saved:
                    store()
                    self._checkpoint(name, last, total)
                raise
            finally:
                time_slice.close()
                self.stats.transferred.append((kind, records_done(last) - first))
        store()
        self._record(name, "transfer", last)
        return last

    def map_ordered(
        self, work: Callable[[T], R], items: Iterable[T], max_concurrency: int
    ) -> Generator[tuple[T, R], None, None]:
        """Within a transfer, do `work` for several items at once, and yield each with its result, in their order.

        When the time slice is over, no further item begins and those in progress are awaited. So calls are repeated
        only after an error, a cancellation or a crash (see `workers.engine.ordered_pool`).

        Args:
            work: makes one call, in another thread. It may be repeated, may be overtaken by the calls for later
                items, and must not use this run.
            items: read only as far as there is room.
            max_concurrency: calls at once; as many items and one more are in memory.
        """
        if self._slice is None:
            raise RuntimeError("map_ordered outside a transfer")
        yield from self._slice.map_ordered(work, items, max_concurrency)

    def _named(self, step: str) -> str:
        return step if self._stage is None else self._stage.step(step)

    def _job_progress(self, progress: Progress) -> Progress:
        """Return a step's progress; in a stage with the percentage of the whole job, which never decreases."""
        before = (self._claim.job.progress or {}).get("percent") or 0.0
        return progress if self._stage is None else self._stage.job_progress(progress, before)

    def _record(self, name: str, kind: str, value: object) -> None:
        self._claim.job.consecutive_failures = 0
        self._claim.record(name, kind, value)
        self._step_completed = True

    def _checkpoint(self, name: str, value: Any, total: int | None) -> None:
        self._claim.job.consecutive_failures = 0
        self._claim.checkpoint(name, value, self._job_progress(checkpoint_progress(name, value, total)))
        self._raise_if_cancelled()

    def _wait(self, step: Step, result: PollResult) -> BaseException:
        """Return what ends the turn of a poll whose vendor job still runs: a later poll, or a stall."""
        now = self._claim.now
        history = self._read_history(self._claim, step.name)
        planned = plan_next_poll(step, result, now, self._limits, history, rate_limited=self._rate_limited)
        if isinstance(planned, Stalled):
            return JobFailed(Code.STALLED, f"no progress at the vendor for {planned.seconds:.0f} s")
        self._claim.job.consecutive_failures = 0
        self._claim.record_poll(
            step.name, size=step.size, value=planned.seen, polled=True, reported=planned.reported
        )
        return self._poll_later(step.name, planned, history, result.progress(step.name))

    def _poll_later(self, name: str, planned: NextPoll, history: History, progress: Progress) -> Suspended:
        now = self._claim.now
        urgency = planned.urgency(self._claim.last_rate_limit_key, now, history)
        return Suspended(now + planned.delay, self._job_progress(progress), name, urgency)

    @property
    def _rate_limited(self) -> bool:
        """Whether the vendor's calls have a rate limit, by the last call of this turn."""
        return self._claim.last_rate_limit_key in self._limits.rate_limits

    def _suspend_if_slice_over(self) -> None:
        """Suspend a turn that has completed a step and used up its time slice: it starts no further step."""
        over = self._monotonic() - self._began >= self._limits.time_slice or self._stopping()
        if self._step_completed and over:
            raise Suspended(self._claim.now)

    def _raise_if_cancelled(self) -> None:
        if self._claim.job.cancel_requested:
            raise Cancelled
