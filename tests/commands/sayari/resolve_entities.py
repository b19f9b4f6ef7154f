"""Scenario of `sayari.resolve_entities`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import write_entities, write_numbered_companies


def data(folder: Path, _: Sandbox) -> dict[str, Any]:
    return {"file": write_entities(folder), "delete_project": False}


def numbered_data(folder: Path, _: Sandbox, __: str, n: int) -> dict[str, Any]:
    return {"file": write_numbered_companies(folder, n)}


SCENARIO = Scenario(
    "sayari.resolve_entities",
    data,
    stride=13,
    numbered_data=numbered_data,
)
