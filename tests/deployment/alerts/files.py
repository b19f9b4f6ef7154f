"""The rules and the dashboard, as their checks need them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "k8s" / "observability"
RULES_TEST = Path(__file__).parent / "rules_test.yaml"


def groups() -> list[dict[str, Any]]:
    """The groups of rules, as Prometheus itself reads them."""
    found: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yaml").read_text())["spec"]["groups"]
    return found


def alerts() -> dict[str, dict[str, Any]]:
    """The alerts by name."""
    return {rule["alert"]: rule for group in groups() for rule in group["rules"]}


def dashboard_expressions() -> list[str]:
    """What the dashboard asks, with a fixed interval in place of Grafana's."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    return [
        target["expr"].replace("$__rate_interval", "5m")
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def metrics_in(expression: str) -> set[str]:
    """The metrics of ours that an expression names, without what histograms add."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bkyb_\w+", expression)}
