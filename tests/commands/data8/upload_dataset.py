"""Scenario of `data8.upload_dataset`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import write_companies


def data(folder: Path, _: Sandbox) -> dict[str, Any]:
    return {"file": write_companies(folder), "columns": {"name": "text"}}


SCENARIO = Scenario(
    "data8.upload_dataset",
    data,
    stride=27,
)
