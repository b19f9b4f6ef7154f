"""Tokens, client credentials and their secrets."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from urllib.parse import unquote_plus
from uuid import uuid4

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import PASSWORD, USERNAME, SandboxState, serves
from sandbox.data8.answers import Body, Part, Refused, absent, body, done, moment, problem

SCOPE = "BatchApi"


class CredentialBody(Body):
    """A credential as it is sent; its id and secrets are generated."""

    client_id: str | None = None
    description: str | None = None
    secrets: list[object] | None = None


class SecretBody(Body):
    """A secret as it is sent."""

    client_secret_id: int | None = None
    expires: datetime | None = Field(default=None, strict=False)
    description: str | None = None


@dataclass
class Secret:
    """A secret."""

    id: int
    value: str
    expires: float | None
    description: str | None

    def shown(self) -> dict[str, object]:
        """Without its value."""
        return {
            "clientSecretId": self.id, "expires": moment(self.expires), "description": self.description
        }  # fmt: skip


@dataclass
class Credential:
    """A client credential."""

    id: str
    description: str | None
    secrets: dict[int, Secret] = field(default_factory=dict)

    def shown(self, *, listed: bool = False) -> dict[str, object]:
        """As told: in the list, `secrets` is always null."""
        known = None if listed else [secret.shown() for secret in self.secrets.values()]
        return {"clientId": self.id, "description": self.description, "secrets": known}


class Access(Part):
    """`/connect/token` and `/ClientCredential`.

    Attributes:
        token_seconds: how long a token is valid; the vendor's number is not published.
    """

    def __init__(self, state: SandboxState) -> None:
        super().__init__(state)
        self.token_seconds = 3_600
        self._tokens: dict[str, float] = {}
        self._credentials: dict[str, Credential] = {}
        self._secret_ids = count(1)

    def expire_tokens(self) -> None:
        """Forget every token."""
        self._tokens.clear()

    def authorised(self, request: Request) -> bool:
        """Return whether the request has a valid token."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._tokens.get(token, 0) > self.state.clock()

    @serves("POST /connect/token", public=True)
    async def token(self, request: Request) -> Response:
        """OAuth 2 client credentials, in the form or as HTTP Basic: which is not published."""
        if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return JSONResponse({"error": "invalid_request"}, 400)
        form = {key: str(value) for key, value in (await request.form()).items()}
        client, secret = _basic(request) or (form.get("client_id", ""), form.get("client_secret", ""))
        if not self._known(client, secret):
            return JSONResponse({"error": "invalid_client"}, 400)
        if form.get("grant_type") != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if SCOPE not in form.get("scope", "").split():
            return JSONResponse({"error": "invalid_scope"}, 400)
        token = secrets.token_urlsafe(24)
        self._tokens[token] = self.state.clock() + self.token_seconds
        content = {
            "access_token": token, "expires_in": self.token_seconds, "token_type": "Bearer", "scope": SCOPE
        }  # fmt: skip
        return JSONResponse(content, headers={"cache-control": "no-store"})

    def _known(self, client: str, secret: str) -> bool:
        if (client, secret) == (USERNAME, PASSWORD):
            return True
        credential = self._credentials.get(client)
        now = self.state.clock()
        return credential is not None and any(
            known.value == secret and (known.expires is None or known.expires > now)
            for known in credential.secrets.values()
        )

    @serves("GET /ClientCredential")
    async def client_credentials__list(self, _: Request) -> Response:
        """All credentials."""
        return JSONResponse([credential.shown(listed=True) for credential in self._credentials.values()])

    @serves("POST /ClientCredential")
    async def client_credentials__create(self, request: Request) -> Response:
        """A new credential; an id or secrets in the body are refused."""
        sent = await body(request, CredentialBody, plain=True)
        if sent.client_id or sent.secrets:
            return problem(400, "clientId and secrets are generated and must not be supplied")
        credential = Credential(uuid4().hex, sent.description)
        self._credentials[credential.id] = credential
        self.state.effect("data8.client_credentials.create", credential.id)
        return JSONResponse(credential.shown(), 201)

    @serves("GET /ClientCredential/{id}")
    async def client_credentials__get(self, request: Request) -> Response:
        """One credential."""
        return JSONResponse(self._credential(request).shown())

    @serves("PUT /ClientCredential/{id}")
    async def client_credentials__update(self, request: Request) -> Response:
        """Another description; id and secrets are not changed here."""
        sent = await body(request, CredentialBody, plain=True)
        credential = self._credential(request)
        credential.description = sent.description
        self.state.effect("data8.client_credentials.update", credential.id)
        return done()

    @serves("DELETE /ClientCredential/{id}")
    async def client_credentials__delete(self, request: Request) -> Response:
        """Gone with its secrets."""
        credential = self._credential(request)
        del self._credentials[credential.id]
        self.state.effect("data8.client_credentials.delete", credential.id)
        return done()

    @serves("GET /ClientCredential/{id}/secrets")
    async def client_credentials__secrets__list(self, request: Request) -> Response:
        """All secrets of a credential, without values."""
        return JSONResponse([secret.shown() for secret in self._credential(request).secrets.values()])

    @serves("POST /ClientCredential/{id}/secrets")
    async def client_credentials__secrets__create(self, request: Request) -> Response:
        """Create a secret; only this answer has its value."""
        sent = await body(request, SecretBody, plain=True)
        credential = self._credential(request)
        secret = Secret(next(self._secret_ids), secrets.token_urlsafe(32), _epoch(sent), sent.description)
        credential.secrets[secret.id] = secret
        self.state.effect("data8.client_credentials.secrets.create", f"{credential.id}/{secret.id}")
        return JSONResponse(secret.shown() | {"generatedSecret": secret.value}, 201)

    @serves("GET /ClientCredential/{id}/secrets/{secretId}")
    async def client_credentials__secrets__get(self, request: Request) -> Response:
        """One secret, without its value."""
        return JSONResponse(self._secret(request)[1].shown())

    @serves("PUT /ClientCredential/{id}/secrets/{secretId}")
    async def client_credentials__secrets__update(self, request: Request) -> Response:
        """Another expiry and description."""
        sent = await body(request, SecretBody, plain=True)
        credential, secret = self._secret(request)
        secret.expires, secret.description = _epoch(sent), sent.description
        self.state.effect("data8.client_credentials.secrets.update", f"{credential.id}/{secret.id}")
        return done()

    @serves("DELETE /ClientCredential/{id}/secrets/{secretId}")
    async def client_credentials__secrets__delete(self, request: Request) -> Response:
        """Gone."""
        credential, secret = self._secret(request)
        del credential.secrets[secret.id]
        self.state.effect("data8.client_credentials.secrets.delete", f"{credential.id}/{secret.id}")
        return done()

    def _credential(self, request: Request) -> Credential:
        try:
            return self._credentials[request.path_params["id"]]
        except KeyError:
            raise absent("no such client credential") from None

    def _secret(self, request: Request) -> tuple[Credential, Secret]:
        credential = self._credential(request)
        try:
            return credential, credential.secrets[int(request.path_params["secretId"])]
        except (KeyError, ValueError):
            raise absent("no such secret") from None


def _epoch(sent: SecretBody) -> float | None:
    return sent.expires.timestamp() if sent.expires else None


def _basic(request: Request) -> tuple[str, str] | None:
    """The pair of an HTTP Basic header, each part form-encoded as OAuth 2 has it."""
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client, _, secret = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(JSONResponse({"error": "invalid_client"}, 400)) from None
    return unquote_plus(client), unquote_plus(secret)
