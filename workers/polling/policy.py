"""The rule: look again as soon as the job is expected to have sat finished unnoticed for `PRICE` seconds.

With D the duration and t the last look, the next one is at the first t' > t with E[(t' - D)+ | D > t] >= PRICE.
After some jobs it costs a few percent more than the best that can be done knowing the durations' distribution:
docs/benchmarks/polling.md has the numbers.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from workers.polling.distribution import CELLS, EDGES, LOGS, UNKNOWN_MEDIAN_SECONDS
from workers.polling.history import DurationEstimate, History, slack

#: What one request is worth, in seconds of a result lying there unnoticed.
POLL_COST_SECONDS = 10.0
#: The same where the vendor's calls are limited: it bears so many, and when they are short the latest go first.
RATE_LIMITED_POLL_COST_SECONDS = 2.0
#: Near the start it is worth less: half as much at so many seconds. Who waits for a short job waits for each second.
SHORT_JOB_SECONDS = 10.0
#: A vendor's progress is nonsense so often, whatever it was before ...
PROGRESS_NONSENSE_PROBABILITY = 0.5
#: ... and then any extrapolation is as likely as any other, in a range of e to the power of this.
PROGRESS_NONSENSE_LOG_RANGE = 4.0
#: A belief of which less than this is left has been disproved.
DISPROVED_MASS = 1e-12
#: From here on a share that has not moved since the look before says nothing: many jobs stay at 99 %.
STUCK_SHARE = 0.95

#: How late a look becomes that has to wait is reckoned right where it is best made, and where it is so late.
OVERDUE_SECONDS = 60.0
#: Seconds of lateness that every second of waiting adds at least: nobody waits for ever.
DELAY_RATE_MIN = 0.001

_NOTHING = History()


@dataclass(frozen=True)
class PollState:
    """What is known of a running vendor job. Seconds throughout.

    Attributes:
        elapsed: since it was started; the last look is now, or there was none yet.
        looks: how many there were.
        size: rows, if known.
        share: how much is done, 0 to 1, as the vendor says, if it does.
        share_after: seconds after the start at which that was first seen; None is now.
        floor: seconds in which the vendor does not want to be asked.
        budgeted: whether the vendor's calls are limited, so that those within the limit cost little.
    """

    elapsed: float
    looks: int = 0
    size: int | None = None
    share: float | None = None
    share_after: float | None = None
    floor: float = 0.0
    budgeted: bool = False

    @property
    def price(self) -> float:
        """What a look is worth, in seconds of delay."""
        return RATE_LIMITED_POLL_COST_SECONDS if self.budgeted else POLL_COST_SECONDS


@dataclass(frozen=True)
class Forecast:
    """What is expected of a vendor's job at some time.

    Attributes:
        late: seconds that it has sat finished unnoticed.
        chance: 0 to 1, that it is finished: `late` grows by as much each second.
    """

    late: float
    chance: float


def next_poll_delay(
    evidence: PollState, min_delay: float, max_delay: float, history: History = _NOTHING
) -> float:
    """Seconds until the vendor is asked again, within the bounds; the vendor's own floor is above them."""
    delay = _best(evidence, evidence.price, history)
    belief, scale = history.belief(evidence.size)
    if not evidence.looks and belief.halve:
        elapsed = _elapsed(evidence)
        delay = min(delay, max(belief.halve * scale - elapsed, delay / 2))
    delay = min(max(delay, min_delay), max_delay)
    return max(delay, evidence.floor) if math.isfinite(evidence.floor) else delay


def forecast(evidence: PollState, delay: float, history: History = _NOTHING) -> Forecast:
    """What is expected of a vendor's job `delay` seconds after `evidence`, if it is not looked at before."""
    elapsed = _elapsed(evidence)
    remaining = _remaining(evidence, elapsed, history)
    if remaining is None:
        more = UNKNOWN_MEDIAN_SECONDS + elapsed
        return Forecast(delay - more * math.log1p(delay / more), delay / (more + delay))
    first, masses, scale = remaining
    total = sum(masses)
    until = elapsed + delay
    done = late = 0.0
    at = elapsed
    for cell, mass in enumerate(masses, first):
        end = EDGES[cell + 1] * scale
        if end >= until:
            part = mass * (until - at) / (end - at) if end > at else mass
            late += (done + part / 2) * (until - at)
            return Forecast(late / total, (done + part) / total)
        late += (done + mass / 2) * (end - at)
        done, at = done + mass, end
    return Forecast(late / total + until - at, 1.0)


@dataclass(frozen=True)
class DelayCurve:
    """How late a look is that has to wait: w seconds after `due`, `base` + `rate` w + `accel` w² seconds.

    It never grows by more than a second in a second.

    Attributes:
        due: seconds from the last look to the best time of the next.
        base: seconds late that it is expected to be then.
        rate: the chance that the vendor's job is done by then.
        accel: how that chance grows.
    """

    due: float
    base: float
    rate: float
    accel: float

    def after(self, delay: float) -> float:
        """Expected seconds, `delay` seconds after the last look."""
        waited = delay - self.due
        return self.base + min(waited, (self.rate + self.accel * max(waited, 0.0)) * waited)


def delay_curve(evidence: PollState, history: History = _NOTHING) -> DelayCurve:
    """How late the next look becomes: right at its best time, and where it is `SCARCE` seconds late."""
    delay, scarce = (_best(evidence, price, history) for price in (evidence.price, OVERDUE_SECONDS))
    due, later = (forecast(evidence, after, history) for after in (delay, scarce))
    slope, span = max(due.chance, DELAY_RATE_MIN), scarce - delay
    bend = max(later.late - due.late - slope * span, 0.0) / span**2 if span > 0 else 0.0
    return DelayCurve(delay, due.late, slope, bend)


def _elapsed(evidence: PollState) -> float:
    return min(max(0.0, evidence.elapsed), EDGES[-1])  # 0.0 comes first: it is what is left of NaN


def _told(evidence: PollState, elapsed: float) -> tuple[float, float] | None:
    """A share that can be believed, and when it was reached."""
    share = evidence.share
    if share is None or not 0 < share < 1:
        return None
    after = elapsed if evidence.share_after is None else evidence.share_after
    if not 0 < after <= elapsed or (share >= STUCK_SHARE and after < elapsed):
        return None
    return share, after


def _worth(price: float, at: float) -> float:
    return price * at / (at + SHORT_JOB_SECONDS)


def _strange(elapsed: float, price: float) -> float:
    """The wait for a job of which nothing is known: it grows with the time already waited."""
    more = UNKNOWN_MEDIAN_SECONDS + elapsed
    low, high = 0.0, 4 * math.sqrt(2 * price * more) + 4 * price
    for _ in range(40):
        middle = (low + high) / 2
        if middle - more * math.log1p(middle / more) < _worth(price, elapsed + middle):
            low = middle
        else:
            high = middle
    return high


def _remaining(
    evidence: PollState, elapsed: float, history: History
) -> tuple[int, list[float], float] | None:
    """The cells in which the job may yet end: the first, the masses from there on, and what the grid is multiplied by.

    None if nothing is known, or the belief is disproved.
    """
    belief, scale = history.belief(evidence.size)
    told = _told(evidence, elapsed)
    start = elapsed / scale
    first = bisect_right(EDGES, start) - 1
    if first >= CELLS or (told is None and not len(history)):
        return None
    masses = list(belief.masses[first:])
    masses[0] *= (EDGES[first + 1] - start) / (EDGES[first + 1] - EDGES[first])
    if told is not None:
        masses = _weighed(masses, first, belief, scale, told)
    return None if sum(masses) < DISPROVED_MASS else (first, masses, scale)


def _best(evidence: PollState, price: float, history: History) -> float:
    """Seconds until the job is expected to have sat finished for as long as a look is worth."""
    elapsed = _elapsed(evidence)
    remaining = _remaining(evidence, elapsed, history)
    if remaining is None:
        return _strange(elapsed, price)
    first, masses, scale = remaining
    total = sum(masses)
    done = late = 0.0
    at = elapsed
    for cell, mass in enumerate(masses, first):
        end = EDGES[cell + 1] * scale
        width = end - at
        later = late + (done + mass / 2) * width
        target = _worth(price, end) * total
        if later >= target:
            missing = max(target - late, 0.0)
            slope = mass / width
            root = math.sqrt(done * done + 2 * slope * missing)
            return at + (2 * missing / (done + root) if done + root > 0 else width) - elapsed
        done, late, at = done + mass, later, end
    return _strange(elapsed, price)


def _weighed(
    masses: list[float], first: int, belief: DurationEstimate, scale: float, told: tuple[float, float]
) -> list[float]:
    """The masses, as likely as they make the share that was told."""
    share, after = told
    spread = belief.doubt * slack(share)
    centre = math.log(after) - math.log(share) - math.log(scale) + belief.bias * slack(share)
    peak = (1 - PROGRESS_NONSENSE_PROBABILITY) / (spread * math.sqrt(2 * math.pi))
    ground = PROGRESS_NONSENSE_PROBABILITY / PROGRESS_NONSENSE_LOG_RANGE
    steep = -0.5 / spread**2
    exp = math.exp
    return [
        mass * (ground + peak * exp(steep * (log - centre) ** 2))
        for mass, log in zip(masses, LOGS[first:], strict=True)
    ]
