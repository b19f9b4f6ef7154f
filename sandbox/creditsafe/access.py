"""Authentication: one-hour tokens, and the lock that repeated wrong attempts run into."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import defaultdict, deque

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import PASSWORD, USERNAME, SandboxState, serves
from sandbox.creditsafe.base import Part

TOKEN_SECONDS = 3_600.0
#: So many identical wrong attempts within the window are answered 401; then all are 429 as long again.
ATTEMPTS, WINDOW = 5, 120.0


class Access(Part):
    """Tokens."""

    def __init__(self, state: SandboxState) -> None:
        super().__init__(state)
        self._wrong: defaultdict[str, deque[float]] = defaultdict(deque)
        self._locked_until: dict[str, float] = {}

    def expire_tokens(self) -> None:
        """Forget every token."""
        self.data.tokens.clear()

    def authorised(self, request: Request) -> bool:
        """Return whether the request has a bearer token of the last hour."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and self.data.tokens.get(token, 0.0) > self.state.clock()

    @serves("POST /v1/authenticate", public=True)
    async def authenticate(self, request: Request) -> Response:
        """A token for a username and password; several may be valid at once."""
        raw = await request.body()
        try:
            given = json.loads(raw)
            credentials = (given["username"], given["password"])
        except (ValueError, TypeError, KeyError):
            return _denied("username and password are needed")
        if credentials == (USERNAME, PASSWORD):
            token = secrets.token_urlsafe(32)
            self.data.tokens[token] = self.state.clock() + TOKEN_SECONDS
            return JSONResponse({"token": token})
        return self._refused(hashlib.sha256(raw).hexdigest(), str(credentials[0]))

    def _refused(self, attempt: str, username: str) -> Response:
        now = self.state.clock()
        attempts = self._wrong[attempt]
        while attempts and attempts[0] <= now - WINDOW:
            attempts.popleft()
        if now < self._locked_until.get(attempt, 0.0):
            return self.refuse(429, "locked")
        if len(attempts) >= ATTEMPTS:
            self._locked_until[attempt] = now + WINDOW
            self.state.effect("creditsafe.authenticate.locked", username)
            return self.refuse(429, "locked")
        attempts.append(now)
        return _denied("wrong username or password")


def _denied(why: str) -> Response:
    return JSONResponse({"message": f"Access denied - {why}"}, 401)
