"""What the stand-ins share: effects counted, faults on demand, jobs that take their time.

A stand-in is a class whose endpoints are methods:

    class Data8(StandIn):
        vendor = "data8"

        @serves("POST /Job")
        async def jobs_create(self, request: Request) -> Response: …

Everything runs on one event loop: no endpoint awaits between reading and changing state, so no locks.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

S = TypeVar("S", bound="StandIn")
Handler = Callable[[S, Request], Awaitable[Response]]

#: The credentials that every stand-in accepts. They are no secret: they open nothing else.
USERNAME = "sandbox"
PASSWORD = "sandbox"  # noqa: S105 - see above


@dataclass
class Fault:
    """Something to go wrong with the next calls of one operation.

    Attributes:
        kind: `status` (answer `status` without effect), `slow` (wait `seconds`, then act),
            `lost_before` (cut the connection without effect), `lost_after` (act, then cut),
            `expire` (forget all tokens, so that the call is answered 401).
        times: how many calls it strikes.
    """

    kind: str
    times: int = 1
    status: int = 500
    seconds: float = 0.0
    retry_after: float | None = None


@dataclass
class World:
    """The state that all stand-ins share and `/_sandbox/` shows and sets.

    Attributes:
        job_seconds: how long a vendor job runs, from start to end.
        queue_seconds: how long it waits before it begins to run.
        link_seconds: how long a result link stays valid.
        links: base URL of result links: another host name than the API's, as with the vendors.
        effects: how often each effect happened, by (operation, natural key).
        calls: how often each operation was called, faults included.
        clock: epoch seconds.
    """

    job_seconds: float = 2.0
    queue_seconds: float = 0.2
    link_seconds: float = 300.0
    links: str = "http://localhost"
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    faults: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    clock: Callable[[], float] = time.time

    def effect(self, operation: str, key: str) -> None:
        """Count one effect, e.g. `("data8.jobs.create", job name)`. Tests hold these counts against 1."""
        self.effects[operation, key] += 1

    def strike(self, operation: str) -> Fault | None:
        """The fault that strikes this call of `operation`, if one is due."""
        waiting = self.faults[operation] or self.faults["*"]
        if not waiting:
            return None
        fault = waiting[0]
        fault.times -= 1
        if fault.times <= 0:
            waiting.popleft()
        return fault


class StandIn:
    """One vendor. Subclasses set `vendor` and serve operations with methods named after them."""

    vendor: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world

    def expire_tokens(self) -> None:
        """Forget every token handed out."""
        raise NotImplementedError

    def refuse(self, status: int, message: str) -> Response:
        """An error answer in the vendor's own shape."""
        raise NotImplementedError

    def authorised(self, request: Request) -> bool:
        """Whether the request carries a token of ours that has not expired."""
        raise NotImplementedError

    def routes(self) -> list[Route]:
        """All operations served, the more specific paths first as written."""
        found = [
            (order, Route(path, self._endpoint(name, handler, public=public), methods=[verb]))
            for part in type(self).__mro__  # a large stand-in may be written in several classes
            for name, handler in vars(part).items()
            for order, verb, path, public in getattr(handler, "serves", [])
        ]
        return [route for _, route in sorted(found, key=lambda entry: entry[0])]

    def _endpoint(
        self, name: str, handler: Handler[Any], *, public: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        operation = f"{self.vendor}.{name.replace('__', '.')}"

        async def endpoint(request: Request) -> Response:
            self.world.calls[operation] += 1
            fault = self.world.strike(operation)
            if fault is not None:
                if fault.kind == "slow":
                    await asyncio.sleep(fault.seconds)
                elif fault.kind == "lost_before":
                    return Cut()
                elif fault.kind == "expire":
                    self.expire_tokens()
                elif fault.kind == "status":
                    await request.body()
                    answer = self.refuse(fault.status, "fault on demand")
                    if fault.retry_after is not None:
                        answer.headers["retry-after"] = f"{fault.retry_after:g}"
                    return answer
            if not public and not self.authorised(request):
                return self.refuse(401, "token missing, unknown or expired")
            answer = await handler(self, request)
            return Cut() if fault is not None and fault.kind == "lost_after" else answer

        return endpoint


_order = iter(range(1_000_000))


def serves(*endpoints: str, public: bool = False) -> Callable[[Handler[S]], Handler[S]]:
    """Mark a method as the endpoint of `"VERB /path/{parameter}"`; several spellings may share one method.

    The method's name is the client's name of the operation, `__` for each dot:
    `jobs__create` serves `data8.jobs.create`. `public` endpoints need no token.
    """

    def mark(handler: Handler[S]) -> Handler[S]:
        marks = [(next(_order), *endpoint.split(" ", 1), public) for endpoint in endpoints]
        handler.__dict__["serves"] = marks
        return handler

    return mark


class Cut(Response):
    """A connection that breaks off in the middle of the answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Announce more than is ever sent; the server then drops the connection."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9999")]})


@dataclass
class TimedJob:
    """A vendor job that waits, runs and ends by the clock alone."""

    started: float
    queue_seconds: float
    job_seconds: float
    fails: bool = False

    def percent(self, now: float) -> float:
        """0 to 100, by elapsed time."""
        ran = now - self.started - self.queue_seconds
        if ran >= self.job_seconds:
            return 100.0
        return max(0.0, min(99.0, 100.0 * ran / self.job_seconds)) if self.job_seconds > 0 else 100.0

    def queued(self, now: float) -> bool:
        """Whether it has not begun to run."""
        return now < self.started + self.queue_seconds

    def ended(self, now: float) -> bool:
        """Whether it is over, well or not."""
        return now >= self.ends_at

    @property
    def ends_at(self) -> float:
        """Epoch seconds of its end."""
        return self.started + self.queue_seconds + self.job_seconds


def control_routes(world: World, stand_ins: list[StandIn]) -> list[Route]:
    """`/_sandbox/…`: see the counters, set durations, order faults, forget tokens."""

    async def effects(_: Request) -> Response:
        return JSONResponse(
            [{"operation": op, "key": key, "count": n} for (op, key), n in sorted(world.effects.items())]
        )

    async def calls(_: Request) -> Response:
        return JSONResponse(dict(sorted(world.calls.items())))

    async def faults(request: Request) -> Response:
        order = await request.json()
        world.faults[order.pop("operation", "*")].append(Fault(**order))
        return JSONResponse({}, status_code=201)

    async def settings(request: Request) -> Response:
        for name, value in (await request.json()).items():
            if name not in {"job_seconds", "queue_seconds", "link_seconds"}:
                return JSONResponse({"error": f"no setting {name}"}, status_code=400)
            setattr(world, name, float(value))
        return JSONResponse({})

    async def expire(_: Request) -> Response:
        for stand_in in stand_ins:
            stand_in.expire_tokens()
        return JSONResponse({})

    return [
        Route("/_sandbox/effects", effects),
        Route("/_sandbox/calls", calls),
        Route("/_sandbox/faults", faults, methods=["POST"]),
        Route("/_sandbox/settings", settings, methods=["POST"]),
        Route("/_sandbox/expire-tokens", expire, methods=["POST"]),
    ]
