"""Limits of a run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunLimits:
    """Limits of a run, in seconds.

    Attributes:
        min_delay: shortest delay between two polls.
        max_delay: longest delay between two polls.
        stall_timeout: a vendor job without progress for this long is stalled.
        time_slice: of a turn: after it no further piece of a transfer and no further step begins.
        effect_settle_seconds: how long after its intent a request of a dead worker may still take effect.
        rate_limits: keys of the vendors' rate limits, as in the ledger.
    """

    min_delay: float
    max_delay: float
    stall_timeout: float
    time_slice: float
    effect_settle_seconds: float
    rate_limits: frozenset[str] = frozenset()
