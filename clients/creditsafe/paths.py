"""The parameters of Creditsafe's paths."""

from __future__ import annotations

#: The document writes `/v1` in some paths and `/{apiVersion}` in others: the same thing.
API_VERSION = "v1"


def path(portfolio_id: str = "", execution_id: str = "") -> dict[str, str]:
    """Values for `{apiVersion}`, `{portfolioId}` and `{executionId}`."""
    return {"apiVersion": API_VERSION, "portfolioId": portfolio_id, "executionId": execution_id}
