"""Bounds of every run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunLimits:
    """Bounds of a run, in seconds.

    Attributes:
        min_delay: shortest wait between two looks.
        max_delay: longest.
        stall: how long no progress at the vendor is borne.
        slice: longest part of a transfer in one turn; a turn begins no other step behind it.
        in_flight: how long after its intent a request of a dead worker may still take effect.
        budgets: those of vendors' calls that are limited, as the ledger calls them.
    """

    min_delay: float
    max_delay: float
    stall: float
    slice: float
    effect_settle_seconds: float
    rate_limits: frozenset[str] = frozenset()
