"""Operations on portfolios."""

from __future__ import annotations

from collections.abc import Iterator

from clients.creditsafe.models import NewPortfolio, PortfolioChanges
from clients.creditsafe.paging import PAGE_SIZE, items, query
from clients.creditsafe.paths import path
from clients.creditsafe.replies import Page, Portfolio
from clients.errors import NotFound
from clients.operation import Call
from clients.resource import Resource, operation


class Portfolios(Resource):
    """Containers of records."""

    group = "portfolios"

    @operation("POST /v1/datastudio/portfolios")
    def create(self, call: Call, name: str, description: str | None = None) -> Portfolio:
        """Create a portfolio. Not idempotent: a repeat creates another one with the same name."""
        body = NewPortfolio(name=name, description=description)
        return call(path=path(), json=body.json_body()).model(Portfolio)

    @operation("GET /v1/datastudio/portfolios/{portfolioId}")
    def get(self, call: Call, portfolio_id: str) -> Portfolio:
        """Return a portfolio by its id. Raises `NotFound`."""
        return call(path=path(portfolio_id)).model(Portfolio)

    @operation("GET /v1/datastudio/portfolios")
    def list(self, call: Call, *, page: int = 0, page_size: int = PAGE_SIZE) -> Page[Portfolio]:
        """List one page of portfolios; the first page is 0. The path is assumed."""
        return call(path=path(), params=query(page, page_size)).model(Page[Portfolio])

    @operation("PATCH /v1/datastudio/portfolios/{portfolioId}")
    def update(
        self, call: Call, portfolio_id: str, *, name: str | None = None, description: str | None = None
    ) -> Portfolio | None:
        """Change a portfolio's name or description; the portfolio, if the answer holds it. The path is assumed."""
        body = PortfolioChanges(name=name, description=description)
        answer = call(path=path(portfolio_id), json=body.json_body())
        return answer.model(Portfolio) if answer.json() else None

    @operation("DELETE /{apiVersion}/datastudio/portfolios/{portfolioId}")
    def delete(self, call: Call, portfolio_id: str) -> bool:
        """Delete a portfolio with its records; False if it was not there (any more). May be repeated."""
        try:
            call(path=path(portfolio_id))
        except NotFound:
            return False
        return True

    def all(self, *, page_size: int = PAGE_SIZE) -> Iterator[Portfolio]:
        """Yield all portfolios; fetch one page at a time."""
        return items(lambda page: self.list(page=page, page_size=page_size))
