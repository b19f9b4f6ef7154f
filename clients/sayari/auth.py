"""Sayari's token: asked for with the client's credentials, good for 24 hours."""

from __future__ import annotations

import time
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from clients.auth import Credential, Token, TokenAuth, current_value
from clients.errors import VendorUnavailable
from clients.operation import Call
from clients.resource import Resource, operation
from clients.transport import Transport

AUDIENCE = "sayari.com"
#: Seconds, if the answer does not say: the documented 24 hours.
LIFETIME = 86_400.0
#: A token is renewed so many seconds before it expires, or in the middle of a shorter life.
MARGIN = 120.0


class AccessToken(BaseModel):
    """A bearer token; `expires_in` (seconds) is not documented but given."""

    model_config = ConfigDict(hide_input_in_errors=True)

    access_token: SecretStr
    token_type: str = "Bearer"  # noqa: S105 - the kind, not the token
    expires_in: float | None = None

    @property
    def lifetime(self) -> float:
        """For how many seconds it is to be used."""
        lasts = LIFETIME if self.expires_in is None else self.expires_in
        return lasts - min(MARGIN, lasts / 2)


class Auth(Resource):
    """`auth`: the token resource."""

    group = "auth"

    def __init__(self, transport: Transport, client_id: Credential, client_secret: Credential) -> None:
        super().__init__(transport)
        self._client_id = client_id
        self._client_secret = client_secret

    @operation("POST /oauth/token", effect=False)
    def token(self, call: Call) -> AccessToken:
        """Ask for a bearer token. Raises `AuthenticationError` if the credentials are refused."""
        secret = current_value(self._client_secret)
        body = {
            "client_id": current_value(self._client_id),
            "client_secret": secret,
            "audience": AUDIENCE,
            "grant_type": "client_credentials",
        }
        url = self._transport.base_url + call.operation.path
        answer = self._transport.authenticate(call.operation, url, {"json": body}, secret)
        try:
            return AccessToken.model_validate(answer)
        except ValidationError:
            raise VendorUnavailable(
                self._transport.vendor, "auth.token", "the answer holds no token"
            ) from None


def token_auth(
    client_id: Credential, client_secret: Credential, clock: Callable[[], float] = time.monotonic
) -> TokenAuth:
    """Tokens for these credentials, renewed before they expire; `clock` is in monotonic seconds."""

    def fetch(transport: Transport) -> Token:
        token = Auth(transport, client_id, client_secret).token()
        return Token(token.access_token.get_secret_value(), token.lifetime)

    return TokenAuth(fetch, clock, (client_id, client_secret))
