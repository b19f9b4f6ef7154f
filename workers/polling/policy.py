"""The polling policy: poll again as soon as the job is expected to have been finished unnoticed for `POLL_COST_SECONDS`.

With D the duration and t the time of the last poll, the next one is at the first t' > t with
E[(t' - D)+ | D > t] >= POLL_COST_SECONDS. After a few jobs this costs a few percent more than the best possible with
the durations' distribution known: docs/benchmarks/polling.md has the numbers.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from workers.polling.distribution import CELLS, EDGES, LOGS, UNKNOWN_MEDIAN_SECONDS
from workers.polling.history import DurationEstimate, History, slack

#: The cost of one poll, in seconds of an undetected result.
POLL_COST_SECONDS = 10.0
#: The cost where the vendor has a rate limit: calls within the limit cost little, and the most delayed poll goes first.
RATE_LIMITED_POLL_COST_SECONDS = 2.0
#: Near the start a poll is cheaper: half the cost after this time, since whoever waits for a short job notices seconds.
SHORT_JOB_SECONDS = 10.0
#: Probability that a vendor's progress is nonsense, whatever it was before ...
PROGRESS_NONSENSE_PROBABILITY = 0.5
#: ... and then any extrapolation is equally likely within a range of e to the power of this.
PROGRESS_NONSENSE_LOG_RANGE = 4.0
#: An estimate with less probability left than this is disproved.
DISPROVED_MASS = 1e-12
#: Above this share, progress that has not changed since the last poll says nothing: many jobs stay at 99 %.
STUCK_SHARE = 0.95

#: The delay curve is exact at two times: the poll's best time, and when the poll is overdue by this long.
OVERDUE_SECONDS = 60.0
#: Smallest growth of the expected delay, in seconds per second: no poll waits for ever.
DELAY_RATE_MIN = 0.001

_NOTHING = History()


@dataclass(frozen=True)
class PollState:
    """What is known of a running vendor job. All times are seconds.

    Attributes:
        elapsed: since its start; the last poll is now, or there was none yet.
        polls: number of polls so far.
        size: rows, if known.
        share: how much is done, 0 to 1, if the vendor reports it.
        share_after: seconds after the start at which that share was first seen; None means now.
        floor: seconds for which the vendor does not want to be polled (`Retry-After`).
        rate_limited: whether the vendor's calls have a rate limit, so that those within it cost little.
    """

    elapsed: float
    polls: int = 0
    size: int | None = None
    share: float | None = None
    share_after: float | None = None
    floor: float = 0.0
    rate_limited: bool = False

    @property
    def cost(self) -> float:
        """The cost of a poll, in seconds of delay."""
        return RATE_LIMITED_POLL_COST_SECONDS if self.rate_limited else POLL_COST_SECONDS


@dataclass(frozen=True)
class Forecast:
    """What is expected of a vendor job at some time.

    Attributes:
        delay: seconds that it has been finished unnoticed.
        probability: 0 to 1, that it is finished: `delay` grows by this much each second.
    """

    delay: float
    probability: float


def next_poll_delay(
    state: PollState, min_delay: float, max_delay: float, history: History = _NOTHING
) -> float:
    """Return the delay until the next poll, in seconds, clamped to `[min_delay, max_delay]`.

    `Retry-After` takes precedence over `max_delay`.
    """
    delay = _best_delay(state, state.cost, history)
    estimate, scale = history.estimate(state.size)
    if not state.polls and estimate.halve:
        elapsed = _elapsed(state)
        delay = min(delay, max(estimate.halve * scale - elapsed, delay / 2))
    delay = min(max(delay, min_delay), max_delay)
    return max(delay, state.floor) if math.isfinite(state.floor) else delay


def forecast(state: PollState, delay: float, history: History = _NOTHING) -> Forecast:
    """Return what is expected of a vendor job `delay` seconds after `state`, if it is not polled before."""
    elapsed = _elapsed(state)
    remaining = _remaining(state, elapsed, history)
    if remaining is None:
        more = UNKNOWN_MEDIAN_SECONDS + elapsed
        return Forecast(delay - more * math.log1p(delay / more), delay / (more + delay))
    first, masses, scale = remaining
    total = sum(masses)
    until = elapsed + delay
    done = undetected = 0.0
    at = elapsed
    for cell, mass in enumerate(masses, first):
        end = EDGES[cell + 1] * scale
        if end >= until:
            part = mass * (until - at) / (end - at) if end > at else mass
            undetected += (done + part / 2) * (until - at)
            return Forecast(undetected / total, (done + part) / total)
        undetected += (done + mass / 2) * (end - at)
        done, at = done + mass, end
    return Forecast(undetected / total + until - at, 1.0)


@dataclass(frozen=True)
class DelayCurve:
    """The expected detection delay of a poll that has to wait: w seconds after `due`, `base` + `rate` w + `accel` w² seconds.

    It never grows by more than a second per second.

    Attributes:
        due: seconds from the last poll to the best time of the next.
        base: expected delay at that time.
        rate: probability that the vendor job is done by then.
        accel: how that probability grows.
    """

    due: float
    base: float
    rate: float
    accel: float

    def after(self, delay: float) -> float:
        """Return the expected delay, in seconds, `delay` seconds after the last poll."""
        waited = delay - self.due
        return self.base + min(waited, (self.rate + self.accel * max(waited, 0.0)) * waited)


def delay_curve(state: PollState, history: History = _NOTHING) -> DelayCurve:
    """Return the delay curve of the next poll, exact at its best time and when it is `OVERDUE_SECONDS` late."""
    delay, overdue = (_best_delay(state, cost, history) for cost in (state.cost, OVERDUE_SECONDS))
    due, later = (forecast(state, after, history) for after in (delay, overdue))
    slope, span = max(due.probability, DELAY_RATE_MIN), overdue - delay
    acceleration = max(later.delay - due.delay - slope * span, 0.0) / span**2 if span > 0 else 0.0
    return DelayCurve(delay, due.delay, slope, acceleration)


def _elapsed(state: PollState) -> float:
    return min(max(0.0, state.elapsed), EDGES[-1])  # 0.0 comes first, so that NaN becomes 0


def _usable_share(state: PollState, elapsed: float) -> tuple[float, float] | None:
    """Return the vendor's share if it is usable, and when it was reached."""
    share = state.share
    if share is None or not 0 < share < 1:
        return None
    after = elapsed if state.share_after is None else state.share_after
    if not 0 < after <= elapsed or (share >= STUCK_SHARE and after < elapsed):
        return None
    return share, after


def _cost_at(cost: float, at: float) -> float:
    return cost * at / (at + SHORT_JOB_SECONDS)


def _delay_if_unknown(elapsed: float, cost: float) -> float:
    """Return the delay for a job of which nothing is known: it grows with the time already waited."""
    more = UNKNOWN_MEDIAN_SECONDS + elapsed
    low, high = 0.0, 4 * math.sqrt(2 * cost * more) + 4 * cost
    for _ in range(40):
        middle = (low + high) / 2
        if middle - more * math.log1p(middle / more) < _cost_at(cost, elapsed + middle):
            low = middle
        else:
            high = middle
    return high


def _remaining(state: PollState, elapsed: float, history: History) -> tuple[int, list[float], float] | None:
    """Return the cells in which the job may still end: the first, the masses from there on, and the scale of the grid.

    None if nothing is known, or the estimate is disproved.
    """
    estimate, scale = history.estimate(state.size)
    reported = _usable_share(state, elapsed)
    start = elapsed / scale
    first = bisect_right(EDGES, start) - 1
    if first >= CELLS or (reported is None and not len(history)):
        return None
    masses = list(estimate.masses[first:])
    masses[0] *= (EDGES[first + 1] - start) / (EDGES[first + 1] - EDGES[first])
    if reported is not None:
        masses = _weighted(masses, first, estimate, scale, reported)
    return None if sum(masses) < DISPROVED_MASS else (first, masses, scale)


def _best_delay(state: PollState, cost: float, history: History) -> float:
    """Return the seconds until the job is expected to have been finished unnoticed for as long as a poll costs."""
    elapsed = _elapsed(state)
    remaining = _remaining(state, elapsed, history)
    if remaining is None:
        return _delay_if_unknown(elapsed, cost)
    first, masses, scale = remaining
    total = sum(masses)
    done = undetected = 0.0
    at = elapsed
    for cell, mass in enumerate(masses, first):
        end = EDGES[cell + 1] * scale
        width = end - at
        later = undetected + (done + mass / 2) * width
        target = _cost_at(cost, end) * total
        if later >= target:
            missing = max(target - undetected, 0.0)
            slope = mass / width
            root = math.sqrt(done * done + 2 * slope * missing)
            return at + (2 * missing / (done + root) if done + root > 0 else width) - elapsed
        done, undetected, at = done + mass, later, end
    return _delay_if_unknown(elapsed, cost)


def _weighted(
    masses: list[float], first: int, estimate: DurationEstimate, scale: float, reported: tuple[float, float]
) -> list[float]:
    """Return the masses, weighted by how likely they make the reported share."""
    share, after = reported
    spread = estimate.doubt * slack(share)
    centre = math.log(after) - math.log(share) - math.log(scale) + estimate.bias * slack(share)
    peak = (1 - PROGRESS_NONSENSE_PROBABILITY) / (spread * math.sqrt(2 * math.pi))
    ground = PROGRESS_NONSENSE_PROBABILITY / PROGRESS_NONSENSE_LOG_RANGE
    steep = -0.5 / spread**2
    exp = math.exp
    return [
        mass * (ground + peak * exp(steep * (log - centre) ** 2))
        for mass, log in zip(masses, LOGS[first:], strict=True)
    ]
