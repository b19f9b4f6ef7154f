"""The client: its groups are the vendor's resources, its two own operations are for information."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Self

import httpx

from clients.auth import Credential
from clients.errors import NotFound
from clients.operation import Answer, Call
from clients.resource import Resource, operation
from clients.sayari.auth import Auth, token_auth
from clients.sayari.graph import Entities, Records, Sources, Traversals
from clients.sayari.projects import Projects
from clients.sayari.requests import JSON
from clients.sayari.resources import Resources
from clients.sayari.search import Search
from clients.sayari.workspace_shapes import History, Usage
from clients.transport import Observation, Transport, certificates

VENDOR = "sayari"


class Sayari(Resource):
    """Sayari Graph: 43 operations. Every one may raise `clients.errors.VendorError`."""

    def __init__(self, transport: Transport, client_id: Credential, client_secret: Credential) -> None:
        super().__init__(transport)
        self.auth = Auth(transport, client_id, client_secret)
        self.entities = Entities(transport)
        self.traversals = Traversals(transport)
        self.records = Records(transport)
        self.search = Search(transport)
        self.sources = Sources(transport)
        self.projects = Projects(transport)
        self.resources = Resources(transport)

    @classmethod
    def connect(
        cls,
        base_url: str,
        client_id: Credential,
        client_secret: Credential,
        *,
        timeout: float = 30.0,
        concurrency: int = 8,
        acquire: Callable[[str], float] = lambda _: 0.0,
        observe: Callable[[Observation], None] = lambda _: None,
        http: httpx.Client | None = None,
    ) -> Self:
        """A client for the API at `base_url`, e.g. `https://api.sayari.com`; arguments as of `Transport`.

        `acquire` is called with one of two classes of calls: `standard` and `advanced` (search and traversals).
        """
        http = http or httpx.Client(verify=certificates(), timeout=timeout, follow_redirects=False)
        http.headers["Accept"] = JSON
        transport = Transport(
            VENDOR,
            base_url,
            token_auth(client_id, client_secret),
            timeout=timeout,
            concurrency=concurrency,
            acquire=acquire,
            observe=observe,
            http=http,
        )
        return cls(transport, client_id, client_secret)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @operation("GET /usage")
    def usage(self, call: Call, *, from_: date | str | None = None, to: date | str | None = None) -> Usage:
        """Calls made with this account from one day to another (YYYY-MM-DD)."""
        return self._unversioned(call, {"from": from_, "to": to}).model(Usage)

    @operation("GET /history")
    def history(
        self,
        call: Call,
        *,
        events: Sequence[str] | None = None,
        from_: date | str | None = None,
        to: date | str | None = None,
        size: int | None = None,
        token: str | None = None,
    ) -> History:
        """Return what the account's users did from one day to another (YYYY-MM-DD), `size` events a page."""
        params = {"events": list(events or ()), "from": from_, "to": to, "size": size, "token": token}
        return self._unversioned(call, params).model(History)

    def _unversioned(self, call: Call, params: dict[str, Any]) -> Answer:
        """The reference has these paths without `/v1`, later versions of the API with it."""
        try:
            return call(params=params)
        except NotFound:
            versioned = replace(call.operation, path=f"/v1{call.operation.path}")
            return Call(self._transport, versioned)(params=params)
