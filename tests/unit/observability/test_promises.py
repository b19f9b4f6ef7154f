"""The pages, the alerts and the dashboard name every metric and log event of the workers, and no other."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
import yaml
from prometheus_client import REGISTRY, Metric

from messages.catalogue import COMMANDS
from tests.deployment.alerts.files import ROOT, RULES_TEST, alerts, dashboard_expressions, metrics_in
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.ledger.statistics import LedgerStats
from workers.observability.ledger_monitor import ledger_metrics, rate_limit_metrics
from workers.settings import Rate

ALERTS = alerts()
REFERENCE = (ROOT / "docs" / "reference" / "observability.md").read_text()
RUNBOOK = (ROOT / "docs" / "how-to" / "operate" / "alerts.md").read_text()


def exported_metrics() -> dict[str, Metric]:
    """Return the metrics by name, counters with their suffix `_total`."""
    rates = {("sayari", "standard"): Rate(calls=1, seconds=1)}
    families = [*REGISTRY.collect(), *rate_limit_metrics(rates, {}), *ledger_metrics(LedgerStats(0.0))]
    return {
        f"{metric.name}_total" if metric.type == "counter" else metric.name: metric
        for metric in families
        if metric.name.startswith("kyb_")
    }


def documented_metrics() -> dict[str, set[str]]:
    """Return the metrics of the reference page with their labels."""
    rows = re.findall(r"^\| `(kyb_\w+)` \|([a-z, ]*)\|", REFERENCE, re.MULTILINE)
    return {name: {label.strip() for label in labels.split(",") if label.strip()} for name, labels in rows}


def logged_events() -> Iterator[str]:
    """Yield the event of every call `log.…("event")` of the workers."""
    for module in (ROOT / "workers").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log")),
                    args=[ast.Constant(value=str() as event), *_],
                ):
                    yield event


def documented_events() -> set[str]:
    """Return the events of the table below the heading "Logs"."""
    rows = re.findall(r"^\| (`.+?`) \| [a-z, ]+ \|", REFERENCE.partition("## Logs")[2], re.MULTILINE)
    return {event for row in rows for event in re.findall(r"`([^`]+)`", row)}


def test_reference_lists_every_metric_with_its_labels() -> None:
    listed = documented_metrics()
    assert listed.keys() == exported_metrics().keys()
    counted = {name: labels for name, labels in listed.items() if name in REGISTRY._names_to_collectors}
    assert counted == {
        name: set(getattr(REGISTRY._names_to_collectors[name], "_labelnames", ())) for name in counted
    }
    assert listed["kyb_jobs"] == {"command", "state"}
    assert listed["kyb_vendor_rate_limit_calls"] == {"vendor", "kind"}


def test_reference_lists_every_log_event() -> None:
    assert documented_events() == set(logged_events())


def test_metrics_have_a_description_and_a_unit() -> None:
    for name, metric in exported_metrics().items():
        assert metric.documentation, name
        assert name.endswith("_total") == (metric.type == "counter"), name
        if metric.type == "histogram":
            assert name.endswith("_seconds"), name


def test_new_process_exports_a_bounded_number_of_series() -> None:
    """Histograms are not among them: their series appear with the first value."""
    script = (
        "from tests.unit.observability.test_promises import exported_metrics\n"
        "print(sum(len(metric.samples) for metric in exported_metrics().values()))"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert 0 < int(process.stdout) < 60 * len(COMMANDS)


@pytest.mark.parametrize("name", ALERTS)
def test_alert_has_a_section_and_a_test(name: str) -> None:
    rule = ALERTS[name]
    known = {re.sub("_(bucket|sum|count)$", "", metric) for metric in exported_metrics()}
    assert set() < metrics_in(rule["expr"]) <= known
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    site, _, anchor = rule["annotations"]["runbook_url"].partition("/how-to/operate/alerts.html#")
    assert site == "{{ $externalLabels.kyb_docs }}"
    assert anchor == name.lower()
    tested = [
        test["alertname"]
        for group in yaml.safe_load(RULES_TEST.read_text())["tests"]
        for test in group["alert_rule_test"]
        if test["exp_alerts"]
    ]
    assert name in tested


def test_runbook_has_a_section_for_each_alert_only() -> None:
    assert set(re.findall(r"^### (Kyb\w+)$", RUNBOOK, re.MULTILINE)) == ALERTS.keys()


def test_runbook_query_finds_the_connection_of_the_leader(postgres_url: str) -> None:
    query = re.search(r"SELECT l\.pid.+?;", RUNBOOK, re.DOTALL)
    assert query
    database = Database(postgres_url)
    database.upgrade()
    ledger = Ledger(database)
    with psycopg.connect(postgres_url) as operator:
        with database.connect() as connection, ledger.dispatch.try_lead(connection) as is_leader:
            assert is_leader
            pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            rows = operator.execute(query[0].encode()).fetchall()
        assert [row[0] for row in rows] == [pid]
        assert operator.execute(query[0].encode()).fetchall() == []
    database.close()


def test_dashboard_shows_every_metric() -> None:
    shown = set().union(*map(metrics_in, dashboard_expressions()))
    assert shown == exported_metrics().keys()
