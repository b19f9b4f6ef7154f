"""Scenario of `sayari.trace_relationships`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import write_entity_ids


def data(folder: Path, _: Sandbox) -> dict[str, Any]:
    return {"file": write_entity_ids(folder), "kind": "traversal"}


SCENARIO = Scenario(
    "sayari.trace_relationships",
    data,
    stride=21,
    stable_fields=("entities",),
)
