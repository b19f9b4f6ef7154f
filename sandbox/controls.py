"""`/_sandbox/…`: see the counters, set durations, order faults, forget tokens."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.core import Fault, SandboxState, Simulator

SETTINGS = {"job_seconds", "queue_seconds", "link_seconds"}


class Controls:
    """The controls of the simulators, for a person or a test; a request that is not understood is answered 400."""

    def __init__(self, state: SandboxState, simulators: list[Simulator]) -> None:
        self._state = state
        self._stand_ins = simulators
        self._operations = {"*"}.union(*(simulator.operations() for simulator in simulators))

    def routes(self) -> list[Route]:
        """All of them; none needs a token."""
        return [
            Route("/_sandbox/effects", self.effects),
            Route("/_sandbox/calls", self.calls),
            Route("/_sandbox/faults", self.order_fault, methods=["POST"]),
            Route("/_sandbox/faults", self.clear_faults, methods=["DELETE"]),
            Route("/_sandbox/settings", self.set, methods=["POST"]),
            Route("/_sandbox/expire-tokens", self.expire_tokens, methods=["POST"]),
        ]

    async def effects(self, _: Request) -> Response:
        """Return how often each effect happened: `[{operation, key, count}]`."""
        effects = sorted(self._state.effects.items())
        return JSONResponse([{"operation": op, "key": key, "count": n} for (op, key), n in effects])

    async def calls(self, _: Request) -> Response:
        """Return how often each operation was called: `{operation: count}`."""
        return JSONResponse(dict(sorted(self._state.calls.items())))

    async def order_fault(self, request: Request) -> Response:
        """The fields of `Fault`, and its `operation` or `*` for any."""
        try:
            order = dict(await request.json())
            operation, fault = order.pop("operation", "*"), Fault(**order)
        except (TypeError, ValueError) as error:
            return _wrong(f"no fault: {error}")
        if operation not in self._operations:
            return _wrong(f"no operation {operation}")
        self._state.faults[operation].append(fault)
        return JSONResponse({}, status_code=201)

    async def clear_faults(self, _: Request) -> Response:
        """Forget the faults that have not struck yet."""
        self._state.faults.clear()
        return JSONResponse({})

    async def set(self, request: Request) -> Response:
        """Durations in seconds, by the names of `SandboxState`."""
        try:
            wanted = {name: float(value) for name, value in dict(await request.json()).items()}
        except (TypeError, ValueError):
            return _wrong("settings are numbers of seconds by name")
        if unknown := sorted(wanted.keys() - SETTINGS):
            return _wrong(f"no setting {', '.join(unknown)}")
        for name, value in wanted.items():
            setattr(self._state, name, value)
        return JSONResponse({})

    async def expire_tokens(self, _: Request) -> Response:
        """Forget all tokens of all vendors."""
        for simulator in self._stand_ins:
            simulator.expire_tokens()
        return JSONResponse({})


def _wrong(why: str) -> Response:
    return JSONResponse({"error": why}, status_code=400)
