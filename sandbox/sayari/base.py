"""The common base of the simulator's parts: errors in Sayari's shape, its times, its history."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import SandboxState, Simulator
from sandbox.sayari.paging import Refused
from sandbox.sayari.register import register

Endpoint = Callable[[Request], Awaitable[Response]]


class Part(Simulator):
    """A part of Sayari.

    Attributes:
        sdk_compat: nest the relationships of paths as the official Python package demands; the
            reference has them otherwise.
    """

    vendor = "sayari"
    sdk_compat = False

    def __init__(self, state: SandboxState) -> None:
        super().__init__(state)
        self.register = register()
        self.events: deque[dict[str, Any]] = deque(maxlen=10_000)

    def refuse(self, status: int, message: str) -> Response:
        """Sayari's error: the reference has `messages`, later versions `message`."""
        words = [message]
        body = {"status": status, "success": False, "messages": words, "message": words}
        return JSONResponse(body, status_code=status)

    def _endpoint(
        self, name: str, handler: Callable[[Any, Request], Awaitable[Response]], *, public: bool
    ) -> Endpoint:
        async def checked(simulator: Any, request: Request) -> Response:
            try:
                return await handler(simulator, request)
            except Refused as refused:
                return self.refuse(refused.status, refused.message)

        return super()._endpoint(name, checked, public=public)

    def stats(self, event: str, key: str) -> None:
        """Count an effect on `key` and keep it for the history."""
        self.state.effect(f"{self.vendor}.{event}", key)
        self.events.append(
            {
                "user": "auth0|sandbox",
                "environment": "sandbox",
                "event": event.replace(".", "_"),
                "data": {"id": key},
                "timestamp": iso(self.state.clock()),
            }
        )


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of a request."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused(400, "the body must be a JSON object")
    return body


def stamp(epoch: float) -> str:
    """`2022-02-28 16:22:25.28231+00`: as Postgres writes it, trailing zeros trimmed."""
    text = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "+00"


def iso(epoch: float) -> str:
    """`2022-03-08T16:55:28.224Z`."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
