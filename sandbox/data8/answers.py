"""Answers in Data8's shapes, and the base of the simulator's parts."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import Handler, Simulator

T = TypeVar("T")
TITLES = {400: "Bad Request", 404: "Not Found", 409: "Conflict", 415: "Unsupported Media Type"}
PAGE_SIZE = 100


class Refused(Exception):
    """Ends a request with this answer."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class Body(BaseModel):
    """A request body: documented fields of documented types, nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Part(Simulator):
    """A part of the simulator; its endpoints may raise `Refused`."""

    vendor = "data8"

    def refuse(self, status: int, message: str) -> Response:
        """Problem details; a missing or expired token is answered without a body (assumed)."""
        if status == 401:  # noqa: PLR2004 - an HTTP status
            return Response(status_code=401, headers={"www-authenticate": "Bearer"})
        return problem(status, message)

    def _endpoint(
        self, name: str, handler: Handler[Any], *, public: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(part: Part, request: Request) -> Response:
            try:
                return await handler(part, request)
            except Refused as refused:
                return refused.answer

        return super()._endpoint(name, guarded, public=public)


def problem(status: int, detail: str) -> Response:
    """`ProblemDetails`."""
    body = {
        "type": f"https://httpstatuses.io/{status}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "instance": None,
    }
    return JSONResponse(body, status, media_type="application/problem+json")


def invalid(field: str, message: str) -> Refused:
    """`ValidationProblemDetails` of one field."""
    return Refused(_invalid({field: [message]}))


def absent(detail: str | None = None) -> Refused:
    """404: with a body where the document shows one, without where it does not."""
    return Refused(problem(404, detail) if detail else Response(status_code=404))


async def body(request: Request, shape: type[T], *, plain: bool = False) -> T:
    """The JSON body; refused as validation problem, or as a `plain` problem, unless it has that shape."""
    raw = await request.body()
    if not request.headers.get("content-type", "").startswith(("application/json", "text/json")):
        raise Refused(problem(415, "the body must be application/json"))
    try:
        return TypeAdapter(shape).validate_json(raw)
    except ValidationError as error:
        errors: dict[str, list[str]] = {}
        for found in error.errors(include_input=False, include_url=False)[:20]:
            errors.setdefault(".".join(map(str, found["loc"])) or "$", []).append(found["msg"])
        raise Refused(problem(400, str(errors)) if plain else _invalid(errors)) from None


def whole(request: Request, name: str, default: int | None, limit: float = math.inf) -> int:
    """A whole number from 1 to `limit` in the query."""
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    if text is None or not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= limit:
        raise invalid(name, f"must be a number from 1 to {limit:g}")
    return int(text)


def flag(request: Request, name: str) -> bool:
    """A boolean in the query, true by default."""
    text = request.query_params.get(name, "true").lower()
    if text not in {"true", "false"}:
        raise invalid(name, "must be true or false")
    return text == "true"


def page_of(items: list[T], request: Request) -> list[T]:
    """The page asked for; past the end it is empty (assumed)."""
    start = (whole(request, "page", 1) - 1) * PAGE_SIZE
    return items[start : start + PAGE_SIZE]


def moment(epoch: float | None) -> str | None:
    """Epoch seconds as Data8 writes them."""
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def here(request: Request, path: str) -> str:
    """The URL of a path of this simulator."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope['root_path']}{path}"


def done(status: int = 204, location: str | None = None) -> Response:
    """An answer without a body."""
    answer = Response(status_code=status)
    if location:
        answer.headers["location"] = location
    return answer


def _invalid(errors: dict[str, list[str]]) -> Response:
    content = {
        "errors": errors,
        "type": "https://tools.ietf.org/html/rfc9110#section-15.5.1",
        "title": "One or more validation errors occurred.",
        "status": 400,
        "detail": None,
        "instance": None,
    }
    return JSONResponse(content, 400, media_type="application/problem+json")
