"""Scenario of `creditsafe.import_file`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import write_companies, write_numbered_companies


def data(folder: Path, _: Sandbox) -> dict[str, Any]:
    return {"file": write_companies(folder), "portfolio": {"name": "Scenario"}}


def numbered_data(folder: Path, _: Sandbox, id: str, n: int) -> dict[str, Any]:
    return {"file": write_numbered_companies(folder, n), "portfolio": {"name": f"Portfolio of {id}"}}


SCENARIO = Scenario(
    "creditsafe.import_file",
    data,
    stride=9,
    numbered_data=numbered_data,
)
