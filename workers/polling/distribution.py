"""A probability distribution of a duration: masses on a fixed grid of times, each cell 2.5 % longer than the one before.

On such a grid everything known is a row of numbers: earlier durations, a vendor's percentage, and both together.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

GRID_RATIO = 1.025
#: Ends of the cells in seconds: the first runs from 0 to a quarter second, the last ends after almost two days.
EDGES = (0.0, *(0.25 * GRID_RATIO**n for n in range(545)))
CELLS = len(EDGES) - 1
#: Logarithm of each cell's middle.
LOGS = tuple(math.log((low + high) / 2) for low, high in pairwise(EDGES))
#: Median of the uninformed prior; three quarters of it are done after three times as long.
UNKNOWN_MEDIAN_SECONDS = 30.0


def uninformed_prior() -> list[float]:
    """Return the prior of a job of which nothing is known: the longer it has run, the longer it will still run."""
    passed = [edge / (UNKNOWN_MEDIAN_SECONDS + edge) for edge in EDGES]
    return [high - low for low, high in pairwise(passed)]


def lognormal(centre: float, spread: float) -> list[float]:
    """Return the distribution whose logarithms are normal around `centre` with the standard deviation `spread`."""
    ends = (-math.inf, *(math.log(edge) for edge in EDGES[1:]))
    passed = [0.5 * (1 + math.erf((end - centre) / (spread * math.sqrt(2)))) for end in ends]
    return [high - low for low, high in pairwise(passed)]


def grid_span(low: float, high: float) -> tuple[int, int]:
    """Return the cells that the times after `low` up to `high` touch: the first, and the one after the last."""
    first = min(bisect_right(EDGES, low) - 1, CELLS - 1)
    return first, max(min(bisect_left(EDGES, high), CELLS), first + 1)


def fit_turnbull(
    spans: Sequence[tuple[int, int]], prior: Sequence[float], weight: float, rounds: int
) -> list[float]:
    """Return the distribution most likely behind the spans of cells: each job ended somewhere within its own.

    This is Turnbull's self-consistent estimate for interval-censored samples: each round spreads every job over its span
    as all jobs together are spread. The prior counts as `weight` further jobs.
    """
    masses = list(prior)
    for _ in range(rounds):
        sums = [0.0, *accumulate(masses)]
        slopes = [0.0] * (CELLS + 1)
        for first, end in spans:
            share = 1.0 / max(sums[end] - sums[first], 1e-300)
            slopes[first] += share
            slopes[end] -= share
        scale = 1.0 / (len(spans) + weight)
        heights = accumulate(slopes)
        masses = [
            scale * (mass * max(height, 0.0) + weight * before)
            for mass, height, before in zip(masses, heights, prior, strict=False)
        ]
    return masses


def moments(masses: Iterable[float]) -> tuple[float, float]:
    """Return mean and standard deviation of the logarithm of the duration."""
    row = list(masses)
    total = sum(row)
    mean = sum(mass * log for mass, log in zip(row, LOGS, strict=False)) / total
    square = sum(mass * (log - mean) ** 2 for mass, log in zip(row, LOGS, strict=False)) / total
    return mean, math.sqrt(square)
