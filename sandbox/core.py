"""What the simulators share: effects counted, faults on demand, jobs that take their time.

A simulator is a class whose endpoints are methods:

    class Data8(Simulator):
        vendor = "data8"

        @serves("POST /Job")
        async def jobs_create(self, request: Request) -> Response: …

Everything runs on one event loop: no endpoint awaits between reading and changing state, so no locks.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

S = TypeVar("S", bound="Simulator")
Handler = Callable[[S, Request], Awaitable[Response]]

#: The credentials that every simulator accepts. They are no secret: they open nothing else.
USERNAME = "sandbox"
PASSWORD = "sandbox"  # noqa: S105 - see above


KINDS = ("status", "slow", "lost_before", "lost_after", "expire")


@dataclass
class Fault:
    """Something to go wrong with the next calls of one operation.

    Attributes:
        kind: `status` (answer `status` without effect), `slow` (wait `seconds`, then act),
            `lost_before` (cut the connection without effect), `lost_after` (act, then cut),
            `expire` (forget all tokens, so that the call is answered 401).
        times: how many calls it strikes.
        chance: 0 to 1: the share of calls that it strikes, until `times` is used up.
        retry_after: seconds for the `Retry-After` header of a `status` answer.
        body: what a `status` answer holds in place of the vendor's own error: HTML, as proxies give it,
            or nothing.
    """

    kind: str
    times: int = 1
    chance: float = 1.0
    status: int = 500
    seconds: float = 0.0
    retry_after: float | None = None
    body: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a fault's kind is one of {', '.join(KINDS)}")


@dataclass
class SandboxState:
    """The state that all simulators share and `/_sandbox/` shows and sets.

    Attributes:
        job_seconds: how long a vendor job runs, from start to end.
        queue_seconds: how long it waits before it begins to run.
        link_seconds: how long a result link stays valid.
        page_limit: no page of Sayari's lists holds more, whatever is asked for; the documented limits are higher.
        releases: how many data releases Sayari has had; with a further one, all change notifications are new.
        links: base URL of result links: another host name than the API's, as with the vendors.
        effects: how often each effect happened, by (operation, natural key).
        calls: how often each operation was called, faults included.
        clock: epoch seconds.
    """

    job_seconds: float = 2.0
    queue_seconds: float = 0.2
    link_seconds: float = 300.0
    page_limit: int = 1_000
    releases: int = 1
    links: str = "http://localhost"
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    faults: defaultdict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    clock: Callable[[], float] = time.time

    def effect(self, operation: str, key: str) -> None:
        """Count one effect, e.g. `("data8.jobs.create", job name)`. Tests hold these counts against 1."""
        self.effects[operation, key] += 1

    def pop_fault(self, operation: str) -> Fault | None:
        """The fault that strikes this call of `operation`, if one is due."""
        waiting = self.faults[operation] or self.faults["*"]
        if not waiting:
            return None
        fault = waiting[0]
        if random.random() >= fault.chance:  # noqa: S311 - no secret
            return None
        fault.times -= 1
        if fault.times <= 0:
            waiting.popleft()
        return fault


class Simulator:
    """One vendor. Subclasses set `vendor` and serve operations with methods named after them."""

    vendor: ClassVar[str]

    def __init__(self, state: SandboxState) -> None:
        self.state = state

    def expire_tokens(self) -> None:
        """Forget every token handed out."""
        raise NotImplementedError

    def refuse(self, status: int, message: str) -> Response:
        """An error answer in the vendor's own shape."""
        raise NotImplementedError

    def authorised(self, request: Request) -> bool:
        """Return whether the request has a valid token of this simulator."""
        raise NotImplementedError

    def routes(self) -> list[Route]:
        """All operations served, the more specific paths first as written."""
        matching = [
            (order, Route(path, self._endpoint(name, handler, public=public), methods=[verb]))
            for name, handler in self._handlers()
            for order, verb, path, public in handler.serves
        ]
        return [route for _, route in sorted(matching, key=lambda entry: entry[0])]

    def operations(self) -> set[str]:
        """The names of all operations served, e.g. `data8.jobs.create`."""
        return {self._operation(name) for name, _ in self._handlers()}

    def _handlers(self) -> Iterator[tuple[str, Any]]:
        for part in type(self).__mro__:  # a large simulator may be written in several classes
            for name, handler in vars(part).items():
                if hasattr(handler, "serves"):
                    yield name, handler

    def _operation(self, name: str) -> str:
        return f"{self.vendor}.{name.replace('__', '.')}"

    def _endpoint(
        self, name: str, handler: Handler[Any], *, public: bool
    ) -> Callable[[Request], Awaitable[Response]]:
        operation = self._operation(name)

        async def endpoint(request: Request) -> Response:
            self.state.calls[operation] += 1
            fault = self.state.pop_fault(operation)
            if fault is not None:
                if fault.kind == "slow":
                    await request.body()  # all is there: it takes effect even if the caller hangs up
                    await asyncio.sleep(fault.seconds)
                elif fault.kind == "lost_before":
                    return DroppedConnection()
                elif fault.kind == "expire":
                    self.expire_tokens()
                elif fault.kind == "status":
                    await request.body()
                    return self._answer(fault)
            if not public and not self.authorised(request):
                return self.refuse(401, "token missing, unknown or expired")
            answer = await handler(self, request)
            return DroppedConnection() if fault is not None and fault.kind == "lost_after" else answer

        return endpoint

    def _answer(self, fault: Fault) -> Response:
        if fault.body is None:
            answer = self.refuse(fault.status, "fault on demand")
        else:
            answer = Response(fault.body, fault.status, media_type="text/html" if fault.body else None)
        if fault.retry_after is not None:
            answer.headers["retry-after"] = f"{fault.retry_after:g}"
        return answer


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


class DroppedConnection(Response):
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
        """Whether it is still queued."""
        return now < self.started + self.queue_seconds

    def ended(self, now: float) -> bool:
        """Whether it has ended, with or without success."""
        return now >= self.ends_at

    @property
    def ends_at(self) -> float:
        """Epoch seconds of its end."""
        return self.started + self.queue_seconds + self.job_seconds
