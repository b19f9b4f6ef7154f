"""A recording Sayari client, and data at the simulator to ask for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from clients.sayari import Sayari, UploadEntity
from sandbox import Sandbox
from sandbox.sayari.register import register
from tests.support.recording_client import RecordingClient

#: The register's entities by label.
ENTITIES = {entity.label: entity for entity in register().entities.values()}
TESCO = ENTITIES["Tesco PLC"]


def record_sayari(sandbox: Sandbox) -> RecordingClient[Sayari]:
    """Return recording clients of the sandbox's Sayari simulator."""
    url = f"{sandbox.url}/sayari"
    return RecordingClient(sandbox, partial(Sayari.connect, url), "/sayari/oauth/token")


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
