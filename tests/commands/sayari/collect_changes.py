"""Scenario of `sayari.collect_changes`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import make_project


def data(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    return {"project_id": make_project(sandbox), "clear": True}


SCENARIO = Scenario(
    "sayari.collect_changes",
    data,
    stride=29,
    stable_fields=("cleared", "kept"),
    unknown_after_restore=True,
)
