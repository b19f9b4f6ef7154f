"""The client: its groups, and how it gets its tokens."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import quote_plus

import httpx

from clients.auth import Credential, Token, TokenAuth, current_value
from clients.data8.api_keys import ApiKeys
from clients.data8.assumptions import Assumptions
from clients.data8.client_credentials import ClientCredentials
from clients.data8.datasets import Datasets
from clients.data8.jobs import Jobs
from clients.errors import VendorUnavailable
from clients.operation import Operation
from clients.resource import Resource
from clients.transport import Observation, Transport

BASE_URL = "https://api.data-8.co.uk"
TOKEN_URL = "https://auth.data-8.co.uk/connect/token"  # noqa: S105 - an address
SCOPE = "BatchApi"
#: Tokens are renewed this many seconds before they expire.
RENEW_EARLY = 60.0


class Data8(Resource):
    """The 35 operations of Data8's administration and batch API, grouped as the vendor groups them.

    Every one may raise `clients.errors.VendorError`.
    """

    def __init__(self, transport: Transport, assumptions: Assumptions | None = None) -> None:
        super().__init__(transport)
        self.assumptions = assumptions or Assumptions()
        self.api_keys = ApiKeys(transport)
        self.client_credentials = ClientCredentials(transport)
        self.datasets = Datasets(transport, self.assumptions)
        self.jobs = Jobs(transport)

    @classmethod
    def connect(
        cls,
        base_url: str = BASE_URL,
        token_url: str = TOKEN_URL,
        client_id: Credential = "",
        client_secret: Credential = "",
        *,
        basic_auth: bool = False,
        timeout: float = 30.0,
        concurrency: int = 8,
        acquire: Callable[[str], float] = lambda _: 0.0,
        observe: Callable[[Observation], None] = lambda _: None,
        assumptions: Assumptions | None = None,
        http: httpx.Client | None = None,
    ) -> Self:
        """A client with its own transport; nothing is sent before the first call.

        Args:
            base_url: of the API.
            token_url: of the OAuth token endpoint.
            client_id: of a client credential.
            client_secret: one of its secrets.
            basic_auth: send the credentials as HTTP Basic instead of in the form; which of the two the
                vendor wants is not documented, and both are usual.
            timeout: seconds, see `Transport`; so are concurrency (calls), acquire, observe and http.
            concurrency: calls at once.
            acquire: called before every call to take a permit of the rate limit.
            observe: told of every exchange.
            assumptions: what to believe where the documentation is silent.
            http: an own HTTP client.
        """
        believed = assumptions or Assumptions()
        fetch = token_fetcher(
            token_url,
            client_id,
            client_secret,
            basic_auth=basic_auth,
            assumed_lifetime=believed.token_lifetime,
        )
        transport = Transport(
            "data8",
            base_url,
            TokenAuth(fetch, credentials=(client_id, client_secret)),
            timeout=timeout,
            concurrency=concurrency,
            acquire=acquire,
            observe=observe,
            http=http,
        )
        return cls(transport, believed)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


def token_fetcher(
    token_url: str,
    client_id: Credential,
    client_secret: Credential,
    *,
    basic_auth: bool,
    assumed_lifetime: float,
) -> Callable[[Transport], Token]:
    """OAuth 2 client credentials, form-encoded, scope `BatchApi`.

    A token is used until 60 s before it expires; one that lives less than 120 s is used for half its life.
    """
    operation = Operation("token", "POST", token_url)

    def fetch(transport: Transport) -> Token:
        secret = current_value(client_secret)
        request_kwargs = _token_request(current_value(client_id), secret, basic_auth=basic_auth)
        answer = transport.authenticate(operation, token_url, request_kwargs, secret)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise VendorUnavailable(transport.vendor, operation.name, "the answer holds no access_token")
        expires_in = answer.get("expires_in")
        usable = isinstance(expires_in, (int, float)) and expires_in > 0
        lifetime = float(expires_in) if usable else assumed_lifetime
        return Token(token, max(lifetime - RENEW_EARLY, lifetime / 2))

    return fetch


def _token_request(client_id: str, client_secret: str, *, basic_auth: bool) -> dict[str, Any]:
    form = {"grant_type": "client_credentials", "scope": SCOPE}
    if not basic_auth:
        return {"data": form | {"client_id": client_id, "client_secret": client_secret}}
    pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
    return {
        "data": form,
        "headers": {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()},
    }
