"""Submitting, watching, cancelling and retrying with the embedded broker."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.core import Fault
from tests.support.cli import Kyb
from tests.support.waiting import wait_until
from workers.engine.worker import Worker

CLEANSE = [
    "submit",
    "data8.start_job",
    "--workflow",
    "CompanyCleanse",
    "--inputs.Companies.file",
    "companies.csv",
]
FAILS = ["submit", "data8.start_job", "--workflow", "AlwaysFails", "--inputs.Companies.file", "companies.csv"]


def test_a_command_is_recorded_once(kyb: Kyb, vendors: Sandbox) -> None:
    assert kyb(*CLEANSE, "--id", "job-1").out == "job-1\n"
    assert kyb(*CLEANSE, "--id", "job-1", "--json").json == {"job_id": "job-1"}
    (job,) = kyb("jobs", "list", "--json").json
    assert (job["id"], job["command"], job["status"]) == ("job-1", "data8.start_job", "accepted")
    assert job["data"]["inputs"] == {"Companies": {"file": "companies.csv"}}


def test_a_command_for_later(kyb: Kyb, vendors: Sandbox) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert kyb(*CLEANSE, "--id", "job-1", "--not-before", later).code == 0
    (job,) = kyb("jobs", "list", "--json").json
    assert job["status"] == "accepted"
    assert abs(datetime.fromisoformat(job["due_at"]) - datetime.fromisoformat(later)).total_seconds() < 0.01
    assert "not before 2" in kyb("jobs", "list").out
    assert f"due_at       {job['due_at']}" in kyb("jobs", "show", "job-1").out
    wrong = kyb(*CLEANSE, "--not-before", "tomorrow")
    assert wrong.code == 2
    assert "notbefore: " in wrong.err


def test_ids_are_made_up_if_none_is_given(kyb: Kyb, vendors: Sandbox) -> None:
    assert kyb(*CLEANSE).out != kyb(*CLEANSE).out
    assert len(kyb("jobs", "list", "--json").json) == 2


def test_rejected_commands_name_each_field(kyb: Kyb, vendors: Sandbox) -> None:
    kyb(*CLEANSE, "--id", "job-1")
    conflict = kyb(*FAILS, "--id", "job-1")
    assert (conflict.code, conflict.out) == (1, "")
    assert "id_conflict\n  id: is the id of another job" in conflict.err
    outside = kyb(
        "submit", "creditsafe.import_file", "--file", "/etc/hosts", "--portfolio.name", "A", "--json"
    )
    assert outside.code == 1
    assert outside.json["status"] == "rejected"
    assert outside.json["error"]["code"] == "input_not_allowed"
    assert [d["field"] for d in outside.json["error"]["detail"]] == ["data.file"]
    dead = kyb("dlq", "list", "--json")
    assert (dead.code, [e["data"]["error"]["code"] for e in dead.json]) == (
        0,
        ["id_conflict", "input_not_allowed"],
    )
    assert "embedded broker" in dead.err


def test_invalid_commands_are_not_sent(kyb: Kyb, vendors: Sandbox) -> None:
    ended = kyb("submit", "data8.start_job", "--name", "a/b", "--colour", "red")
    assert (ended.code, ended.out) == (2, "")
    for field in ("workflow: ", "name: ", "colour: "):
        assert field in ended.err
    assert kyb("submit", "job.cancel", "--job-id", "a", "--id", "no id").code == 2
    assert kyb("jobs", "list", "--json").json == []


def test_waiting_ends_with_the_outcome(kyb: Kyb, worker: Worker) -> None:
    done = kyb(*CLEANSE, "--id", "good", "--wait", "--json")
    assert done.code == 0
    assert done.json["status"] == "completed"
    assert done.json["result"]["outputs"]["Cleansed"]["records"] == 3
    assert done.json["stats"]["vendor_calls"] > 3
    shown = kyb(*CLEANSE, "--id", "good", "--wait")
    assert shown.json == done.json["result"]
    assert "good: completed after" in shown.err

    failed = kyb(*FAILS, "--id", "bad", "--wait")
    assert (failed.code, failed.out) == (1, "")
    assert "vendor_failed: " in failed.err


def test_show_tells_steps_and_events(kyb: Kyb, worker: Worker) -> None:
    kyb(*CLEANSE, "--id", "job-1", "--wait")
    shown = kyb("jobs", "show", "job-1", "--json").json
    assert shown["status"] == "completed"
    assert {step["state"] for step in shown["steps"]} == {"done"}
    assert [event["type"] for event in shown["events"]][:: len(shown["events"]) - 1] == [
        "data8.start_job.accepted",
        "data8.start_job.completed",
    ]
    text = kyb("jobs", "show", "job-1").out
    assert "finish" in text
    assert "completed" in text
    assert kyb("jobs", "show", "job-2").code == 1


def test_list_chooses(kyb: Kyb, worker: Worker) -> None:
    kyb(*CLEANSE, "--id", "good", "--wait")
    kyb(*FAILS, "--id", "bad", "--wait")
    for arguments, expected in {
        ("--status", "failed"): ["bad"],
        ("--status", "failed", "--status", "completed"): ["bad", "good"],
        ("--command", "creditsafe.import_file"): [],
        ("--limit", "1"): ["bad"],
    }.items():
        assert [job["id"] for job in kyb("jobs", "list", "--json", *arguments).json] == expected
    text = kyb("jobs", "list").out
    assert "vendor_failed" in text
    assert "good" in text
    assert kyb("jobs", "list", "--status", "nonsense").code == 2


def test_a_waiting_job_is_cancelled_and_goes_on(kyb: Kyb, worker: Worker, vendors: Sandbox) -> None:
    vendors.state.job_seconds = 3_600
    kyb(*CLEANSE, "--id", "job-1")
    wait_until(lambda: any(step.name == "finish" for step in worker.ledger.queries.steps("job-1")))
    cancelled = kyb("jobs", "cancel", "job-1", "--wait", "--json")
    assert (cancelled.code, cancelled.json["command"]) == (0, "job.cancel")
    ended = kyb(*CLEANSE, "--id", "job-1", "--wait", "--json")
    assert (ended.code, ended.json["status"]) == (1, "cancelled")

    vendors.state.clock = lambda: time.time() + 3_600
    assert kyb("jobs", "retry", "job-1", "--wait").code == 0
    assert kyb(*CLEANSE, "--id", "job-1", "--wait").code == 0
    assert max(vendors.state.effects.values()) == 1


def test_what_failed_is_retried_by_its_code(kyb: Kyb, worker: Worker, vendors: Sandbox) -> None:
    vendors.state.faults["data8.jobs.create"].append(Fault("status", times=2, status=400))
    for id in ("one", "two"):
        failed = kyb(*CLEANSE, "--id", id, "--wait", "--json")
        assert failed.json["error"]["code"] == "vendor_rejected"
    assert kyb("jobs", "retry", "--failed", "vendor_auth", "--json").json == []
    retried = kyb("jobs", "retry", "--failed", "vendor_rejected", "--wait", "--json")
    assert retried.code == 0
    assert {entry["retried"]: entry["status"] for entry in retried.json} == {
        "one": "completed",
        "two": "completed",
    }
    for id in ("one", "two"):
        assert kyb(*CLEANSE, "--id", id, "--wait").code == 0


def test_control_of_an_unknown_job_fails(kyb: Kyb, worker: Worker) -> None:
    for verb in ("cancel", "retry"):
        ended = kyb("jobs", verb, "nowhere", "--wait")
        assert ended.code == 1
        assert "there is no job nowhere" in ended.err


def test_retry_wants_a_job_or_a_code(kyb: Kyb, home: Path) -> None:
    assert kyb("jobs", "retry").code == 2
    assert kyb("jobs", "retry", "a", "--failed", "stalled").code == 2


def test_purge_forgets_what_ended(kyb: Kyb, worker: Worker) -> None:
    kyb(*CLEANSE, "--id", "job-1", "--wait")
    assert kyb("jobs", "purge", "--older-than", "1h", "--json").json == {"purged": 0}
    worker.stop()  # its dispatcher has told all events by then, or the purge leaves the job alone
    assert kyb("jobs", "purge", "--older-than", "0", "--json").json["purged"] in {0, 1}
    assert kyb("jobs", "purge", "--older-than", "soon").code == 2


def test_erase_leaves_nothing_of_a_job_that_has_ended(kyb: Kyb, worker: Worker, home: Path) -> None:
    """Only its results are left, which it says."""
    assert "there is no job nowhere" in kyb("jobs", "erase", "nowhere").err
    kyb(*CLEANSE, "--id", "job-1", "--wait")
    kyb(*CLEANSE, "--id", "beside", "--wait")
    wait_until(lambda: kyb("jobs", "erase", "job-1").code == 0)  # once its last event is told
    assert [*(home / "results/job-1").iterdir()]
    assert kyb("jobs", "show", "job-1").code == 1
    assert kyb("jobs", "show", "beside").code == 0


@pytest.mark.parametrize("verb", ["list", "show"])
def test_listing_dead_letters_needs_a_known_queue(kyb: Kyb, home: Path, verb: str) -> None:
    assert kyb("dlq", verb, "kyb.nonsense").code == 2
