"""One documented vendor operation as one typed method.

    class Jobs(Resource):
        @operation("GET /Job/{name}")
        def get(self, call: Call, name: str) -> Job:
            \"\"\"…\"\"\"
            return call(path={"name": name}).model(Job)

The decorator binds method, path and name of the operation into `call`; callers see `jobs.get(name)`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from clients.operation import Call, Operation
from clients.transport import Transport

R = TypeVar("R", bound="Resource")
P = ParamSpec("P")
T = TypeVar("T")


class Resource:
    """A group of operations, named as the vendor groups them."""

    #: The group's dotted name in the client, e.g. `api_keys.allowed_ips`; empty for the client itself.
    group = ""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def concurrency(self) -> int:
        """How many calls to the vendor this process makes at once, at most."""
        return self._transport.concurrency


def operation(
    endpoint: str, *, effect: bool | None = None, rate_limit: str = "standard"
) -> Callable[[Callable[Concatenate[R, Call, P], T]], Callable[Concatenate[R, P], T]]:
    """Make a method the operation `endpoint`, e.g. `"GET /Job/{name}"` exactly as documented.

    Args:
        endpoint: verb and path; `{parameters}` are filled, percent-encoded, from `call(path=…)`.
        effect: whether the call changes something at the vendor; by default all verbs but GET do.
        rate_limit: the class of calls whose rate limit it counts against.
    """
    verb, _, path = endpoint.partition(" ")
    changes = verb != "GET" if effect is None else effect

    def decorate(method: Callable[Concatenate[R, Call, P], T]) -> Callable[Concatenate[R, P], T]:
        @wraps(method)
        def bound(self: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
            name = f"{self.group}.{method.__name__}" if self.group else method.__name__
            called = Operation(name.removesuffix("_"), verb, path, changes, rate_limit)
            return method(self, Call(self._transport, called), *args, **kwargs)

        bound.__dict__["endpoint"] = (verb, path)
        return bound

    return decorate


@dataclass(frozen=True)
class OperationInfo:
    """One operation as listed to people: its name, its documented endpoint and how to call it."""

    name: str
    method: str
    path: str
    summary: str
    invoke: Callable[..., Any]


def list_operations(resource: Resource, prefix: str = "") -> Iterator[OperationInfo]:
    """All operations of a client and of its groups, in the order in which they are written."""
    for name, member in inspect.getmembers_static(type(resource)):
        endpoint = getattr(member, "endpoint", None)
        if endpoint is not None:
            summary = (inspect.getdoc(member) or "").partition("\n")[0]
            verb, path = endpoint
            yield OperationInfo(
                f"{prefix}{name}".removesuffix("_"), verb, path, summary, getattr(resource, name)
            )
    for name, member in vars(resource).items():
        if isinstance(member, Resource):
            yield from list_operations(member, f"{prefix}{name}.")
