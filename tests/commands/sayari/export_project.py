"""Scenario of `sayari.export_project`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import make_project


def data(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    return {"project_id": make_project(sandbox)}


SCENARIO = Scenario(
    "sayari.export_project",
    data,
    stride=15,
)
