"""Scenario of `creditsafe.export_records`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import make_portfolio


def data(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    return {"portfolio_id": make_portfolio(sandbox)}


SCENARIO = Scenario(
    "creditsafe.export_records",
    data,
    stride=31,
)
