"""Scenario of `data8.start_job`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import write_companies, write_numbered_companies


def data(folder: Path, _: Sandbox) -> dict[str, Any]:
    return {"workflow": "Echo", "inputs": {"Companies": {"file": write_companies(folder)}}}


def numbered_data(folder: Path, _: Sandbox, __: str, n: int) -> dict[str, Any]:
    return {"workflow": "Echo", "inputs": {"Companies": {"file": write_numbered_companies(folder, n)}}}


SCENARIO = Scenario(
    "data8.start_job",
    data,
    stride=7,
    numbered_data=numbered_data,
)
