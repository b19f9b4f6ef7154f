"""Earlier waits, and what is believed of the next one because of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workers.ledger.records import DurationSample
from workers.polling.distribution import fit_turnbull, grid_span, lognormal, moments, uninformed_prior

#: So many past waits are looked at.
HISTORY_JOBS = 300
#: The smooth curve through the past counts as so many more jobs, a job of which nothing is known as so many.
CURVE, STRANGER = 2.0, 0.3
#: The curve is not narrower than this, in logarithms: a tenth.
NARROWEST = 0.1
#: Two stretches of the past differ if their mean logarithms do by so many standard errors.
CHANGE = 4.0
#: Sizes are used if they explain at least this share of the variance of the logarithms.
EXPLAINED = 0.15
#: A vendor's progress is taken to be so wrong until jobs have shown how wrong it is, which counts as so many jobs.
DOUBT, DOUBTED = 0.7, 3.0
#: The next first look goes at half its time if fewer than so many of the last so many jobs were seen running by then.
SEEN, OF = 2, 16


@dataclass(frozen=True)
class DurationEstimate:
    """Masses of durations divided by `scale`, and how the vendor's progress errs.

    Attributes:
        masses: on the grid.
        bias: mean error of durations extrapolated from progress, as a logarithm, per share not done.
        doubt: its deviation.
        halve: nobody knows lately whether jobs end long before the first look: it goes at half its time.
    """

    masses: tuple[float, ...]
    bias: float = 0.0
    doubt: float = DOUBT
    halve: float = 0.0


def slack(share: float) -> float:
    """How much an extrapolation from `share` may err, relative to one from nothing."""
    return 1.1 - share


class History:
    """Past waits of one command's step, those that ended last first.

    Making it takes some milliseconds; asking it none.
    """

    def __init__(self, pasts: Sequence[DurationSample] = ()) -> None:
        ended = [past for past in pasts[:HISTORY_JOBS] if 0 < past.ended < math.inf]
        # jobs that were started together end by their durations: only in the order of their starts is a change one
        self._pasts = sorted(ended, key=lambda past: -past.began)
        self._fresh = _fresh(self._pasts)
        self._sized: tuple[float, float] | None = None
        self._plain = self._believe([1.0] * len(self._pasts))
        self._relative = self._plain
        self._fit_sizes()

    def __len__(self) -> int:
        return len(self._pasts)

    def belief(self, size: int | None) -> tuple[DurationEstimate, float]:
        """What is believed of a job of `size` rows, and the seconds by which its grid is to be multiplied."""
        if size is None or self._sized is None:
            return self._plain, 1.0
        fixed, each = self._sized
        scale = fixed + each * size
        return (self._relative, scale) if scale > 0 else (self._plain, 1.0)

    def _fit_sizes(self) -> None:
        """Duration = fixed + each · rows by least squares of relative errors, if that explains anything."""
        known = [(past.size, past.middle) for past in self._pasts if past.size is not None]
        if len(known) < max(4, 0.8 * len(self._pasts)):
            return
        a = sum(1 / d**2 for _, d in known)
        b = sum(r / d**2 for r, d in known)
        c = sum(r**2 / d**2 for r, d in known)
        u = sum(1 / d for _, d in known)
        v = sum(r / d for r, d in known)
        determinant = a * c - b * b
        if determinant <= 1e-9 * a * c:
            return
        fixed, each = (u * c - v * b) / determinant, (a * v - b * u) / determinant
        if each <= 0:
            return
        if fixed < 0:
            fixed, each = 0.0, v / c
        ratios = [math.log(d / (fixed + each * r)) for r, d in known if fixed + each * r > 0]
        if len(ratios) < len(known) or _variance(ratios) > (1 - EXPLAINED) * _variance(
            [math.log(d) for _, d in known]
        ):
            return
        # the grid's cells are a few percent of a second or more: ratios are kept as if of an usual job
        usual = math.exp(sum(math.log(d) for _, d in known) / len(known))
        self._sized = fixed / usual, each / usual
        sizes = [past.size for past in self._pasts]
        typical = sorted(size for size in sizes if size is not None)[len(known) // 2]
        scales = [(fixed + each * (typical if size is None else size)) / usual for size in sizes]
        self._relative = self._believe(scales)

    def _believe(self, scales: Sequence[float]) -> DurationEstimate:
        scaled = [
            DurationSample(
                past.ended / scale,
                None if past.seen is None else past.seen / scale,
                None,
                past.reported_share,
                None if past.reported_after is None else past.reported_after / scale,
                past.began,
            )
            for past, scale in zip(self._pasts, scales, strict=True)
        ]
        old = [math.log(past.middle) for past in scaled[self._fresh :]]
        scaled = scaled[: self._fresh + _since_change(old)]
        if not scaled:
            return DurationEstimate(tuple(uninformed_prior()))
        spans = [grid_span(past.after, past.ended) for past in scaled]
        masses = _smooth(spans, *_rough(scaled))
        masses = _smooth(spans, *moments(fit_turnbull(spans, masses, 0.0, 3)))
        bias, doubt = _progress(scaled)
        return DurationEstimate(tuple(masses), bias, doubt, _blind(scaled))


def _smooth(spans: Sequence[tuple[int, int]], centre: float, spread: float) -> list[float]:
    doubtful = math.sqrt((len(spans) * spread**2 + 0.5) / (len(spans) + 1))
    curve = lognormal(centre, max(doubtful, NARROWEST))
    prior = [
        (CURVE * x + STRANGER * y) / (CURVE + STRANGER)
        for x, y in zip(curve, uninformed_prior(), strict=True)
    ]
    return fit_turnbull(spans, prior, CURVE + STRANGER, 10)


def _rough(pasts: Sequence[DurationSample]) -> tuple[float, float]:
    """Mean and deviation of the logarithms; the more exactly an end is known, the more it counts."""
    weights = [0.05 + past.after / past.ended for past in pasts]
    logs = [math.log(past.middle) for past in pasts]
    total = sum(weights)
    mean = sum(w * x for w, x in zip(weights, logs, strict=True)) / total
    return mean, math.sqrt(sum(w * (x - mean) ** 2 for w, x in zip(weights, logs, strict=True)) / total)


def _progress(pasts: Sequence[DurationSample]) -> tuple[float, float]:
    errors = [
        (math.log(past.middle) + math.log(past.reported_share) - math.log(past.reported_after))
        / slack(past.reported_share)
        for past in pasts
        if past.reported_share is not None
        and past.reported_after is not None
        and past.reported_share > 0
        and past.reported_after > 0
    ]
    count = len(errors) + DOUBTED
    bias = sum(errors) / count
    return bias, math.sqrt((sum((error - bias) ** 2 for error in errors) + DOUBTED * DOUBT**2) / count)


def _since_change(logs: Sequence[float]) -> int:
    """How many of the last ones belong together; all, if nothing has changed."""
    best, since = CHANGE, len(logs)
    for recent in (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128):
        if len(logs) < recent + 4:
            break
        new, old = logs[:recent], logs[recent:]
        spread = math.sqrt((_variance(new) * recent + _variance(old) * len(old)) / len(logs)) + 0.05
        error = spread * math.sqrt(1 / recent + 1 / len(old))
        change = abs(sum(new) / recent - sum(old) / len(old)) / error
        if change > best:
            best, since = change, recent
    return since


def _fresh(pasts: Sequence[DurationSample]) -> int:
    """How many of the last ones began so lately that of those which began beside them the longest still run."""
    longest = max((past.ended for past in pasts), default=0.0)
    now = max((past.began + past.ended for past in pasts), default=0.0)
    return sum(1 for past in pasts if past.began > now - longest)


def _blind(pasts: Sequence[DurationSample]) -> float:
    """The time before which hardly any of the last jobs was seen running, though all took longer; 0 if seen."""
    last = pasts[:OF]
    if len(last) < OF:
        return 0.0
    half = sorted(past.ended for past in last)[OF // 2] / 2
    watched = sum(1 for past in last if past.seen is None or past.seen >= half * 0.8)
    return half if watched < SEEN else 0.0


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)
