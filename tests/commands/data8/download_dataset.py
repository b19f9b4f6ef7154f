"""Scenario of `data8.download_dataset`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import make_numbered_output, make_output_dataset


def data(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    rows = [{"name": "Nestlé S.A."}, {"name": 'a "quoted", one'}]
    return {"dataset": make_output_dataset(sandbox, "scenario", rows)}


def numbered_data(_: Path, sandbox: Sandbox, __: str, n: int) -> dict[str, Any]:
    return {"dataset": make_numbered_output(sandbox, n)}


SCENARIO = Scenario(
    "data8.download_dataset",
    data,
    stride=21,
    numbered_data=numbered_data,
)
