"""Scenario of `creditsafe.enrich`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import make_portfolio


def data(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    return {"portfolio_id": make_portfolio(sandbox), "fields": ["contact.town"]}


SCENARIO = Scenario(
    "creditsafe.enrich",
    data,
    stride=35,
    outcome_may_be_unknown=True,
)
