"""The metrics of jobs, turns and vendor calls, and those of the ledger."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event, text

from clients.errors import VendorUnavailable
from messages.envelope import parse
from sandbox.core import Fault
from tests.unit.observability.conftest import MetricDelta, ServiceHarness
from workers.errors import Reject
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.ledger.schema import job
from workers.observability.ledger_monitor import LedgerMonitor
from workers.observability.metrics import render
from workers.rate_limits.limiter import SharedRateLimiter, remaining_calls
from workers.settings import Rate

START = "data8.start_job"


def test_metrics_count_a_job_that_completes(harness: ServiceHarness, counted: MetricDelta) -> None:
    job = harness.run(START, harness.companies())
    assert job.result is not None
    (file,) = job.result["outputs"].values()
    assert counted("kyb_commands_received_total", command=START, outcome="new") == 1
    assert counted("kyb_jobs_ended_total", command=START, status="completed", code="") == 1
    assert counted("kyb_job_duration_seconds_count", command=START, status="completed") == 1
    assert counted("kyb_turns_total", command=START, outcome="completed") == 1
    assert counted("kyb_turns_total", command=START, outcome="waiting") == job.turns - 1
    assert counted("kyb_turn_duration_seconds_count", command=START) == job.turns
    assert counted("kyb_polls_total", command=START) == job.polls > 0
    assert counted("kyb_detection_delay_upper_bound_seconds_count", command=START) == 1
    assert counted("kyb_detection_delay_seconds_count", command=START) == 1
    for kind in ("inspect", "upload", "download"):
        assert counted("kyb_records_transferred_total", command=START, kind=kind) == 2, kind
    assert counted("kyb_result_records_total", command=START) == file["records"]
    assert counted("kyb_result_bytes_total", command=START) == file["bytes"]
    requests = sum(
        counted("kyb_vendor_request_duration_seconds_count", vendor="data8", operation=operation)
        for operation in {
            name.removeprefix("data8.") for name in harness.state.calls if name.startswith("data8.")
        }
    )
    assert requests == sum(n for name, n in harness.state.calls.items() if name.startswith("data8."))
    assert counted("kyb_vendor_requests_total", vendor="data8", operation="jobs.create", status="201") == 1
    assert counted("kyb_token_refreshes_total", vendor="data8", outcome="granted") == 1
    assert counted("kyb_vendor_bytes_total", vendor="data8", direction="received") > 100
    assert counted("kyb_vendor_bytes_total", vendor="data8", direction="sent") > 100


def test_metrics_count_retries_recoveries_and_rejections(
    harness: ServiceHarness, counted: MetricDelta
) -> None:
    harness.state.faults["data8.jobs.get"].append(Fault("status", status=503))
    harness.state.faults["data8.jobs.create"] += [Fault("lost_before"), Fault("lost_after")]
    data = harness.companies()
    harness.run(START, data)
    harness.arrive(START, data)
    assert counted("kyb_retries_total", command=START, reason="vendor_unavailable") == 1
    assert counted("kyb_retries_total", command=START, reason="outcome_unknown") == 2
    assert counted("kyb_effects_recovered_total", command=START, outcome="not_happened") == 1
    assert counted("kyb_effects_recovered_total", command=START, outcome="adopted") == 1
    assert counted("kyb_vendor_requests_total", vendor="data8", operation="jobs.get", status="503") == 1
    assert counted("kyb_commands_received_total", command=START, outcome="duplicate_ended") == 1
    harness.run(START, {"workflow": "no such workflow"}, "refused")
    assert counted("kyb_jobs_ended_total", command=START, status="failed", code="vendor_rejected") == 1
    for type_ in (START, "an unknown type", None):
        with pytest.raises(Reject):
            harness.turns.receive_command(
                json.dumps({"id": "x", "type": type_, "data": {"surplus": 1}}).encode()
            )
    assert counted("kyb_commands_received_total", command="", outcome="invalid_command") == 2
    assert counted("kyb_commands_received_total", command=START, outcome="invalid_command") == 1


def test_metrics_count_requests_when_the_vendor_cannot_be_reached(
    harness: ServiceHarness, counted: MetricDelta
) -> None:
    harness.services.creditsafe._transport.base_url = "http://127.0.0.1:1"
    with pytest.raises(VendorUnavailable):
        harness.services.creditsafe.portfolios.get("1")
    labels = {"vendor": "creditsafe", "operation": "authenticate", "status": "none"}
    assert counted("kyb_vendor_requests_total", **labels) == 1
    assert counted("kyb_token_refreshes_total", vendor="creditsafe", outcome="failed") == 1


def test_metrics_have_valid_names_and_bounded_labels(harness: ServiceHarness) -> None:
    harness.run(START, harness.companies())
    media_type, body = render("text/plain", [])
    assert media_type.startswith("text/plain")
    families = [f for f in text_string_to_metric_families(body.decode()) if f.name.startswith("kyb_")]
    assert len(families) > 20
    labels = {key for family in families for sample in family.samples for key in sample.labels}
    assert labels <= {
        "command", "outcome", "status", "code", "reason", "kind", "le",
        "vendor", "operation", "direction", "queue",
    }  # fmt: skip
    assert "openmetrics" in render("application/openmetrics-text; version=1.0.0", [])[0]
    assert len({m.name for m in REGISTRY.collect()}) == len(list(REGISTRY.collect()))


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest) -> Any:
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    made = Ledger(Database(url))
    made.database.upgrade()
    yield made
    made.database.close()


def command(id: str) -> bytes:
    return json.dumps(
        {"specversion": "1.0", "id": id, "source": "/t", "type": START, "data": {"workflow": "w"}}
    ).encode()


def test_ledger_metrics_count_jobs_by_state(ledger: Ledger) -> None:
    for number in range(6):
        ledger.jobs.accept(parse(command(f"job-{number}")), 600.0, claim_first_turn=number < 2)
    with ledger.database.write() as writing:
        turns, _ = ledger.dispatch.due(writing, 1)
        writing.execute(text("UPDATE job SET due_at = due_at + 600 WHERE id IN ('job-4', 'job-5')"))
        writing.execute(text("UPDATE job SET due_at = due_at - 30 WHERE id = 'job-3'"))
        ledger.dispatch.mark_dispatched(writing, turns)
        writing.execute(text("UPDATE job SET dispatched_at = dispatched_at - 40 WHERE id = 'job-2'"))
        writing.execute(text("UPDATE event SET created_at = created_at - 50 WHERE job_id = 'job-0'"))
    stats = ledger.queries.stats()
    assert turns[0].job_id == "job-2"
    assert {key: n for key, n in stats.jobs.items() if n} == {
        (START, "waiting"): 2, (START, "due"): 1, (START, "dispatched"): 3,
    }  # fmt: skip
    assert stats.oldest_due is not None
    assert stats.oldest_unpublished is not None
    assert 30 <= stats.now - stats.oldest_due < 40
    assert 40 <= stats.now - stats.oldest_dispatched["kyb.data8"] < 50
    assert 50 <= stats.now - stats.oldest_unpublished < 60
    assert stats.unpublished == 6
    assert stats.oldest_dispatched["kyb.sayari"] == stats.now


def test_ledger_stats_read_only_indexes(ledger: Ledger) -> None:
    """The queries read only the indexes of jobs that have not ended."""
    ledger.jobs.accept(parse(command("job")), 600.0, claim_first_turn=False)
    others = ", ".join(
        column.name for column in job.columns if column.name not in {"id", "due_at", "ended_at"}
    )
    many = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
        " INSERT INTO job (id, due_at, ended_at, {})"
        " SELECT 'job-' || i, CASE WHEN i % 4 = 1 THEN 1 END, CASE WHEN i % 4 > 1 THEN 1 END, {}"
        " FROM job, n WHERE id = 'job'".replace("{}", others)
    )
    with ledger.database.write() as writing:
        writing.execute(many)
        writing.execute(
            text("UPDATE job SET ended_at = 1 WHERE due_at IS NULL AND updated_at > 0 AND id > 'job-2'")
        )
    if not ledger.database.sqlite:
        with ledger.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE job"))
    sqlite = ledger.database.sqlite
    explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
    queries: list[tuple[str, Any]] = []

    def note(_c: object, _cur: object, statement: str, parameters: Any, *_: object) -> None:
        if "GROUP BY" in statement:
            queries.append((statement, parameters))

    event.listen(ledger.database.engine, "before_cursor_execute", note)
    stats = ledger.queries.stats()
    assert {state: n for (_, state), n in stats.jobs.items() if n} == {"due": 751, "dispatched": 277}
    assert len(queries) == 2
    event.remove(ledger.database.engine, "before_cursor_execute", note)
    with ledger.database.read() as connection:
        for statement, parameters in queries:
            plan = "\n".join(map(str, connection.exec_driver_sql(explain + statement, parameters)))
            # SQLite also reads the rows of dispatched jobs, which are few.
            expected_index = (
                r"INDEX job_(due|in_flight)" if sqlite else r"Index Only Scan using job_(due|in_flight)"
            )
            assert re.search(expected_index, plan), plan
            assert sqlite or "Seq Scan" not in plan


def test_ledger_monitor_exports_rate_limits_and_stats_only_on_the_leader(ledger: Ledger) -> None:
    rate = Rate(calls=3, seconds=60)
    limiter = SharedRateLimiter(ledger.database, "sayari", {"standard": rate})
    assert limiter("standard") == 0
    rates = {("sayari", "standard"): rate, ("data8", "standard"): Rate(calls=1, seconds=1)}
    assert remaining_calls(ledger.database, rates) == {("sayari", "standard"): 2, ("data8", "standard"): 1}
    is_leader = True
    monitor = LedgerMonitor(ledger.queries, rates, lambda: is_leader)
    assert list(monitor.collect()) == []
    monitor.start()
    try:
        deadline = time.monotonic() + 20
        while not (shown := {metric.name: metric for metric in monitor.collect()}):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert monitor.heartbeat.alive
        assert "kyb_jobs" in shown
        remaining = {
            s.labels["vendor"]: s.value for s in shown["kyb_vendor_rate_limit_remaining_calls"].samples
        }
        assert remaining == {"sayari": 2, "data8": 1}
        is_leader = False
        assert {metric.name for metric in monitor.collect()} == {
            "kyb_vendor_rate_limit_calls", "kyb_vendor_rate_limit_remaining_calls",
        }  # fmt: skip
    finally:
        monitor.stop()
