"""`/ApiKey`."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import SandboxState, serves
from sandbox.data8.answers import Body, Part, Refused, absent, body, done, here, moment, problem


class ApiKeyBody(Body):
    """A key as it is sent."""

    key: str | None = Field(default=None, min_length=1)
    description: str | None = None
    username: str | None = None
    expires_on: datetime | None = Field(default=None, strict=False)
    max_requests_per_ip_per_day: int | None = Field(default=None, alias="maxRequestsPerIPPerDay", ge=0)
    is_client_key: bool | None = None


@dataclass
class ApiKey:
    """A key; lists keep the order in which their entries came."""

    key: str
    sent: ApiKeyBody
    domains: dict[str, None] = field(default_factory=dict)
    ips: dict[str, None] = field(default_factory=dict)
    services: dict[str, None] = field(default_factory=dict)

    def shown(self) -> dict[str, object]:
        """In full; whether it is a client key is never told."""
        expires = self.sent.expires_on
        return {
            "key": self.key,
            "description": self.sent.description,
            "username": self.sent.username,
            "expiresOn": moment(expires.timestamp()) if expires else None,
            "maxRequestsPerIPPerDay": self.sent.max_requests_per_ip_per_day,
            "allowedDomains": list(self.domains),
            "allowedIPs": list(self.ips),
            "allowedServices": list(self.services),
        }


class ApiKeys(Part):
    """`/ApiKey` and what a key is allowed. A repeated PUT changes nothing and is answered the same (assumed)."""

    def __init__(self, state: SandboxState) -> None:
        super().__init__(state)
        self._keys: dict[str, ApiKey] = {}

    @serves("GET /ApiKey")
    async def api_keys__list(self, request: Request) -> Response:
        """All keys; the items' shape is assumed."""
        return JSONResponse(
            [
                {
                    "key": key.key,
                    "description": key.sent.description,
                    "username": key.sent.username,
                    "location": here(request, f"/ApiKey/{key.key}"),
                }
                for key in self._keys.values()
            ]
        )

    @serves("POST /ApiKey")
    async def api_keys__create(self, request: Request) -> Response:
        """A new key, generated unless chosen (assumed); one that exists is refused."""
        sent = await body(request, ApiKeyBody, plain=True)
        key = ApiKey(sent.key or str(uuid4()).upper(), sent)
        if key.key in self._keys:
            return problem(400, "such a key exists")
        self._keys[key.key] = key
        self.state.effect("data8.api_keys.create", key.key)
        return JSONResponse(key.shown(), 201, {"location": here(request, f"/ApiKey/{key.key}")})

    @serves("GET /ApiKey/{key}")
    async def api_keys__get(self, request: Request) -> Response:
        """One key."""
        return JSONResponse(self._key(request).shown())

    @serves("PUT /ApiKey/{key}")
    async def api_keys__update(self, request: Request) -> Response:
        """Replace all details of the key; the key itself stays."""
        sent = await body(request, ApiKeyBody, plain=True)
        key = self._key(request)
        if sent.key not in {None, key.key}:
            return problem(400, "a key cannot be renamed")
        key.sent = sent
        self.state.effect("data8.api_keys.update", key.key)
        return done()

    @serves("DELETE /ApiKey/{key}")
    async def api_keys__delete(self, request: Request) -> Response:
        """Gone."""
        key = self._key(request)
        del self._keys[key.key]
        self.state.effect("data8.api_keys.delete", key.key)
        return done()

    @serves("GET /ApiKey/{key}/allowedDomains")
    async def api_keys__allowed_domains__list(self, request: Request) -> Response:
        """The domains."""
        return JSONResponse(list(self._key(request).domains))

    @serves("PUT /ApiKey/{key}/allowedDomains/{domain}")
    async def api_keys__allowed_domains__add(self, request: Request) -> Response:
        """One more."""
        return self._add("allowed_domains.add", self._key(request).domains, request, "domain")

    @serves("DELETE /ApiKey/{key}/allowedDomains/{domain}")
    async def api_keys__allowed_domains__remove(self, request: Request) -> Response:
        """One less."""
        return self._remove("allowed_domains.remove", self._key(request).domains, request, "domain")

    @serves("GET /ApiKey/{key}/allowedIPs")
    async def api_keys__allowed_ips__list(self, request: Request) -> Response:
        """The subnets."""
        return JSONResponse(list(self._key(request).ips))

    @serves("POST /ApiKey/{key}/allowedIPs")
    async def api_keys__allowed_ips__add(self, request: Request) -> Response:
        """One more, in the body: a JSON string, or an object of network and prefix (both assumed)."""
        raw = await request.body()
        key = self._key(request)
        try:
            sent = json.loads(raw)
        except ValueError:
            return problem(400, "the body must be JSON")
        if isinstance(sent, dict):
            sent = f"{sent.get('network')}/{sent['prefix']}" if sent.get("prefix") else sent.get("network")
        key.ips[_subnet(str(sent))] = None
        self.state.effect("data8.api_keys.allowed_ips.add", f"{key.key}/{_subnet(str(sent))}")
        return done()

    @serves(
        "PUT /ApiKey/{key}/allowedIPs/{network}/{prefix}",
        "PUT /ApiKey/{key}/allowedIPs/{network}/",
        "PUT /ApiKey/{key}/allowedIPs/{network}",
    )
    async def api_keys__allowed_ips__put(self, request: Request) -> Response:
        """One more, in the path; a `/` that came as %2F reads the same as one between segments."""
        return self._add("allowed_ips.put", self._key(request).ips, request, "network")

    @serves(
        "DELETE /ApiKey/{key}/allowedIPs/{network}/{prefix}",
        "DELETE /ApiKey/{key}/allowedIPs/{network}/",
        "DELETE /ApiKey/{key}/allowedIPs/{network}",
    )
    async def api_keys__allowed_ips__remove(self, request: Request) -> Response:
        """One less."""
        return self._remove("allowed_ips.remove", self._key(request).ips, request, "network")

    @serves("GET /ApiKey/{key}/allowedServices")
    async def api_keys__allowed_services__list(self, request: Request) -> Response:
        """The services."""
        return JSONResponse(list(self._key(request).services))

    @serves("PUT /ApiKey/{key}/allowedServices/{service}")
    async def api_keys__allowed_services__add(self, request: Request) -> Response:
        """One more."""
        return self._add("allowed_services.add", self._key(request).services, request, "service")

    @serves("DELETE /ApiKey/{key}/allowedServices/{service}")
    async def api_keys__allowed_services__remove(self, request: Request) -> Response:
        """One less."""
        return self._remove("allowed_services.remove", self._key(request).services, request, "service")

    def _key(self, request: Request) -> ApiKey:
        try:
            return self._keys[request.path_params["key"]]
        except KeyError:
            raise absent("no such API key") from None

    def _add(self, operation: str, entries: dict[str, None], request: Request, parameter: str) -> Response:
        entry = _entry(request, parameter)
        if entry not in entries:
            entries[entry] = None
            self.state.effect(f"data8.api_keys.{operation}", f"{request.path_params['key']}/{entry}")
        return done()

    def _remove(self, operation: str, entries: dict[str, None], request: Request, parameter: str) -> Response:
        entry = _entry(request, parameter)
        if entry not in entries:
            raise absent(f"no such {parameter}")
        del entries[entry]
        self.state.effect(f"data8.api_keys.{operation}", f"{request.path_params['key']}/{entry}")
        return done()


def _entry(request: Request, parameter: str) -> str:
    value: str = request.path_params[parameter]
    if parameter != "network":
        return value
    prefix = request.path_params.get("prefix")
    return _subnet(f"{value}/{prefix}" if prefix else value)


def _subnet(text: str) -> str:
    """The subnet in its usual notation; an address alone is a subnet of one."""
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise Refused(problem(400, "not a subnet in CIDR notation")) from None
