"""Scenario of `portfolio.process`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario


def data(folder: Path, _: Sandbox) -> dict[str, Any]:
    """All stages, over two records of one company and one that no vendor knows."""
    (folder / "customers.csv").write_text("reference,name\n1,Tesco PLC\n2,Tesco plc\n3,Nobody & Sons\n")
    return {
        "file": str(folder / "customers.csv"),
        "name": "Scenario",
        "cleanse": {"workflow": "CompanyCleanse"},
        "deduplicate": {"fields": ["name"], "remove": True},
        "resolve": {"watchlist": True, "ownership": True},
    }


def numbered_data(folder: Path, sandbox: Sandbox, id: str, _: int) -> dict[str, Any]:
    return data(folder, sandbox) | {"name": id}


SCENARIO = Scenario(
    "portfolio.process",
    data,
    stride=75,
    repeatable_effects=("creditsafe.duplicates.identify",),
    stable_fields=("unplaced",),
    unknown_after_restore=True,
    numbered_data=numbered_data,
)
