"""What is believed of a duration: masses on a fixed grid of times, each cell 2.5 % longer than the one before.

On such a grid everything that is known is a row of numbers: the past, a vendor's percentage, and both together.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

GRID_RATIO = 1.025
#: Ends of the cells in seconds: the first is from 0 to a quarter second, the last ends after almost two days.
EDGES = (0.0, *(0.25 * GRID_RATIO**n for n in range(545)))
CELLS = len(EDGES) - 1
#: The logarithm of each cell's middle.
LOGS = tuple(math.log((low + high) / 2) for low, high in pairwise(EDGES))
#: Of jobs of which nothing is known, half are done after so many seconds, three quarters after three times as many.
UNKNOWN_MEDIAN_SECONDS = 30.0


def uninformed_prior() -> list[float]:
    """The belief about a job of which nothing is known: the longer it has run, the longer it will yet."""
    passed = [edge / (UNKNOWN_MEDIAN_SECONDS + edge) for edge in EDGES]
    return [high - low for low, high in pairwise(passed)]


def lognormal(centre: float, spread: float) -> list[float]:
    """Durations whose logarithms are normal around `centre` with the deviation `spread`."""
    ends = (-math.inf, *(math.log(edge) for edge in EDGES[1:]))
    passed = [0.5 * (1 + math.erf((end - centre) / (spread * math.sqrt(2)))) for end in ends]
    return [high - low for low, high in pairwise(passed)]


def grid_span(low: float, high: float) -> tuple[int, int]:
    """The cells that the times after `low` up to `high` touch: first, and behind the last."""
    first = min(bisect_right(EDGES, low) - 1, CELLS - 1)
    return first, max(min(bisect_left(EDGES, high), CELLS), first + 1)


def fit_turnbull(
    spans: Sequence[tuple[int, int]], prior: Sequence[float], weight: float, rounds: int
) -> list[float]:
    """The durations most likely behind spans of cells: each job ended somewhere within its own.

    Turnbull's self-consistent estimate: every job is spread over its span as all jobs together are, again
    and again. The prior counts as `weight` jobs more.
    """
    masses = list(prior)
    for _ in range(rounds):
        sums = [0.0, *accumulate(masses)]
        slopes = [0.0] * (CELLS + 1)
        for first, behind in spans:
            share = 1.0 / max(sums[behind] - sums[first], 1e-300)
            slopes[first] += share
            slopes[behind] -= share
        scale = 1.0 / (len(spans) + weight)
        heights = accumulate(slopes)
        masses = [
            scale * (mass * max(height, 0.0) + weight * before)
            for mass, height, before in zip(masses, heights, prior, strict=False)
        ]
    return masses


def moments(masses: Iterable[float]) -> tuple[float, float]:
    """Mean and deviation of the logarithm of the duration."""
    row = list(masses)
    total = sum(row)
    mean = sum(mass * log for mass, log in zip(row, LOGS, strict=False)) / total
    square = sum(mass * (log - mean) ** 2 for mass, log in zip(row, LOGS, strict=False)) / total
    return mean, math.sqrt(square)
