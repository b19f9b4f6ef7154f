"""The common base of the simulator's parts: its state, and answers in Creditsafe's shapes."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import Handler, SandboxState, Simulator, TimedJob
from sandbox.creditsafe.store import Store

BASE = "/v1/datastudio/portfolios"
PORTFOLIO = f"{BASE}/{{portfolioId}}"
#: Assumed; neither the default nor the limit of `pageSize` is published.
PAGE_SIZE, LARGEST_PAGE = 100, 1_000


class Refused(Exception):
    """Ends a request with an error answer."""

    def __init__(self, status: int, message: str, details: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details


@dataclass
class Portfolio:
    """A portfolio; its records are in the store."""

    id: str
    name: str
    description: str | None
    created_at: float
    modified_at: float


@dataclass
class Execution:
    """A run of a service over a portfolio.

    Attributes:
        service: `match`, `duplicates`, `remove`, `enrich` or `import`.
        finish: does the work, once the time is up; gives the summary.
    """

    id: str
    portfolio: Portfolio
    service: str
    timed: TimedJob
    finish: Callable[[Execution], dict[str, Any]]
    summary: dict[str, Any] | None = None


@dataclass
class State:
    """All that the vendor knows."""

    store: Store = field(default_factory=Store)
    portfolios: dict[str, Portfolio] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)
    tokens: dict[str, float] = field(default_factory=dict)
    links: dict[str, tuple[str, float]] = field(default_factory=dict)


class Part(Simulator):
    """A part of the simulator; its endpoints may raise `Refused`."""

    vendor = "creditsafe"

    def __init__(self, state: SandboxState) -> None:
        super().__init__(state)
        self.data = State()

    def refuse(self, status: int, message: str, details: str = "") -> Response:
        """An error body of the family that Creditsafe Connect uses for that status."""
        match status:
            case 401:
                return JSONResponse({"error": message}, status)
            case 403:
                return JSONResponse({"message": "Access forbidden"}, status)
            case 404:
                return JSONResponse({"message": message}, status)
            case 429:
                return Response(status_code=status)  # its body is not published
            case _:
                body = {"correlationId": str(uuid.uuid4()), "message": message, "details": details}
                return JSONResponse(body, status)

    def portfolio(self, request: Request) -> Portfolio:
        """The portfolio of the path, with the work of all runs that are over done. Refused as 404."""
        portfolio = self.data.portfolios.get(request.path_params["portfolioId"])
        if portfolio is None:
            raise Refused(404, "portfolio not found")
        self.settle()
        return portfolio

    def run(
        self, portfolio: Portfolio, service: str, finish: Callable[[Execution], dict[str, Any]]
    ) -> Execution:
        """A run that begins now; the caller puts it among the executions."""
        runs = self.data.executions.values()
        first = not any(run.portfolio is portfolio and run.service == service for run in runs)
        fails = "[fails]" in portfolio.name or ("[fails once]" in portfolio.name and first)
        timed = TimedJob(self.state.clock(), self.state.queue_seconds, self.state.job_seconds, fails)
        return Execution(str(uuid.uuid4()), portfolio, service, timed, finish)

    def settle(self) -> None:
        """Do the work of the runs whose time is up, in the order in which they end."""
        now = self.state.clock()
        over = [e for e in self.data.executions.values() if e.summary is None and e.timed.ended(now)]
        for execution in sorted(over, key=lambda execution: execution.timed.ends_at):
            with self.data.store.whole():
                execution.summary = {} if execution.timed.fails else execution.finish(execution)

    def link(self, file: str) -> str:
        """A new link to a file, good for `state.link_seconds`."""
        token = secrets.token_urlsafe(16)
        self.data.links[token] = (file, self.state.clock() + self.state.link_seconds)
        return f"{self.state.links}/creditsafe/files/{token}.csv"

    def _endpoint(
        self, name: str, handler: Handler[Any], *, public: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(part: Part, request: Request) -> Response:
            try:
                return await handler(part, request)
            except Refused as refused:
                return part.refuse(refused.status, refused.message, refused.details)

        return super()._endpoint(name, guarded, public=public)


async def body(request: Request, *allowed: str) -> dict[str, Any]:
    """The JSON object in the body with no other than the allowed keys. Refused as 400."""
    raw = await request.body()
    if not raw and not request.headers.get("content-type"):
        return {}
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise Refused(400, "invalid request", "the body must be application/json")
    try:
        document = json.loads(raw)
    except ValueError:
        raise Refused(400, "invalid request", "the body is not JSON") from None
    if not isinstance(document, dict):
        raise Refused(400, "invalid request", "the body must be an object")
    if unknown := sorted(document.keys() - set(allowed)):
        raise Refused(400, "invalid request", f"unknown property: {', '.join(unknown)}")
    return document


def text(found: dict[str, Any], name: str, *, least: int = 0, most: int = 2_000) -> str | None:
    """A string of the body, or None; refused as 400 when it is something else, too short or too long."""
    value = found.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not least <= len(value) <= most:
        raise Refused(400, "invalid request", f"{name} must be a string of {least} to {most} characters")
    return value


def texts(found: dict[str, Any], name: str) -> list[str]:
    """A list of one or more strings of the body; refused as 400 when it is something else."""
    value = found.get(name)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise Refused(400, "invalid request", f"{name} must be a list of one or more strings")
    return value


def page(request: Request, total: int) -> tuple[int, int, dict[str, Any]]:
    """Offset, size and the envelope of a listing, in Creditsafe Connect's shape. Refused as 400."""
    number = _whole(request, "page", 0, 0, 10_000_000)
    size = _whole(request, "pageSize", PAGE_SIZE, 1, LARGEST_PAGE)
    last = max(0, (total - 1) // size)
    paging = {
        "size": size,
        "prev": number - 1 if 0 < number <= last + 1 else None,
        "next": number + 1 if number < last else None,
        "last": last,
    }
    return number * size, size, {"totalCount": total, "paging": paging}


def _whole(request: Request, name: str, default: int, least: int, most: int) -> int:
    value = request.query_params.get(name, str(default))
    if not (value.isascii() and value.isdigit()) or not least <= int(value) <= most:
        raise Refused(400, "invalid request", f"{name} must be a number from {least} to {most}")
    return int(value)
