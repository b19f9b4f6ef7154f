"""Recovery of a whole installation with an old dump, while RabbitMQ and the vendors have newer state."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from tests.end_to_end.conftest import Upstream, Workers
from tests.support.cli import Kyb
from tests.support.vendor_setup import COMPANIES, ENTITIES
from tests.testbed import postgres
from workers.ledger.database import Database


@pytest.fixture
def ledger_url(postgres_url: str) -> str:
    database = Database(postgres_url)
    database.upgrade()
    database.close()
    return postgres_url


def commands(folder: Path, ids: str) -> list[tuple[str, str, dict[str, Any]]]:
    (folder / "companies.csv").write_bytes(COMPANIES)
    (folder / "entities.csv").write_bytes(ENTITIES)
    companies, entities = str(folder / "companies.csv"), str(folder / "entities.csv")
    return [
        (f"{ids}-import", "creditsafe.import_file", {"file": companies, "portfolio": {"name": ids}}),
        (f"{ids}-job", "data8.start_job", {"workflow": "Echo", "inputs": {"Companies": {"file": companies}}}),
        (f"{ids}-resolve", "sayari.resolve_entities", {"file": entities, "project": {"label": ids}}),
    ]


def test_every_job_ends_without_repeated_effects_when_a_dump_is_restored(
    tmp_path: Path, ledger_url: str, workers: Workers, upstream: Upstream, operator: Kyb, sandbox: Sandbox
) -> None:
    sandbox.state.job_seconds = 1.5
    sent: dict[str, tuple[str, dict[str, Any]]] = {}

    def send(ids: str) -> None:
        for id, type_, data in commands(tmp_path, ids):
            sent[id] = (type_, data)
            upstream.command(id, type_, **data)

    def kyb(*arguments: str) -> str:
        done = operator(*arguments)
        assert done.code == 0, done.err
        return done.out

    def ended(ids: list[str], since: int = 0) -> None:
        def all_have(events: list[dict[str, Any]]) -> bool:
            over = {e["subject"] for e in events[since:] if e["type"].endswith((".completed", ".failed"))}
            return over >= set(ids)

        upstream.await_events(all_have)

    send("long-before")
    ended(["long-before-import", "long-before-job", "long-before-resolve"])
    send("before")
    upstream.await_events(
        lambda seen: (
            {"before-job", "before-resolve"}
            <= {e["subject"] for e in seen if e["type"].endswith(".progressed")}
        )
    )
    backup = tmp_path / "ledger.dump"
    tool = postgres.programs()
    subprocess.run([tool / "pg_dump", "-Fc", "-f", backup, ledger_url], check=True)

    # The backup lacks everything from here on.
    send("after")
    ended(list(sent))
    done = dict(sandbox.state.effects)
    assert set(done.values()) == {1}
    assert workers.stop() == [0]
    options = ["--clean", "--if-exists", "--single-transaction"]
    subprocess.run([tool / "pg_restore", *options, "-d", ledger_url, backup], check=True)
    unfinished = [job["id"] for job in json.loads(kyb("jobs", "list", "--json")) if job["ended_at"] is None]
    assert {"before-job", "before-resolve"} <= set(unfinished)
    assert kyb("ledger", "recovery", "start").startswith(f"{len(unfinished)} jobs may have done more")
    forgotten = json.loads(kyb("ledger", "recovery", "lost-jobs", "--from", "1h", "--json"))
    assert {job["job_id"]: job["status"] for job in forgotten} == dict.fromkeys(
        ("after-import", "after-job", "after-resolve"), "completed"
    )

    seen_before = len(upstream.seen)
    workers.start()
    for job in forgotten:
        type_, data = sent[job["job_id"]]
        upstream.command(job["job_id"], type_, **data)
    ended([*unfinished, *(job["job_id"] for job in forgotten)], since=seen_before)
    assert dict(sandbox.state.effects) == done, "nothing was done again"
    assert {e["type"].rpartition(".")[2] for e in upstream.seen[seen_before:]} <= {
        "accepted",
        "progressed",
        "completed",
    }
    # a command sent again may receive the same event twice
    bodies = {json.dumps(e, sort_keys=True) for e in upstream.seen}
    assert len({e["id"] for e in upstream.seen}) == len(bodies), "no event is taken for another one"
    jobs = json.loads(kyb("jobs", "list", "--json"))
    assert {job["id"]: job["status"] for job in jobs} == dict.fromkeys(sent, "completed")
    assert kyb("ledger", "recovery", "finish") == "the recovery has ended\n"
    assert kyb("ledger", "recovery", "finish") == "no recovery is in progress\n"


def test_recovery_is_refused_when_a_worker_is_running(upstream: Upstream, operator: Kyb) -> None:
    ended = operator("ledger", "recovery", "start")
    assert ended.code == 1
    assert "stop all workers" in ended.err
