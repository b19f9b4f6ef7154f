"""Scenario of `creditsafe.run_matching`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import make_numbered_portfolio, make_portfolio


def data(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    return {"portfolio_id": make_portfolio(sandbox)}


def numbered_data(_: Path, sandbox: Sandbox, __: str, n: int) -> dict[str, Any]:
    return {"portfolio_id": make_numbered_portfolio(sandbox, n)}


SCENARIO = Scenario(
    "creditsafe.run_matching",
    data,
    stride=9,
    outcome_may_be_unknown=True,
    numbered_data=numbered_data,
)
