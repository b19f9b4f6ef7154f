"""Examples of Sayari's commands, each with the result of a job that completed."""

from __future__ import annotations

from messages.base import Command, Result
from messages.examples.shared import file_of
from messages.sayari import Entity, Project, ResolveEntities, ResolveEntitiesResult

JOBS: list[tuple[Command, Result]] = [
    (
        ResolveEntities(
            entities=[Entity(name=["Example Trading Ltd"], country=["GBR"])],
            project=Project(label="Suppliers"),
        ),
        ResolveEntitiesResult(
            project_id="GNJWVL",
            uploaded=1,
            resolved=file_of("resolve_entities", "resolved.ndjson", "application/x-ndjson", 1, 2_871),
            unresolved=file_of("resolve_entities", "unresolved.ndjson", "application/x-ndjson", 0, 0),
        ),
    ),
]
