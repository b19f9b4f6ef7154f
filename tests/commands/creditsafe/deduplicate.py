"""Scenario of `creditsafe.deduplicate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario
from tests.support.vendor_setup import make_portfolio


def data(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    return {"portfolio_id": make_portfolio(sandbox), "fields": ["name"], "remove": True}


SCENARIO = Scenario(
    "creditsafe.deduplicate",
    data,
    stride=31,
    repeatable_effects=("creditsafe.duplicates.identify",),
    stable_fields=("removed",),
    unknown_after_restore=True,
)
