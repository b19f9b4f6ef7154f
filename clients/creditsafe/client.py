"""The client: all groups of operations on one transport."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Self

import httpx
from pydantic import SecretStr, ValidationError

from clients.auth import Credential, Token, TokenAuth, current_value
from clients.creditsafe.portfolios import Portfolios
from clients.creditsafe.records import Records
from clients.creditsafe.replies import AccessToken
from clients.creditsafe.services import Duplicates, Enrichment, Matching
from clients.errors import VendorUnavailable
from clients.operation import Call, Operation
from clients.resource import Resource, operation
from clients.transport import Observation, Transport

#: Seconds that a token is used. It is valid for an hour, which the answer does not say.
TOKEN_LIFETIME = 55 * 60.0

_AUTHENTICATE = Operation("authenticate", "POST", "/v1/authenticate")


class Creditsafe(Resource):
    """Creditsafe DataStudio: 17 operations. Every one may raise `clients.errors.VendorError`.

    Attributes:
        portfolios: create, get, list, update, delete.
        records: create, import_file, list, delete.
        matching: start, status.
        duplicates: identify, status, remove.
        enrichment: start, status.
    """

    def __init__(self, transport: Transport, auth: TokenAuth) -> None:
        super().__init__(transport)
        self._auth = auth
        self.portfolios = Portfolios(transport)
        self.records = Records(transport)
        self.matching = Matching(transport)
        self.duplicates = Duplicates(transport)
        self.enrichment = Enrichment(transport)

    @classmethod
    def connect(
        cls,
        base_url: str,
        username: Credential,
        password: Credential,
        *,
        timeout: float = 30.0,
        concurrency: int = 8,
        acquire: Callable[[str], float] = lambda _: 0.0,
        observe: Callable[[Observation], None] = lambda _: None,
        http: httpx.Client | None = None,
    ) -> Self:
        """A client for the service at `base_url`, e.g. `https://connect.creditsafe.com`.

        No call is made until the first operation. The other arguments are those of `Transport`.
        """

        def fetch(transport: Transport) -> Token:
            secret = current_value(password)
            credentials = {"username": current_value(username), "password": secret}
            url = transport.base_url + _AUTHENTICATE.path
            answer = transport.authenticate(_AUTHENTICATE, url, {"json": credentials}, secret)
            try:
                token = AccessToken.model_validate(answer).token
            except ValidationError:
                raise VendorUnavailable(
                    transport.vendor, _AUTHENTICATE.name, "the answer holds no token"
                ) from None
            return Token(token.get_secret_value(), TOKEN_LIFETIME)

        auth = TokenAuth(fetch, credentials=(username, password))
        transport = Transport(
            "creditsafe", base_url, auth,
            timeout=timeout, concurrency=concurrency, acquire=acquire, observe=observe, http=http,
        )  # fmt: skip
        return cls(transport, auth)

    @operation(f"{_AUTHENTICATE.method} {_AUTHENTICATE.path}", effect=False)
    def authenticate(self, _: Call) -> AccessToken:
        """Ask for a new token and use it from now on. Raises `AuthenticationError`.

        Operations do this by themselves. Credentials that were refused are barred here as there, because
        a few refused attempts lock the account.
        """
        return AccessToken(token=SecretStr(self._auth.renew(self._transport)))

    def download(
        self, link: str, *, offset: int = 0, etag: str | None = None
    ) -> AbstractContextManager[httpx.Response]:
        """Fetch a result file, to be read with `iter_bytes()`; the bearer token stays with Creditsafe's host.

        With an `offset` the rest of the file is asked for, if it still has the `etag` of before. Status 206
        is that rest; 200 is the whole file, from a host that knows no ranges or has another file by now.

        Raises `NotFound` or `Rejected` when the link has expired: ask for the run's status to get another.
        """
        headers = {"Accept-Encoding": "identity"}  # an offset counts bytes of the file, not of its packing
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if etag is not None:
                headers["If-Range"] = etag
        return self._transport.download(link, headers)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
