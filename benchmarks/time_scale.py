"""The polling rule for vendors whose jobs are many times shorter here than in earnest."""

from __future__ import annotations

from workers.engine import history_cache
from workers.polling import distribution, policy

#: Constants that are seconds.
SECONDS = (
    (policy, ("PRICE", "BUDGETED_PRICE", "SHORT", "SCARCE", "UNKNOWN")),
    (distribution, ("UNKNOWN",)),
    (history_cache, ("KEPT",)),
)


def shorten(times: float) -> None:
    """Make the constants of the polling rule that are seconds as many times shorter as the vendor's jobs are."""
    for module, names in SECONDS:
        for name in names:
            vars(module)[name] /= times
