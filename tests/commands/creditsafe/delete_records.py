"""Scenario of `creditsafe.delete_records`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import make_portfolio


def data(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    """Two batches."""
    known, unknown = [f"R{n:012d}" for n in range(1, 4)], [f"unknown-{n}" for n in range(300)]
    return {"portfolio_id": make_portfolio(sandbox), "record_ids": [*known[:2], *unknown, known[2]]}


SCENARIO = Scenario(
    "creditsafe.delete_records",
    data,
    stride=21,
    stable_fields=("deleted",),
)
