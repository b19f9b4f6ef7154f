"""Examples of Sayari's commands, each with the result of a job that completed."""

from __future__ import annotations

from messages.base import Command, Result
from messages.examples.shared import file_of
from messages.sayari import (
    CollectChanges,
    CollectChangesResult,
    Entity,
    ExportProject,
    ExportProjectResult,
    Project,
    ResolveEntities,
    ResolveEntitiesResult,
)
from messages.sayari_graph import (
    FetchEntities,
    FetchEntitiesResult,
    TraceRelationships,
    TraceRelationshipsResult,
    TraversalOptions,
)

NDJSON = "application/x-ndjson"
JOBS: list[tuple[Command, Result]] = [
    (
        ResolveEntities(
            entities=[Entity(name=["Example Trading Ltd"], country=["GBR"])],
            project=Project(label="Suppliers"),
        ),
        ResolveEntitiesResult(
            project_id="GNJWVL",
            uploaded=1,
            resolved=file_of("resolve_entities", "resolved.jsonl", NDJSON, 1, 2_871),
            unresolved=file_of("resolve_entities", "unresolved.jsonl", NDJSON, 0, 0),
        ),
    ),
    (
        TraceRelationships(
            file="file:///data/entities.csv",
            kind="ubo",
            options=TraversalOptions(max_depth=5, countries=["GBR", "LUX"]),
        ),
        TraceRelationshipsResult(
            entities=1_204,
            paths=file_of("trace_relationships", "paths.jsonl", NDJSON, 3_911, 6_540_127),
            missing=file_of("trace_relationships", "missing.csv", "text/csv", 2, 58),
        ),
    ),
    (
        FetchEntities(entity_ids=["9NscwYGRhPrRkNGjvj5IWA"], format="pdf"),
        FetchEntitiesResult(
            entities=[
                file_of(
                    "fetch_entities",
                    "entity-0001-9NscwYGRhPrRkNGjvj5IWA.pdf",
                    "application/pdf",
                    None,
                    48_112,
                )
            ],
            missing=file_of("fetch_entities", "missing.csv", "text/csv", 0, 11),
        ),
    ),
    (
        ExportProject(project_id="GNJWVL", content="entity"),
        ExportProjectResult(
            project_id="GNJWVL",
            exported=file_of("export_project", "exported.jsonl", NDJSON, 1_202, 1_810_345),
        ),
    ),
    (
        CollectChanges(project_id="GNJWVL", clear=True),
        CollectChangesResult(
            project_id="GNJWVL",
            changes=file_of("collect_changes", "changes.jsonl", NDJSON, 217, 61_009),
            cleared=48,
            kept=0,
        ),
    ),
]
