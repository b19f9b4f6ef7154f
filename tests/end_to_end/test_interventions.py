"""An operator's interventions on RabbitMQ and PostgreSQL, none of which repeats an effect."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.core import Fault
from tests.end_to_end.conftest import Upstream, Workers
from tests.support.cli import CliResult, Kyb
from workers.ledger.database import Database

FINAL = ("completed", "failed", "cancelled", "rejected")


@pytest.fixture
def ledger_url(postgres_url: str) -> str:
    database = Database(postgres_url)
    database.upgrade()
    database.close()
    return postgres_url


def done(ended: CliResult) -> Any:
    """Return the JSON output of an operator's command."""
    assert ended.code == 0, ended.err
    return ended.json


def outcome(upstream: Upstream, id: str, number: int = 1) -> dict[str, Any]:
    """Return the data of the job's `number`th final event."""

    def finals(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        by_id = {e["id"]: e for e in events if e["subject"] == id and e["type"].endswith(FINAL)}
        return list(by_id.values())

    seen = upstream.await_events(lambda events: len(finals(events)) >= number)
    return dict(finals(seen)[number - 1]["data"])


def echo(file: Path) -> dict[str, Any]:
    return {"workflow": "Echo", "inputs": {"A": {"file": str(file)}}}


def test_no_effect_is_repeated_when_an_operator_retries_redrives_and_purges(
    upstream: Upstream,
    workers: Workers,
    operator: Kyb,
    sandbox: Sandbox,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for folder in (tmp_path, elsewhere):
        (folder / "companies.csv").write_text("name\nAcme\n")
    state = sandbox.state

    # One job fails after all its effects, one waits for long, and one may not read its file.
    state.faults["data8.jobs.get"].append(Fault("status", status=400))
    upstream.command("fails", "data8.start_job", **echo(tmp_path / "companies.csv"))
    assert outcome(upstream, "fails")["error"]["code"] == "vendor_rejected"
    happened = dict(state.effects)
    effects = {name for name, _ in happened}
    calls = {name: state.calls[name] for name in effects}
    assert effects > {"data8.datasets.create", "data8.jobs.create"}
    state.job_seconds = 3_600.0
    upstream.command("waits", "data8.start_job", **echo(tmp_path / "companies.csv"))
    upstream.command("dead", "data8.start_job", **echo(elsewhere / "companies.csv"))
    assert outcome(upstream, "dead")["error"]["code"] == "input_not_allowed"

    # After a retry, the job continues from its last recorded step and requests no finished effect.
    done(operator("jobs", "retry", "fails", "--json"))
    assert outcome(upstream, "fails", 2)["status"] == "completed"
    assert {key: state.effects[key] for key in happened} == dict.fromkeys(happened, 1)
    assert {name: state.calls[name] for name in effects} == {
        name: n + 1 for name, n in calls.items()
    }  # of `waits`

    # A job that has not ended is not purged, whatever its age.
    assert done(operator("jobs", "purge", "--older-than", "0", "--json"))["purged"] >= 1
    assert [job["id"] for job in done(operator("jobs", "list", "--json"))] == ["waits"]

    # The dead letter is redriven once its cause is fixed, and its job completes.
    workers.stop()
    workers.environment["KYB_STORAGE__INPUTS"] = f"{tmp_path},{elsewhere}"
    workers.start()
    state.job_seconds, state.clock = 0.3, lambda: time.time() + 3_700
    (letter,) = done(operator("dlq", "redrive", "kyb.data8", "--all", "--json"))
    assert letter["outcome"] == "went back"
    assert outcome(upstream, "dead", 2)["status"] == "completed"
    assert outcome(upstream, "waits")["status"] == "completed"
    assert set(state.effects.values()) == {1}
    assert upstream.count("kyb.data8.dead") == 0


@pytest.mark.parametrize("settings", [{"KYB_POLLING__MIN_DELAY": "1h", "KYB_POLLING__MAX_DELAY": "1h"}])
def test_cancel_takes_effect_within_one_turn_when_the_next_poll_is_an_hour_away(
    upstream: Upstream, workers: Workers, operator: Kyb, sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "companies.csv").write_text("name\nAcme\n")
    upstream.command("deep", "data8.start_job", **echo(tmp_path / "companies.csv"))
    upstream.await_events(lambda events: any(e["type"].endswith(".progressed") for e in events))
    before = done(operator("jobs", "show", "deep", "--json"))
    calls = dict(sandbox.state.calls)
    upstream.command("c-1", "job.cancel", job_id="deep")
    cancelled = outcome(upstream, "deep")
    assert cancelled["status"] == "cancelled"
    assert cancelled["stats"]["turns"] == before["stats"]["turns"] + 1
    assert dict(sandbox.state.calls) == calls
