"""`/ApiKey`: keys for Data8's real-time services, and from where and for what they may be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import TypeAdapter

from clients.data8.models import ApiKey, ApiKeyBody, ApiKeyRef
from clients.operation import Call
from clients.resource import Resource, operation
from clients.transport import Transport

_REFS = TypeAdapter(list[ApiKeyRef] | None)
_STRINGS = TypeAdapter(list[str] | None)


class AllowedDomains(Resource):
    """`/ApiKey/{key}/allowedDomains`: the web sites a client-side key may be used from."""

    group = "api_keys.allowed_domains"

    @operation("GET /ApiKey/{key}/allowedDomains")
    def list(self, call: Call, key: str) -> Sequence[str]:
        """Get the domain names that an API key can be used from."""
        return call(path={"key": key}).adapt(_STRINGS) or []

    @operation("PUT /ApiKey/{key}/allowedDomains/{domain}")
    def add(self, call: Call, key: str, domain: str) -> None:
        """Add a domain to the list that an API key can be used from in client-side code."""
        call(path={"key": key, "domain": domain})

    @operation("DELETE /ApiKey/{key}/allowedDomains/{domain}")
    def remove(self, call: Call, key: str, domain: str) -> None:
        """Remove a domain from the list that an API key can be used from in client-side code."""
        call(path={"key": key, "domain": domain})


class AllowedIPs(Resource):
    """`/ApiKey/{key}/allowedIPs`: the client addresses a key may be used from."""

    group = "api_keys.allowed_ips"

    @operation("GET /ApiKey/{key}/allowedIPs")
    def list(self, call: Call, key: str) -> Sequence[str]:
        """Get the client IP addresses that an API key can be used from."""
        return call(path={"key": key}).adapt(_STRINGS) or []

    @operation("POST /ApiKey/{key}/allowedIPs")
    def add(self, call: Call, key: str, network: str) -> None:
        """Add a subnet, in CIDR notation such as `123.45.6.0/24`, to those an API key can be used from.

        The encoding of the body is not documented; a JSON string is assumed.
        """
        call(path={"key": key}, json=network)

    @operation("PUT /ApiKey/{key}/allowedIPs/{network}/{prefix}")
    def put(self, call: Call, key: str, network: str, prefix: int | None = None) -> None:
        """Add a subnet, as network and number of bits or as CIDR, to those an API key can be used from.

        Without `prefix` the vendor parses `network` as CIDR; the last segment is then left out.
        """
        self._subnet(call, key, network, prefix)

    @operation("DELETE /ApiKey/{key}/allowedIPs/{network}/{prefix}")
    def remove(self, call: Call, key: str, network: str, prefix: int | None = None) -> None:
        """Remove a subnet, given as for `put`, from those an API key can be used from.

        The document says "bytes" for this prefix and "bits" for that of `put`; bits is meant.
        """
        self._subnet(call, key, network, prefix)

    def _subnet(self, call: Call, key: str, network: str, prefix: int | None) -> None:
        """Call with the last path segment, which "may be left blank", or without it."""
        path: dict[str, str | int] = {"key": key, "network": network}
        if prefix is None:
            short = call.operation.path.removesuffix("/{prefix}")
            call = Call(self._transport, replace(call.operation, path=short))
        else:
            path["prefix"] = prefix
        call(path=path)


class AllowedServices(Resource):
    """`/ApiKey/{key}/allowedServices`: the services a key opens."""

    group = "api_keys.allowed_services"

    @operation("GET /ApiKey/{key}/allowedServices")
    def list(self, call: Call, key: str) -> Sequence[str]:
        """Get the services that an API key can be used to access."""
        return call(path={"key": key}).adapt(_STRINGS) or []

    @operation("PUT /ApiKey/{key}/allowedServices/{service}")
    def add(self, call: Call, key: str, service: str) -> None:
        """Add a service to the list that an API key can be used to access."""
        call(path={"key": key, "service": service})

    @operation("DELETE /ApiKey/{key}/allowedServices/{service}")
    def remove(self, call: Call, key: str, service: str) -> None:
        """Remove a service from the list that an API key can be used to access."""
        call(path={"key": key, "service": service})


class ApiKeys(Resource):
    """`/ApiKey`."""

    group = "api_keys"

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.allowed_domains = AllowedDomains(transport)
        self.allowed_ips = AllowedIPs(transport)
        self.allowed_services = AllowedServices(transport)

    @operation("GET /ApiKey")
    def list(self, call: Call) -> Sequence[ApiKeyRef]:
        """Get a list of the API keys defined for this account."""
        return call().adapt(_REFS) or []

    @operation("POST /ApiKey")
    def create(
        self,
        call: Call,
        *,
        key: str | None = None,
        description: str | None = None,
        username: str | None = None,
        expires_on: datetime | None = None,
        max_requests_per_ip_per_day: int | None = None,
        is_client_key: bool | None = None,
    ) -> ApiKey:
        """Create a new API key; whether `key` may be chosen is not documented."""
        body = ApiKeyBody(
            key=key,
            description=description,
            username=username,
            expires_on=expires_on,
            max_requests_per_ip_per_day=max_requests_per_ip_per_day,
            is_client_key=is_client_key,
        )
        return call(json=body.json_body()).model(ApiKey)

    @operation("GET /ApiKey/{key}")
    def get(self, call: Call, key: str) -> ApiKey:
        """Get the details of an API key."""
        return call(path={"key": key}).model(ApiKey)

    @operation("PUT /ApiKey/{key}")
    def update(
        self,
        call: Call,
        key: str,
        *,
        description: str | None = None,
        username: str | None = None,
        expires_on: datetime | None = None,
        max_requests_per_ip_per_day: int | None = None,
        is_client_key: bool | None = None,
    ) -> None:
        """Update an API key: what is not given is not kept, as with any PUT."""
        body = ApiKeyBody(
            key=key,
            description=description,
            username=username,
            expires_on=expires_on,
            max_requests_per_ip_per_day=max_requests_per_ip_per_day,
            is_client_key=is_client_key,
        )
        call(path={"key": key}, json=body.json_body())

    @operation("DELETE /ApiKey/{key}")
    def delete(self, call: Call, key: str) -> None:
        """Delete an API key."""
        call(path={"key": key})
