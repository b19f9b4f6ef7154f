"""Scenario of `creditsafe.add_records`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import make_portfolio


def data(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    """Two batches."""
    return {"portfolio_id": make_portfolio(sandbox), "records": [{"reference": str(n)} for n in range(301)]}


SCENARIO = Scenario(
    "creditsafe.add_records",
    data,
    stride=21,
    stable_fields=("record_ids",),
    unknown_after_restore=True,
)
