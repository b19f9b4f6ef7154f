"""`creditsafe.delete_portfolio`."""

from __future__ import annotations

from messages.creditsafe import DeletePortfolio, DeletePortfolioResult
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.registry import Services


def delete_portfolio(command: DeletePortfolio, run: Run, services: Services) -> DeletePortfolioResult:
    """Delete a portfolio with its records. One that is not there (any more) is as good as deleted."""
    portfolio_id = command.portfolio_id
    run.once("delete", lambda: services.creditsafe.portfolios.delete(portfolio_id), recover=repeatable)
    return DeletePortfolioResult(portfolio_id=portfolio_id)
