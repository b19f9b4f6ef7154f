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
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from types import UnionType
from typing import IO, Any, Concatenate, ParamSpec, TypeVar

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
        """The largest number of concurrent calls of this process to the vendor."""
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
        bound.__dict__["function"] = method
        return bound

    return decorate


@dataclass(frozen=True)
class OperationParameter:
    """One parameter of an operation's method."""

    name: str
    hint: Any
    required: bool

    @property
    def takes_file(self) -> bool:
        """Whether the value may be an open binary file."""
        return IO[bytes] in self._alternatives

    @property
    def takes_sequence(self) -> bool:
        """Whether the value may be a sequence or another iterable."""
        return any(typing.get_origin(hint) in {Sequence, Iterable} for hint in self._alternatives)

    @property
    def _alternatives(self) -> tuple[Any, ...]:
        union = isinstance(self.hint, UnionType) or typing.get_origin(self.hint) is typing.Union
        return typing.get_args(self.hint) if union else (self.hint,)


@dataclass(frozen=True)
class OperationInfo:
    """A documented operation of a client: its name, endpoint, summary and method.

    Attributes:
        name: dotted name in the client.
        method: HTTP verb.
        path: path template as documented.
        summary: first line of the method's docstring.
        invoke: the bound method.
        function: the function that `@operation` decorates.
    """

    name: str
    method: str
    path: str
    summary: str
    invoke: Callable[..., Any]
    function: Callable[..., Any]

    @property
    def parameters(self) -> list[OperationParameter]:
        """The method's parameters in order, without `self` and `call`."""
        hints = typing.get_type_hints(self.function)
        return [
            OperationParameter(name, hints[name], parameter.default is inspect.Parameter.empty)
            for name, parameter in list(inspect.signature(self.function).parameters.items())[2:]
        ]


def list_operations(resource: Resource, prefix: str = "") -> Iterator[OperationInfo]:
    """Yield all operations of a client and of its groups, by name within each group."""
    for name, member in inspect.getmembers_static(type(resource)):
        endpoint = getattr(member, "endpoint", None)
        if endpoint is not None:
            summary = (inspect.getdoc(member) or "").partition("\n")[0]
            verb, path = endpoint
            yield OperationInfo(
                f"{prefix}{name}".removesuffix("_"),
                verb,
                path,
                summary,
                getattr(resource, name),
                member.function,
            )
    for name, member in vars(resource).items():
        if isinstance(member, Resource):
            yield from list_operations(member, f"{prefix}{name}.")
