"""A time scale for the polling policy, for benchmarks whose vendor jobs are shorter than in production."""

from __future__ import annotations

from workers.engine import history_cache
from workers.polling import distribution, policy

#: The constants that are seconds, by module.
CONSTANTS = (
    (
        policy,
        (
            "POLL_COST_SECONDS",
            "RATE_LIMITED_POLL_COST_SECONDS",
            "SHORT_JOB_SECONDS",
            "OVERDUE_SECONDS",
            "UNKNOWN_MEDIAN_SECONDS",
        ),
    ),
    (distribution, ("UNKNOWN_MEDIAN_SECONDS",)),
    (history_cache, ("HISTORY_TTL_SECONDS",)),
)


def shorten(factor: float) -> None:
    """Divide the polling policy's constants that are seconds by the factor by which vendor jobs are shorter."""
    for module, names in CONSTANTS:
        for name in names:
            vars(module)[name] /= factor
