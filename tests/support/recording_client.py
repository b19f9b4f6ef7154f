"""A vendor client that records the requests it sends to the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import httpx

from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME


class Closeable(Protocol):
    """A client that can be closed."""

    def close(self) -> None:
        """Close the client's connections."""


C = TypeVar("C", bound=Closeable)


@dataclass
class RecordingClient(Generic[C]):
    """Clients of one vendor, the sandbox that they call, and their requests in order.

    Attributes:
        sandbox: serves the vendor's simulator.
        build: `connect` of the client's class, with the addresses given.
        token_path: path of the simulator's token endpoint.
    """

    sandbox: Sandbox
    build: Callable[..., C]
    token_path: str
    requests: list[httpx.Request] = field(default_factory=list)
    clients: list[C] = field(default_factory=list)

    @property
    def token_url(self) -> str:
        """URL of the token endpoint."""
        return f"{self.sandbox.url}{self.token_path}"

    def connect(self, **options: Any) -> C:
        """Return a new client; `options` go to its `connect`."""
        http = httpx.Client(event_hooks={"request": [self.requests.append]}, timeout=30)
        credentials = {"client_id": USERNAME, "client_secret": PASSWORD}
        client = self.build(http=http, **(credentials | options))
        self.clients.append(client)
        return client

    def close(self) -> None:
        """Close all clients."""
        for client in self.clients:
            client.close()

    def token_requests(self) -> int:
        """Return the number of token requests so far."""
        return sum(str(request.url) == self.token_url for request in self.requests)
