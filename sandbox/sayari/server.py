"""The simulator as a whole: tokens and information beside its parts."""

from __future__ import annotations

import re
import secrets

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import PASSWORD, USERNAME, SandboxState, serves
from sandbox.sayari.base import body_of, iso
from sandbox.sayari.graph import Graph
from sandbox.sayari.paging import Refused, number
from sandbox.sayari.resolutions import Resolutions
from sandbox.sayari.saved import SavedResources

DAY = 86_400.0
AUDIENCE = "sayari.com"


class Sayari(Graph, SavedResources, Resolutions):
    """Sayari.

    Attributes:
        token_seconds: how long the tokens handed out from now on are valid.
    """

    token_seconds = DAY

    def __init__(self, state: SandboxState) -> None:
        super().__init__(state)
        self._tokens: dict[str, float] = {}

    def expire_tokens(self) -> None:
        """Forget every token handed out."""
        self._tokens.clear()

    def authorised(self, request: Request) -> bool:
        """Return whether the request has a valid token of this simulator."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return kind == "Bearer" and self._tokens.get(token, 0.0) > self.state.clock()

    @serves("POST /oauth/token", public=True)
    async def auth__token(self, request: Request) -> Response:
        """A token for the one client that there is; always with `expires_in`."""
        given = await body_of(request)
        if given.get("grant_type") != "client_credentials" or given.get("audience") != AUDIENCE:
            raise Refused(400, "grant_type must be client_credentials, audience sayari.com")
        if (given.get("client_id"), given.get("client_secret")) != (USERNAME, PASSWORD):
            raise Refused(401, "unknown client")
        token = f"sk_test_{secrets.token_urlsafe(24)}"
        self._tokens[token] = self.state.clock() + self.token_seconds
        body = {"access_token": token, "token_type": "Bearer", "expires_in": int(self.token_seconds)}
        return JSONResponse(body, status_code=200)

    @serves("GET /usage", "GET /v1/usage")
    async def usage(self, request: Request) -> Response:
        """Calls counted since the start, whatever the period."""
        start, end = self._period(request)
        calls = self.state.calls
        kinds = {
            "get_entity": calls["sayari.entities.get"],
            "search": 0,
            "search_entities": calls["sayari.search.entities"] + calls["sayari.search.entities_post"],
            "search_records": calls["sayari.search.records"] + calls["sayari.search.records_post"],
        }
        return JSONResponse({"usage": kinds, "from": start, "to": end})

    @serves("GET /history", "GET /v1/history")
    async def history(self, request: Request) -> Response:
        """Effects in a period, the oldest first."""
        start, end = self._period(request)
        query = request.query_params
        chosen = [
            event
            for event in self.events
            if start[:10] <= event["timestamp"][:10] <= end[:10]
            and (not query.getlist("events") or event["event"] in query.getlist("events"))
        ]
        place = query.get("token") or "0"
        if not place.isdecimal():
            raise Refused(406, "unknown page token")
        size = number(query, "size", 100, 1)
        page = {"events": chosen[int(place) : int(place) + size], "size": size}
        more = int(place) + size < len(chosen)
        return JSONResponse(page | ({"next_token": str(int(place) + size)} if more else {}))

    def _period(self, request: Request) -> tuple[str, str]:
        """From and to; by default the last thirty days."""
        now, days = self.state.clock(), {}
        for name, default in (("from", iso(now - 30 * DAY)), ("to", iso(now))):
            given = request.query_params.get(name)
            if given is not None and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", given):
                raise Refused(406, f"{name} must be YYYY-MM-DD")
            days[name] = default if given is None else f"{given}T00:00:00Z"
        return days["from"], days["to"]
