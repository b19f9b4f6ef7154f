"""A command in, the vendor's job run, its results stored, the completion event out."""

from __future__ import annotations

import csv
import hashlib
import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from messages.errors import Code
from sandbox import Sandbox
from tests.end_to_end.conftest import Upstream, Workers

ROWS = [
    ["name", "town", "remark"],
    ["Nestlé S.A.", "Vevey", 'says "hello", twice'],
    ["トヨタ自動車株式会社", "豊田市", "first line\nsecond line"],
    ["ПАО «Газпром»", "Санкт-Петербург", " spaces kept "],
    ["Smith, Jones & Co", "", "0012"],
]


#: For tests that do not depend on the kind of ledger; the model-based tests run on both.
on_postgresql = pytest.mark.parametrize("ledger_url", ["postgresql"], indirect=True)


def types(events: list[dict[str, Any]], job_id: str) -> list[str]:
    return [event["type"].rpartition(".")[2] for event in events if event["subject"] == job_id]


def ended(job_ids: list[str]) -> Any:
    def enough(events: list[dict[str, Any]]) -> bool:
        finals = {
            e["subject"]
            for e in events
            if e["data"]["status"] in {"completed", "failed", "cancelled", "rejected"}
        }
        return finals >= set(job_ids)

    return enough


def final(events: list[dict[str, Any]], job_id: str) -> dict[str, Any]:
    finals = [e for e in events if e["subject"] == job_id and "stats" in e["data"]]
    assert len({e["id"] for e in finals}) == 1
    return dict(finals[-1])


def write(path: Path, rows: list[list[str]]) -> bytes:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path.read_bytes()


def test_result_file_equals_the_input_when_the_workflow_echoes_it(
    upstream: Upstream, workers: Workers, tmp_path: Path
) -> None:
    content = write(tmp_path / "companies.csv", ROWS)
    upstream.command(
        "job-1", "data8.start_job", workflow="Echo", inputs={"A": {"file": str(tmp_path / "companies.csv")}}
    )
    events = upstream.await_events(ended(["job-1"]))
    outcomes = types(events, "job-1")
    assert (outcomes[0], outcomes[-1]) == ("accepted", "completed")
    assert "progressed" in outcomes
    completed = final(events, "job-1")
    assert completed["specversion"] == "1.0"
    assert completed["source"] == "/kyb-workers"
    assert completed["causationid"] == completed["correlationid"] == "job-1"
    assert [e["sequence"] for e in events] == sorted(e["sequence"] for e in events)
    assert completed["data"]["vendor"] == "data8"
    [output] = completed["data"]["result"]["outputs"].values()
    stored = Path(unquote(output["uri"].removeprefix("file://"))).read_bytes()
    assert stored == content
    assert output == {
        "uri": output["uri"], "media_type": "text/csv", "records": 4,
        "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    assert workers.stop() == [0]


@on_postgresql
def test_command_starts_one_job_when_published_repeatedly(
    upstream: Upstream, sandbox: Sandbox, tmp_path: Path
) -> None:
    write(tmp_path / "companies.csv", ROWS)
    data = {"workflow": "Echo", "inputs": {"A": {"file": str(tmp_path / "companies.csv")}}}
    for _ in range(5):
        upstream.command("job-1", "data8.start_job", **data)
    first = final(upstream.await_events(ended(["job-1"])), "job-1")
    upstream.command("job-1", "data8.start_job", **data)
    upstream.await_events(lambda events: types(events, "job-1").count("completed") == 2)
    assert final(upstream.seen, "job-1") == first
    upstream.command("job-1", "data8.start_job", workflow="CompanyCleanse")
    events = upstream.await_events(lambda events: "rejected" in types(events, "job-1"))
    rejected = next(e for e in events if e["type"].endswith(".rejected"))
    assert rejected["data"]["error"]["code"] == Code.ID_CONFLICT
    assert set(sandbox.state.effects.values()) == {1}


@on_postgresql
def test_worker_rejects_a_message_and_continues_when_it_is_invalid(
    upstream: Upstream, workers: Workers, tmp_path: Path
) -> None:
    good = {"specversion": "1.0", "source": "/crm", "type": "data8.start_job", "data": {"workflow": "Echo"}}
    bad: dict[str, tuple[str, dict[str, Any]]] = {
        "missing": ("data.workflow", good | {"data": {}}),
        "extra": ("data.workflw", good | {"data": {"workflow": "Echo", "workflw": 1}}),
        "wrong-type": ("data.workflow", good | {"data": {"workflow": 5}}),
        "no-source": ("source", {k: v for k, v in good.items() if k != "source"}),
        "no-such-type": ("type", good | {"type": "data8.start_jobs"}),
        "other-queue": ("type", good | {"type": "sayari.resolve_entities", "data": {"file": "x.csv"}}),
        "not-allowed": (
            "data.inputs.A.file",
            good | {"data": {"workflow": "Echo", "inputs": {"A": {"file": "/etc/passwd"}}}},
        ),
    }
    for id_, (_, event) in bad.items():
        upstream.publish(json.dumps(event | {"id": id_}).encode(), "data8.start_job")
    noise = [b"{", b"\x00\xff\xfe", b"[1,2]", b"x" * 10_000_000, b"{" * 100_000, json.dumps(good).encode()]
    for body in noise:
        upstream.publish(body, "data8.start_job")
    upstream.publish(b"{}", "nobody.serves_this")
    write(tmp_path / "companies.csv", ROWS)
    upstream.command(
        "good", "data8.start_job", workflow="Echo", inputs={"A": {"file": str(tmp_path / "companies.csv")}}
    )
    events = upstream.await_events(ended([*bad, "good"]))
    for id_, (field, _) in bad.items():
        [rejected] = [e for e in events if e["subject"] == id_]
        assert field in [detail["field"] for detail in rejected["data"]["error"]["detail"]], rejected
        assert "sequence" not in rejected
    assert final(events, "good")["type"] == "data8.start_job.completed"
    assert upstream.count("kyb.data8.dead") == len(bad) + len(noise)
    assert upstream.count("kyb.unroutable") == 1
    assert upstream.count("kyb.data8") == 0
    reasons = [
        properties.headers["x-kyb-reason"]
        for _ in range(len(bad) + len(noise))
        for _, properties, _ in [upstream.channel.basic_get("kyb.data8.dead", auto_ack=True)]
    ]
    assert sum("data.workflow: Field required" in reason for reason in reasons) == 1
    assert sum("larger than 1,048,576 bytes" in reason for reason in reasons) == 1


def test_jobs_complete_exactly_once_when_workers_are_killed_repeatedly(
    upstream: Upstream, workers: Workers, sandbox: Sandbox, tmp_path: Path
) -> None:
    content = write(tmp_path / "companies.csv", ROWS)
    jobs = [f"job-{number}" for number in range(12)]
    for job in jobs:
        upstream.command(
            job, "data8.start_job", workflow="Echo", inputs={"A": {"file": str(tmp_path / "companies.csv")}}
        )
    pause = threading.Event()
    for moment in (0.15, 0.5, 1.0):
        pause.wait(moment)
        workers.kill()
        workers.start()
        workers.start()
    events = upstream.await_events(ended(jobs), seconds=90)
    for job in jobs:
        completed = final(events, job)
        assert completed["type"] == "data8.start_job.completed"
        [output] = completed["data"]["result"]["outputs"].values()
        assert output["sha256"] == hashlib.sha256(content).hexdigest()
    assert {key: n for key, n in sandbox.state.effects.items() if n != 1} == {}


@on_postgresql
def test_job_is_cancelled_when_it_waits_for_its_vendor(
    upstream: Upstream, workers: Workers, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.state.job_seconds = 600
    write(tmp_path / "companies.csv", ROWS)
    upstream.command(
        "job-1", "data8.start_job", workflow="Echo", inputs={"A": {"file": str(tmp_path / "companies.csv")}}
    )
    upstream.await_events(lambda events: "progressed" in types(events, "job-1"))
    upstream.command("c-1", "job.cancel", job_id="job-1")
    events = upstream.await_events(ended(["job-1", "c-1"]))
    assert final(events, "job-1")["type"] == "data8.start_job.cancelled"
    assert final(events, "c-1")["data"]["result"]["job_id"] == "job-1"
