"""The alert rules and the dashboard, as their checks read them."""

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
    """Return the rule groups in the format of Prometheus itself."""
    rule_groups: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yaml").read_text())["spec"]["groups"]
    return rule_groups


def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerts by name."""
    return {rule["alert"]: rule for group in groups() for rule in group["rules"]}


def dashboard_expressions() -> list[str]:
    """Return the dashboard's expressions, with a fixed interval in place of Grafana's."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    return [
        target["expr"].replace("$__rate_interval", "5m")
        for panel in dashboard["panels"]
        for target in panel.get("targets", [])
    ]


def metrics_in(expression: str) -> set[str]:
    """Return the names of our metrics in an expression, without the suffixes of histograms."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bkyb_\w+", expression)}
