"""A Sayari client that records its requests, and objects for it to fetch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

from clients.sayari import Sayari, UploadEntity
from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME
from sandbox.sayari.register import register

#: The register's entities by label.
ENTITIES = {entity.label: entity for entity in register().entities.values()}
TESCO = ENTITIES["Tesco PLC"]


@dataclass
class RecordingClient:
    """A client of the sandbox and the requests that it sent, oldest first."""

    sandbox: Sandbox
    requests: list[httpx.Request] = field(default_factory=list)
    open: list[Sayari] = field(default_factory=list)

    def connect(self, **options: Any) -> Sayari:
        http = httpx.Client(event_hooks={"request": [self.requests.append]}, timeout=30)
        credentials = {"client_id": USERNAME, "client_secret": PASSWORD}
        client = Sayari.connect(f"{self.sandbox.url}/sayari", http=http, **(credentials | options))
        self.open.append(client)
        return client

    def tokens_asked(self) -> int:
        return sum(request.url.path.endswith("/oauth/token") for request in self.requests)


@dataclass(frozen=True)
class Scene:
    """Ids of a project with a saved entity, a saved record and a resolved list."""

    project: str
    resource: str
    record: str
    resolved: str
    unresolved: str
    entity: str = TESCO.id
    other: str = ENTITIES["Booker Limited"].id
    source: str = TESCO.source.id

    @classmethod
    def at(cls, client: Sayari) -> Scene:
        project = client.projects.create("Test Project").id
        saved = client.resources.create(
            type="entity", project=project, label="test entity 1", resource_id=TESCO.id
        )
        record = client.resources.create(
            type="record", project=project, label="test record 1", resource_id=TESCO.record_id
        )
        client.projects.resolutions.upload(
            project, entities=[UploadEntity(name=["Tesco"]), UploadEntity(name=["No Such Company"])]
        )
        resolved = client.projects.resolutions.resolved(project).data[0].id
        unresolved = client.projects.resolutions.unresolved(project).data[0].id
        return cls(project, saved.id, record.id, resolved, unresolved)
