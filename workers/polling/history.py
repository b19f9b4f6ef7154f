"""Durations of earlier vendor jobs, and the estimate of the next one from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workers.ledger.records import DurationSample
from workers.polling.distribution import fit_turnbull, grid_span, lognormal, moments, uninformed_prior

#: The newest samples of a step; older ones are ignored.
HISTORY_JOBS = 300
#: Weights of the two priors, in jobs: a log-normal curve through the samples, and the uninformed prior.
CURVE_WEIGHT, UNINFORMED_WEIGHT = 2.0, 0.3
#: Smallest standard deviation of the curve, in logarithms: about a tenth.
CURVE_SPREAD_MIN = 0.1
#: Two periods differ if their mean logarithms differ by more than this many standard errors.
CHANGE_STANDARD_ERRORS = 4.0
#: Sizes are used only if they explain at least this share of the variance of the logarithms.
SIZE_EXPLAINED_SHARE = 0.15
#: Prior of the error of vendor-reported progress (standard deviation of logarithms), and its weight in jobs.
PROGRESS_ERROR_PRIOR, PROGRESS_ERROR_WEIGHT = 0.7, 3.0
#: The first poll comes at half its time if fewer than `SEEN_MIN` of the last `SEEN_JOBS` jobs were seen running by then.
SEEN_MIN, SEEN_JOBS = 2, 16


@dataclass(frozen=True)
class DurationEstimate:
    """An estimate of a job's duration, on a grid divided by a scale, and of the error of the vendor's progress.

    Attributes:
        masses: probabilities on the grid.
        bias: mean error of durations extrapolated from progress, as a logarithm, per share that is not done.
        doubt: standard deviation of that error.
        halve: half the median duration if lately no poll came early enough to show whether jobs end long before the
            first one; otherwise 0. The first poll then comes at this time.
    """

    masses: tuple[float, ...]
    bias: float = 0.0
    doubt: float = PROGRESS_ERROR_PRIOR
    halve: float = 0.0


def slack(share: float) -> float:
    """Return how much an extrapolation from `share` may err, relative to one from nothing."""
    return 1.1 - share


class History:
    """Earlier durations of one command's step, newest end first.

    Creating one takes a few milliseconds; querying it takes none.
    """

    def __init__(self, samples: Sequence[DurationSample] = ()) -> None:
        ended = [sample for sample in samples[:HISTORY_JOBS] if 0 < sample.ended < math.inf]
        # A batch finishes shortest-first, which would look like a slowdown: order by start before testing for a change.
        self._samples = sorted(ended, key=lambda sample: -sample.began)
        self._fresh_count = _fresh_count(self._samples)
        self._sized: tuple[float, float] | None = None
        self._plain = self._estimate([1.0] * len(self._samples))
        self._relative = self._plain
        self._fit_sizes()

    def __len__(self) -> int:
        return len(self._samples)

    def estimate(self, size: int | None) -> tuple[DurationEstimate, float]:
        """Return the estimate for a job of `size` rows, and the seconds by which its grid is multiplied."""
        if size is None or self._sized is None:
            return self._plain, 1.0
        fixed, each = self._sized
        scale = fixed + each * size
        return (self._relative, scale) if scale > 0 else (self._plain, 1.0)

    def _fit_sizes(self) -> None:
        """Fit duration = fixed + each · rows by least squares of relative errors, and keep it if it explains enough."""
        known = [(sample.size, sample.middle) for sample in self._samples if sample.size is not None]
        if len(known) < max(4, 0.8 * len(self._samples)):
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
        if len(ratios) < len(known) or _variance(ratios) > (1 - SIZE_EXPLAINED_SHARE) * _variance(
            [math.log(d) for _, d in known]
        ):
            return
        # The grid's cells are a few percent of a second or more: ratios are kept as if of an average job.
        usual = math.exp(sum(math.log(d) for _, d in known) / len(known))
        self._sized = fixed / usual, each / usual
        sizes = [sample.size for sample in self._samples]
        typical = sorted(size for size in sizes if size is not None)[len(known) // 2]
        scales = [(fixed + each * (typical if size is None else size)) / usual for size in sizes]
        self._relative = self._estimate(scales)

    def _estimate(self, scales: Sequence[float]) -> DurationEstimate:
        scaled = [
            DurationSample(
                sample.ended / scale,
                None if sample.seen is None else sample.seen / scale,
                None,
                sample.reported_share,
                None if sample.reported_after is None else sample.reported_after / scale,
                sample.began,
            )
            for sample, scale in zip(self._samples, scales, strict=True)
        ]
        old = [math.log(sample.middle) for sample in scaled[self._fresh_count :]]
        scaled = scaled[: self._fresh_count + _since_change(old)]
        if not scaled:
            return DurationEstimate(tuple(uninformed_prior()))
        spans = [grid_span(sample.after, sample.ended) for sample in scaled]
        masses = _smooth(spans, *_weighted_moments(scaled))
        masses = _smooth(spans, *moments(fit_turnbull(spans, masses, 0.0, 3)))
        bias, doubt = _progress_error(scaled)
        return DurationEstimate(tuple(masses), bias, doubt, _half_if_unseen(scaled))


def _smooth(spans: Sequence[tuple[int, int]], centre: float, spread: float) -> list[float]:
    spread_with_prior = math.sqrt((len(spans) * spread**2 + 0.5) / (len(spans) + 1))
    curve = lognormal(centre, max(spread_with_prior, CURVE_SPREAD_MIN))
    prior = [
        (CURVE_WEIGHT * x + UNINFORMED_WEIGHT * y) / (CURVE_WEIGHT + UNINFORMED_WEIGHT)
        for x, y in zip(curve, uninformed_prior(), strict=True)
    ]
    return fit_turnbull(spans, prior, CURVE_WEIGHT + UNINFORMED_WEIGHT, 10)


def _weighted_moments(samples: Sequence[DurationSample]) -> tuple[float, float]:
    """Return mean and standard deviation of the logarithms; samples with a narrower interval weigh more."""
    weights = [0.05 + sample.after / sample.ended for sample in samples]
    logs = [math.log(sample.middle) for sample in samples]
    total = sum(weights)
    mean = sum(w * x for w, x in zip(weights, logs, strict=True)) / total
    return mean, math.sqrt(sum(w * (x - mean) ** 2 for w, x in zip(weights, logs, strict=True)) / total)


def _progress_error(samples: Sequence[DurationSample]) -> tuple[float, float]:
    errors = [
        (math.log(sample.middle) + math.log(sample.reported_share) - math.log(sample.reported_after))
        / slack(sample.reported_share)
        for sample in samples
        if sample.reported_share is not None
        and sample.reported_after is not None
        and sample.reported_share > 0
        and sample.reported_after > 0
    ]
    count = len(errors) + PROGRESS_ERROR_WEIGHT
    bias = sum(errors) / count
    return bias, math.sqrt(
        (sum((error - bias) ** 2 for error in errors) + PROGRESS_ERROR_WEIGHT * PROGRESS_ERROR_PRIOR**2)
        / count
    )


def _since_change(logs: Sequence[float]) -> int:
    """Return how many of the newest values belong together; all, if nothing has changed."""
    best, since = CHANGE_STANDARD_ERRORS, len(logs)
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


def _fresh_count(samples: Sequence[DurationSample]) -> int:
    """Return how many of the newest jobs began so lately that slow jobs started with them still run."""
    longest = max((sample.ended for sample in samples), default=0.0)
    now = max((sample.began + sample.ended for sample in samples), default=0.0)
    return sum(1 for sample in samples if sample.began > now - longest)


def _half_if_unseen(samples: Sequence[DurationSample]) -> float:
    """Return the time before which hardly any recent job was seen running, though all took longer; 0 if enough were."""
    last = samples[:SEEN_JOBS]
    if len(last) < SEEN_JOBS:
        return 0.0
    half = sorted(sample.ended for sample in last)[SEEN_JOBS // 2] / 2
    watched = sum(1 for sample in last if sample.seen is None or sample.seen >= half * 0.8)
    return half if watched < SEEN_MIN else 0.0


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)
