"""Documentation, alerts and dashboard name what is exported, all of it, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml
from prometheus_client import REGISTRY, Metric

from messages.catalogue import COMMANDS
from tests.deployment.alerts.files import ROOT, RULES_TEST, alerts, dashboard_expressions, metrics_in
from workers.ledger.statistics import LedgerStats
from workers.observability import metrics
from workers.observability.ledger_monitor import ledger_metrics, rate_limit_metrics
from workers.settings import Rate

ALERTS = alerts()


def exported() -> dict[str, Metric]:
    """By name, counters with their `_total`."""
    rates = {("sayari", "standard"): Rate(calls=1, seconds=1)}
    found = [*REGISTRY.collect(), *rate_limit_metrics(rates, {}), *ledger_metrics(LedgerStats(0.0))]
    return {
        f"{metric.name}_total" if metric.type == "counter" else metric.name: metric
        for metric in found
        if metric.name.startswith("kyb_")
    }


def labels_of(name: str) -> set[str]:
    collector = REGISTRY._names_to_collectors.get(name)
    if collector is None:
        return {label for sample in exported()[name].samples for label in sample.labels}
    return set(getattr(collector, "_labelnames", ()))


def documented() -> dict[str, set[str]]:
    """Metrics and their labels in the table of docs/reference/observability.md."""
    page = (ROOT / "docs" / "reference" / "observability.md").read_text()
    rows = re.findall(r"^\| `(kyb_\w+)` \|([a-z, ]*)\|", page, re.MULTILINE)
    return {name: {label.strip() for label in labels.split(",") if label.strip()} for name, labels in rows}


def test_the_page_lists_every_metric_with_its_labels() -> None:
    listed = documented()
    assert listed.keys() == exported().keys()
    ours = {name: labels for name, labels in listed.items() if name in REGISTRY._names_to_collectors}
    assert ours == {name: labels_of(name) for name in ours}
    assert listed["kyb_jobs"] == {"command", "state"}
    assert listed["kyb_vendor_rate_limit_calls"] == {"vendor", "kind"}


def test_what_is_exported_says_what_it_is() -> None:
    for name, metric in exported().items():
        assert metric.documentation, name
        assert name.endswith("_total") == (metric.type == "counter"), name
        if metric.type == "histogram":
            assert name.endswith("_seconds"), name


def test_there_are_not_too_many_series() -> None:
    """Those that a new process has from the beginning; histograms only come with what they measure."""
    count = "from tests.unit.observability.test_promises import exported; print(sum(len(m.samples) for m in exported().values()))"
    found = subprocess.run(
        [sys.executable, "-c", count], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert 0 < int(found.stdout) < 60 * len(COMMANDS)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_section_and_a_test(name: str) -> None:
    rule = ALERTS[name]
    assert metrics_in(rule["expr"]) <= {re.sub("_(bucket|sum|count)$", "", known) for known in exported()}
    assert metrics_in(rule["expr"])
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    place, _, anchor = rule["annotations"]["runbook_url"].partition("/how-to/operate/alerts.md#")
    assert place == "{{ $externalLabels.kyb_docs }}"
    sections = re.findall(
        r"^### (.+)$", (ROOT / "docs" / "how-to" / "operate" / "alerts.md").read_text(), re.MULTILINE
    )
    assert anchor in {section.lower() for section in sections}
    tested = [
        test["alertname"]
        for group in yaml.safe_load(RULES_TEST.read_text())["tests"]
        for test in group["alert_rule_test"]
        if test["exp_alerts"]
    ]
    assert name in tested


def test_every_section_is_of_an_alert() -> None:
    page = (ROOT / "docs" / "how-to" / "operate" / "alerts.md").read_text()
    assert set(re.findall(r"^### (Kyb\w+)$", page, re.MULTILINE)) == ALERTS.keys()


def test_the_dashboard_asks_for_all_of_it_and_nothing_else() -> None:
    asked = set().union(*map(metrics_in, dashboard_expressions()))
    assert asked == exported().keys()


def test_every_kind_of_transfer_is_known() -> None:
    named = set()
    for module in (ROOT / "workers" / "jobs").rglob("*.py"):
        named |= set(re.findall(r"run\.transfer\(\s*f?\"(\w+)", module.read_text()))
    assert named <= metrics.KINDS
    assert len(named) > 5
