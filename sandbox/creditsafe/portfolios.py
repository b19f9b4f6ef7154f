"""Endpoints of portfolios."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import serves
from sandbox.creditsafe.base import BASE, PORTFOLIO, Part, Portfolio, Refused, body, page, text


class Portfolios(Part):
    """Containers of records."""

    @serves(f"POST {BASE}")
    async def portfolios__create(self, request: Request) -> Response:
        """A new portfolio; its name need not be unique (assumed)."""
        fields = await body(request, "name", "description")
        name = text(fields, "name", least=1, most=255)
        if name is None:
            raise Refused(400, "invalid request", "name is required")
        now = self.state.clock()
        portfolio = Portfolio(str(uuid.uuid4()), name, text(fields, "description"), now, now)
        self.data.portfolios[portfolio.id] = portfolio
        self.state.effect("creditsafe.portfolios.create", name)
        return JSONResponse(self._described(portfolio), 201)

    @serves(f"GET {PORTFOLIO}")
    async def portfolios__get(self, request: Request) -> Response:
        """One portfolio."""
        return JSONResponse(self._described(self.portfolio(request)))

    @serves(f"GET {BASE}")
    async def portfolios__list(self, request: Request) -> Response:
        """A page of portfolios, oldest first."""
        self.settle()
        portfolios = list(self.data.portfolios.values())
        offset, size, envelope = page(request, len(portfolios))
        shown = [self._described(portfolio) for portfolio in portfolios[offset : offset + size]]
        return JSONResponse(envelope | {"data": shown})

    @serves(f"PATCH {PORTFOLIO}")
    async def portfolios__update(self, request: Request) -> Response:
        """Change name or description."""
        portfolio = self.portfolio(request)
        fields = await body(request, "name", "description")
        if not fields:
            raise Refused(400, "invalid request", "name or description is required")
        name, description = text(fields, "name", least=1, most=255), text(fields, "description")
        portfolio.name = portfolio.name if name is None else name
        portfolio.description = portfolio.description if description is None else description
        portfolio.modified_at = self.state.clock()
        self.state.effect("creditsafe.portfolios.update", portfolio.id)
        return Response(status_code=204)

    @serves(f"DELETE {PORTFOLIO}")
    async def portfolios__delete(self, request: Request) -> Response:
        """Delete a portfolio with its records and runs; a second time it is not found."""
        portfolio = self.portfolio(request)
        del self.data.portfolios[portfolio.id]
        self.data.store.drop(portfolio.id)
        runs = self.data.executions
        for id in [id for id, run in runs.items() if run.portfolio is portfolio]:
            del runs[id]
            self.data.store.drop(id)
        self.state.effect("creditsafe.portfolios.delete", portfolio.id)
        return Response(status_code=204)

    def _described(self, portfolio: Portfolio) -> dict[str, Any]:
        return {
            "portfolioId": portfolio.id,
            "name": portfolio.name,
            "description": portfolio.description,
            "createdAt": _time(portfolio.created_at),
            "modifiedAt": _time(portfolio.modified_at),
            "recordCount": self.data.store.count(portfolio.id),
        }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
