"""Count the records of a portfolio, and how many were removed from it."""

from __future__ import annotations

from clients.creditsafe import Creditsafe
from workers.engine.context import Run
from workers.engine.recovery import repeatable


def record_count(creditsafe: Creditsafe, portfolio_id: str) -> dict[str, int | None]:
    """Return how many `records` a portfolio has, by the portfolio itself or its listing; None if neither says."""
    count = creditsafe.portfolios.get(portfolio_id).record_count
    if count is None:
        count = creditsafe.records.list(portfolio_id, page_size=1).total_count
    return {"records": count}


def count_removed(
    run: Run,
    creditsafe: Creditsafe,
    portfolio_id: str,
    before: int | None,
    *,
    least: int = 0,
    most: int | None = None,
) -> int | None:
    """By how many records a portfolio has shrunk since it had `before`; None if Creditsafe does not count.

    Others may have added or deleted some meanwhile, so the number is kept between `least`, what is known to
    be gone, and `most`.
    """
    now = run.once("count again", lambda: record_count(creditsafe, portfolio_id), recover=repeatable)[
        "records"
    ]
    if now is None or before is None:
        return None
    removed = max(before - now, least)
    return removed if most is None else min(removed, most)
