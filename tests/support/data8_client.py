"""A Data8 client that records its requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

from clients.data8 import Data8
from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME


@dataclass
class RecordingClient:
    """A client of the sandbox and the requests that it sent, oldest first."""

    sandbox: Sandbox
    requests: list[httpx.Request] = field(default_factory=list)
    open: list[Data8] = field(default_factory=list)

    @property
    def token_url(self) -> str:
        return f"{self.sandbox.url}/data8/connect/token"

    def connect(self, **options: Any) -> Data8:
        http = httpx.Client(event_hooks={"request": [self.requests.append]}, timeout=30)
        credentials = {"client_id": USERNAME, "client_secret": PASSWORD}
        client = Data8.connect(
            f"{self.sandbox.url}/data8", self.token_url, http=http, **(credentials | options)
        )
        self.open.append(client)
        return client

    def tokens_asked(self) -> int:
        return sum(str(request.url) == self.token_url for request in self.requests)
