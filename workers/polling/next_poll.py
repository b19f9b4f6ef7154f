"""What one poll of a vendor job shows, and when the next one comes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from messages.events import Progress
from workers.ledger.records import PollUrgency, Step
from workers.polling.history import History
from workers.polling.policy import PollState, delay_curve, next_poll_delay

#: A share that the vendor reports is kept for later jobs up to this one: what remains is mostly finishing.
REPORTED_SHARE_MAX = 0.9


@dataclass(frozen=True)
class PollResult:
    """What one poll of a vendor job showed.

    Attributes:
        state: `running`, `done` or `failed`, as the job function understands the vendor.
        answer: what to record and return when the job is done, as plain JSON.
        percent: 0 to 100, if the vendor reports it.
        eta: when the vendor expects to be done.
        done: rows or objects that are finished.
        total: rows or objects in all.
        detail: the vendor's own message about a failure.
        retry_after: seconds for which the vendor does not want to be polled.
        done_at: when the job was done, if the vendor reports it.
    """

    state: Literal["running", "done", "failed"]
    answer: Any = None
    percent: float | None = None
    eta: datetime | None = None
    done: int | None = None
    total: int | None = None
    detail: str | None = None
    retry_after: float | None = None
    done_at: datetime | None = None

    def progress(self, step: str) -> Progress:
        """Return the vendor's progress as that of the step."""
        return Progress(step=step, percent=self.percent, done=self.done, total=self.total, eta=self.eta)

    def share(self, elapsed: float, now: float) -> float | None:
        """Return how much is done, 0 to 1, by the best of what the vendor reports; None if nothing is usable."""
        if self.done is not None and self.total:
            return self.done / self.total
        if self.percent is not None:
            return self.percent / 100
        if self.eta is not None and self.eta.timestamp() > now:
            return elapsed / (elapsed + self.eta.timestamp() - now)
        return None


class PollLimits(Protocol):
    """Bounds of polling."""

    @property
    def min_delay(self) -> float:
        """Shortest delay between two polls, in seconds."""

    @property
    def max_delay(self) -> float:
        """Longest delay between two polls, in seconds."""

    @property
    def stall_timeout(self) -> float:
        """How long a vendor job may report no progress, in seconds."""


@dataclass(frozen=True)
class NextPoll:
    """The vendor job still runs and is polled again.

    Attributes:
        delay: seconds until then.
        state: what is known of the vendor job.
        seen: the progress that the vendor reported, to compare with the next poll.
        reported: the share that is done, 0 to 1, and since when (epoch seconds); None if not usable.
    """

    delay: float
    state: PollState
    seen: dict[str, Any] | None = None
    reported: tuple[float, float] | None = None

    def urgency(self, rate_limit: str | None, now: float, history: History) -> PollUrgency | None:
        """Return how urgent the poll is at `now` (epoch seconds), if it counts against a rate limit."""
        if rate_limit is None:
            return None
        curve = delay_curve(self.state, history)
        return PollUrgency(rate_limit, now + curve.due, curve.base, curve.rate, curve.accel)


@dataclass(frozen=True)
class Stalled:
    """The vendor job has reported no progress for `seconds`."""

    seconds: float


def plan_first_poll(
    size: int | None, limits: PollLimits, history: History, *, rate_limited: bool
) -> NextPoll:
    """Return when a vendor job that was just started is polled first.

    Args:
        size: rows at work, if known.
        limits: bounds of the delay.
        history: durations of earlier jobs.
        rate_limited: whether the vendor's calls have a rate limit.
    """
    state = PollState(0.0, size=size, rate_limited=rate_limited)
    return NextPoll(next_poll_delay(state, limits.min_delay, limits.max_delay, history), state)


def plan_next_poll(
    step: Step, result: PollResult, now: float, limits: PollLimits, history: History, *, rate_limited: bool
) -> NextPoll | Stalled:
    """Return when a running vendor job is polled next, or that it has stalled.

    A vendor job that reports no progress at all cannot stall: only the deadline ends it.

    Args:
        step: the poll as recorded, with what the poll before showed.
        result: what this poll showed.
        now: epoch seconds.
        limits: bounds of the delay, and how long no progress is tolerated.
        history: durations of earlier jobs.
        rate_limited: whether the vendor's calls have a rate limit.
    """
    seen = {"percent": result.percent, "done": result.done, "total": result.total}
    reports = any(value is not None for value in seen.values())
    unchanged = reports and seen == step.value
    unchanged_since = step.last_progress_at or step.started_at
    if unchanged and now - unchanged_since >= limits.stall_timeout:
        return Stalled(now - unchanged_since)
    elapsed = now - step.started_at
    since = step.last_progress_at if unchanged and step.last_progress_at is not None else now
    share = result.share(elapsed, now)
    reported = (share, since) if share is not None and 0 < share <= REPORTED_SHARE_MAX else None
    state = PollState(
        elapsed,
        step.polls,
        step.size,
        share,
        since - step.started_at,
        result.retry_after or 0.0,
        rate_limited,
    )
    delay = next_poll_delay(state, limits.min_delay, limits.max_delay, history)
    return NextPoll(delay, state, seen, reported)
