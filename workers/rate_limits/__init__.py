"""The call budgets of vendors: `calls` counts, `counting` for all threads together, `ration` chooses who goes first."""

from workers.rate_limits.limiter import (
    LEDGER_RETRY,
    PAUSE_LOOK,
    RESERVE,
    SPREAD,
    Budget,
    SharedBudget,
    budget_name,
    calls_left,
)

__all__ = [
    "LEDGER_RETRY",
    "PAUSE_LOOK",
    "RESERVE",
    "SPREAD",
    "Budget",
    "SharedBudget",
    "budget_name",
    "calls_left",
]
