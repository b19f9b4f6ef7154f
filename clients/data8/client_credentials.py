"""`/ClientCredential`: the credentials that open this API, and their secrets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter

from clients.data8.models import (
    ClientCredential,
    ClientCredentialBody,
    ClientSecret,
    ClientSecretBody,
    NewClientSecret,
)
from clients.operation import Call
from clients.resource import Resource, operation
from clients.transport import Transport

_CREDENTIALS = TypeAdapter(list[ClientCredential] | None)
_SECRETS = TypeAdapter(list[ClientSecret] | None)


class Secrets(Resource):
    """`/ClientCredential/{id}/secrets`."""

    group = "client_credentials.secrets"

    @operation("GET /ClientCredential/{id}/secrets")
    def list(self, call: Call, id: str) -> Sequence[ClientSecret]:
        """Get the list of client secrets associated with a client credential."""
        return call(path={"id": id}).adapt(_SECRETS) or []

    @operation("POST /ClientCredential/{id}/secrets")
    def create(
        self, call: Call, id: str, *, expires: datetime | None = None, description: str | None = None
    ) -> NewClientSecret:
        """Create a new client secret for a client credential.

        Its value is generated and told only in this answer. If the answer is lost so is the value:
        delete that secret and create another.
        """
        body = ClientSecretBody(expires=expires, description=description)
        return call(path={"id": id}, json=body.json_body()).model(NewClientSecret)

    @operation("GET /ClientCredential/{id}/secrets/{secretId}")
    def get(self, call: Call, id: str, secret_id: int) -> ClientSecret:
        """Get the details of a client secret."""
        return call(path={"id": id, "secretId": secret_id}).model(ClientSecret)

    @operation("PUT /ClientCredential/{id}/secrets/{secretId}")
    def update(
        self,
        call: Call,
        id: str,
        secret_id: int,
        *,
        expires: datetime | None = None,
        description: str | None = None,
    ) -> None:
        """Update the details of a client secret: what is not given is not kept."""
        body = ClientSecretBody(expires=expires, description=description)
        call(path={"id": id, "secretId": secret_id}, json=body.json_body())

    @operation("DELETE /ClientCredential/{id}/secrets/{secretId}")
    def delete(self, call: Call, id: str, secret_id: int) -> None:
        """Delete a client secret."""
        call(path={"id": id, "secretId": secret_id})


class ClientCredentials(Resource):
    """`/ClientCredential`."""

    group = "client_credentials"

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.secrets = Secrets(transport)

    @operation("GET /ClientCredential")
    def list(self, call: Call) -> Sequence[ClientCredential]:
        """Retrieve the existing list of client credentials available for this user, without secrets."""
        return call().adapt(_CREDENTIALS) or []

    @operation("POST /ClientCredential")
    def create(self, call: Call, *, description: str | None = None) -> ClientCredential:
        """Create a new client credential; its id is generated."""
        return call(json=ClientCredentialBody(description=description).json_body()).model(ClientCredential)

    @operation("GET /ClientCredential/{id}")
    def get(self, call: Call, id: str) -> ClientCredential:
        """Get the details of a client credential."""
        return call(path={"id": id}).model(ClientCredential)

    @operation("PUT /ClientCredential/{id}")
    def update(self, call: Call, id: str, *, description: str | None = None) -> None:
        """Update the details of a client credential."""
        call(path={"id": id}, json=ClientCredentialBody(description=description).json_body())

    @operation("DELETE /ClientCredential/{id}")
    def delete(self, call: Call, id: str) -> None:
        """Delete a client credential."""
        call(path={"id": id})
