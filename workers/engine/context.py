"""The durable part: what a job function uses to act, to ask and to wait, so that it survives any crash.

A job function is run from the top in every turn. What it has done is recorded in the ledger and returned
from there; it goes as far as it can and then ends the turn, holding nothing while it waits.

    an effect     not there ──intend──▶ intended ──effect──▶ done
                      ▲                    │ crash, or the answer was lost
                      └── not happened ◀── recover ── happened ──▶ done
                                           └── cannot tell ──▶ the job fails as `outcome_unknown`

    a poll        open ──running──▶ open (the turn ends, the next is due later) ──done──▶ done

    a transfer    open, with a checkpoint after each piece ──▶ done; several pieces may be at work at once
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar, cast

from clients.errors import OutcomeUnknown, VendorError
from clients.transport import before_effect
from messages.errors import Code
from messages.events import Progress
from workers.engine.ordered_pool import OrderedPool
from workers.engine.recovery import baseline, repeatable
from workers.engine.run_limits import RunLimits
from workers.engine.signals import Cancelled, Suspended, VendorJobFailed
from workers.engine.stages import Stage
from workers.errors import JobFailed, StorageUnavailable, Undecided
from workers.ledger.claim import Claim
from workers.ledger.records import PollUrgency, Step
from workers.observability.turn_stats import TurnStats
from workers.polling.history import History
from workers.polling.next_poll import NextPoll, PollResult, Stalled, plan_first_poll, plan_next_poll
from workers.polling.policy import delay_curve

J = TypeVar("J")
R = TypeVar("R")
T = TypeVar("T")

#: A transfer records a checkpoint at most this often; what came since is repeated after a crash.
CHECKPOINT_INTERVAL_SECONDS = 1.0


class Run:
    """One turn of one job, as its function sees it."""

    def __init__(
        self,
        claim: Claim,
        limits: RunLimits,
        stopping: Callable[[], bool],
        monotonic: Callable[[], float] = time.monotonic,
        past: Callable[[Claim, str], History] = lambda _claim, _name: History(),
    ) -> None:
        self._claim = claim
        self._limits = limits
        self._stopping = stopping
        self._monotonic = monotonic
        self._past = past
        self._began = monotonic()
        #: Whether this turn has finished a step.
        self._acted = False
        #: The step at work, for errors and logs.
        self.step: str | None = None
        #: Whether it is a look at a vendor's job.
        self.polling = False
        #: What is to be counted of this turn.
        self.stats = TurnStats()
        #: The pieces of a transfer that are at work at once, and whether its slice is over: nothing is begun then.
        self._window: OrderedPool[Any, Any] | None = None
        self._ending = False
        self._stage: Stage | None = None

    @property
    def job_id(self) -> str:
        """The job's id: the natural key to derive vendors' names from."""
        return self._claim.job.id

    @property
    def restored(self) -> bool:
        """Whether the ledger may have forgotten what this job did: it was restored from a back-up."""
        return self._claim.job.restored_at is not None

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Within the block every step is one of the stage: a job function can be run as a part of another job.

        What it derives from the job's id must differ from what other stages derive.
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
        """1, and one more each time the step was undone for a retry: for names that vendors take only once."""
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
        """Do an effect at a vendor once, whatever happens.

        The intent is recorded when the call is about to leave (`clients.transport.before_effect`), not before: what
        was never sent, for want of a token, of budget or of a vendor that answers, leaves no doubt behind.

        Args:
            name: of the step, unique in the job.
            effect: exactly one call that changes something; gives plain JSON, not None.
            recover: asked when the effect may have happened: its result if it did, None if it did not.
                Raises `Undecided` if that cannot be told. Without it, it never can.
            unique: the vendor refuses a second one by itself, so that None can be trusted at once;
                otherwise it is trusted when no request can be in flight any more.

        A ledger that was restored from a back-up may have forgotten the effect: then it is treated as one that
        may have happened.

        Raises:
            JobFailed: `outcome_unknown` if the effect may have happened and nobody can tell.
        """
        self.step = name = self._named(name)
        step = self._claim.steps.get(name)
        if step is not None and step.state == "done":
            return cast("J", step.value)
        step = self._doubted(name, step, recover)
        in_doubt = unique and step is not None and step.state == "intended"
        if step is not None and step.state == "intended":
            found = self._recover(step, recover, unique=unique or recover in {repeatable, baseline})
            if found is not None:
                self._record(name, "effect", found)
                return found
        self._raise_if_cancelled()
        self._suspend_if_slice_over()
        intended = False

        def intend() -> None:
            nonlocal intended
            if not intended:
                self._claim.intend(name)
            intended = True

        listening = before_effect.set(intend)
        try:
            value = effect()
        except OutcomeUnknown as lost:
            if recover is None:
                raise self._unknown(f"{lost.message}, and the vendor offers no way to find out") from lost
            raise
        except VendorError:
            # an earlier attempt may still take effect, whatever became of this one
            if intended and not in_doubt:
                self._claim.record_not_done(name)
            raise
        finally:
            before_effect.reset(listening)
        self._record(name, "effect", value)
        return value

    def poll(
        self, name: str, ask: Callable[[], PollResult], *, size: int | None = None, redo: Sequence[str] = ()
    ) -> Any:
        """Wait until a vendor's job is done; one look a turn, nothing held in between.

        Args:
            name: of the step.
            ask: one look at the vendor.
            size: rows at work, if known: durations are compared among equals.
            redo: steps to be done anew when the vendor's job failed and ours is retried.

        Raises:
            JobFailed: `vendor_failed`, or `stalled` when nothing has moved for too long.
        """
        unstaged, name = name, self._named(name)
        self.step = name
        step = self._claim.steps.get(name)
        if step is not None and step.state == "done":
            return step.value
        self._raise_if_cancelled()
        if step is None or step.state == "void":
            self._claim.record_poll(name, size=size, value=None, polled=False)
            history = self._past(self._claim, name)
            planned = plan_first_poll(size, self._limits, history, rate_limited=self._rate_limited)
            raise self._poll_later(name, planned, history, Progress(step=name))
        self.polling = True
        sighting = ask()
        self.polling = False
        self._claim.job.polls += 1
        self.stats.polls += 1
        if sighting.state == "done":
            self._note_delay(step, sighting)
            self._claim.job.consecutive_failures = 0
            self._claim.record_poll_done(name, sighting.answer)
            return sighting.answer
        if sighting.state == "failed":
            raise VendorJobFailed("the vendor's job ended as failed", sighting.detail, (*redo, unstaged))
        raise self._wait(step, sighting)

    def transfer(
        self,
        name: str,
        work: Callable[[Any], Generator[Any]],
        *,
        total: int | None = None,
        store: Callable[[], None] = lambda: None,
    ) -> Any:
        """Move much data in pieces, in slices of a turn, going on after a crash where it was.

        Args:
            name: of the step.
            work: called with the last checkpoint (None at first); does one piece at a time, or several at once
                with `in_order`, and yields a JSON object after each, from which it can go on. The last one is
                recorded and returned.
            total: what `done` of the checkpoints counts up to, if known.
            store: called before a checkpoint is recorded: makes true what it says, e.g. `Appender.store`.
        """
        unstaged, name = name, self._named(name)
        self.step = name
        step = self._claim.steps.get(name)
        if step is not None and step.state == "done":
            return step.value
        self._raise_if_cancelled()
        self._suspend_if_slice_over()
        last = saved = step.value if step is not None and step.state == "open" else None
        first = _done(last)
        began = checked = self._monotonic()
        coming: float = math.inf
        self._window, self._ending = None, False
        with closing(work(last)) as pieces:
            try:
                for last in pieces:
                    now = self._monotonic()
                    self._ending = self._ending or now - began >= self._limits.slice or self._stopping()
                    if self._ending:
                        coming = self._still_coming(coming)
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
                self._close_window()
                self.stats.moved.append((unstaged, _done(last) - first))
        store()
        self._record(name, "transfer", last)
        return last

    def map_ordered(
        self, work: Callable[[T], R], items: Iterable[T], at_once: int
    ) -> Generator[tuple[T, R], None, None]:
        """Within a transfer: do `work` for several items at once, and give each with its result, in their order.

        When the slice is over no further item is begun, and what is at work comes yet: calls are repeated only
        after an error, a cancellation or a crash, see `workers.engine.ordered_pool`.

        Args:
            work: one call, made in another thread; may be repeated, and overtaken by those for later items. It
                must leave this run alone.
            items: read as far as there is room.
            at_once: how many; so many and one more are in memory.
        """
        self._window = OrderedPool(work, items, at_once, lambda: self._ending)
        yield from self._window
        if self._ending:  # the items have not come to their end, or nobody knows
            raise Suspended(self._claim.now)

    # -- inside -----------------------------------------------------------------------------------------

    def _still_coming(self, before: float) -> int:
        """How many pieces are at work at the end of a slice; suspends when none is, or when they get no fewer."""
        left = len(self._window) if self._window is not None else 0
        if not 0 < left < before:
            raise Suspended(self._claim.now)
        return left

    def _close_window(self) -> None:
        if self._window is not None:
            self._window.close()

    def _named(self, step: str) -> str:
        return step if self._stage is None else self._stage.step(step)

    def _of_the_job(self, progress: Progress) -> Progress:
        """A step's progress, with the whole job's percentage in stages, which never goes back."""
        if self._stage is None:
            return progress
        before = (self._claim.job.progress or {}).get("percent") or 0.0
        percent = max(before, round(self._stage.percent(progress.step, progress.percent), 1))
        return progress.model_copy(update={"percent": percent})

    def _record(self, name: str, kind: str, value: object) -> None:
        self._claim.job.consecutive_failures = 0
        self._claim.record(name, kind, value)
        self._acted = True

    def _checkpoint(self, name: str, value: Any, total: int | None) -> None:
        self._claim.job.consecutive_failures = 0
        done = _done(value) if isinstance(value, dict) and "done" in value else None
        # More may have come to light than was counted before.
        percent = min(round(100.0 * done / total, 1), 100.0) if done is not None and total else None
        progress = Progress(step=name, percent=percent, done=done, total=total)
        self._claim.checkpoint(name, value, self._of_the_job(progress))
        self._raise_if_cancelled()

    def _doubted(self, name: str, step: Step | None, recover: object) -> Step | None:
        """The step; in a restored ledger that has not seen it since, as one that may have been done before."""
        restored_at = self._claim.job.restored_at
        if restored_at is None or recover is repeatable:
            return step
        if step is None or step.started_at < restored_at:
            step = self._claim.record_uncertain(name, restored_at)
        if recover is baseline and step.started_at == restored_at:
            raise self._unknown("the ledger was restored, and what was there before cannot be seen any more")
        return step

    def _recover(self, step: Step, recover: Callable[[], J | None] | None, *, unique: bool) -> J | None:
        if recover is None:
            self.stats.recovered.append("undecided")
            raise self._unknown("the vendor offers no way to find out")
        asked_at = self._claim.now
        try:
            found = recover()
        except Undecided as undecided:
            self.stats.recovered.append("undecided")
            raise self._unknown(str(undecided)) from undecided
        if found is None and not unique:
            certain_at = step.started_at + self._limits.effect_settle_seconds
            if asked_at < certain_at:
                raise Suspended(certain_at)
        self.stats.recovered.append("not_happened" if found is None else "adopted")
        return found

    def _note_delay(self, step: Step, sighting: PollResult) -> None:
        now = self._claim.now
        seen = step.started_at if step.last_polled_at is None else step.last_polled_at
        delay = now - sighting.done_at.timestamp() if sighting.done_at is not None else None
        self.stats.found_done.append((now - seen, delay))

    def _unknown(self, why: str) -> JobFailed:
        return JobFailed(
            Code.OUTCOME_UNKNOWN, f"{self.step}: it may or may not have happened at the vendor: {why}"
        )

    def _wait(self, step: Step, result: PollResult) -> BaseException:
        """Return what ends the turn of a poll whose vendor job still runs: a later poll, or a stall."""
        now = self._claim.now
        history = self._past(self._claim, step.name)
        planned = plan_next_poll(step, result, now, self._limits, history, rate_limited=self._rate_limited)
        if isinstance(planned, Stalled):
            return JobFailed(Code.STALLED, f"no progress at the vendor for {planned.seconds:.0f} s")
        self._claim.job.consecutive_failures = 0
        self._claim.record_poll(
            step.name, size=step.size, value=planned.seen, polled=True, told=planned.reported
        )
        progress = Progress(
            step=step.name, percent=result.percent, done=result.done, total=result.total, eta=result.eta
        )
        return self._poll_later(step.name, planned, history, progress)

    def _poll_later(self, name: str, planned: NextPoll, history: History, progress: Progress) -> Suspended:
        now, key, urgency = self._claim.now, self._claim.last_rate_limit_key, None
        if key is not None:
            curve = delay_curve(planned.state, history)
            urgency = PollUrgency(key, now + curve.due, curve.base, curve.rate, curve.accel)
        return Suspended(now + planned.delay, self._of_the_job(progress), name, urgency)

    @property
    def _rate_limited(self) -> bool:
        """Whether the vendor's calls have a rate limit, by the last call of this turn."""
        return self._claim.last_rate_limit_key in self._limits.rate_limits

    def _suspend_if_slice_over(self) -> None:
        """A turn that has done something begins nothing more once it has lasted as long as a slice."""
        over = self._monotonic() - self._began >= self._limits.slice or self._stopping()
        if self._acted and over:
            raise Suspended(self._claim.now)

    def _raise_if_cancelled(self) -> None:
        if self._claim.job.cancel_requested:
            raise Cancelled


def _done(checkpoint: Any) -> int:
    """How many records a checkpoint says are done; 0 where it does not count them."""
    done = checkpoint.get("done") if isinstance(checkpoint, dict) else None
    return done if isinstance(done, int) else 0
