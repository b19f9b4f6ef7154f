"""`kyb demo` runs everything in one process and leaves results to look at."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import COMPANIES, Kyb, kyb_process
from tests.support.waiting import wait_for_line

Jobs = Callable[[], dict[str, Any]]

QUICK = ["demo", "--job-seconds", "0.3"]


def test_demo_runs_the_sample_through_all_vendors(kyb: Kyb, home: Path, jobs: Jobs) -> None:
    ended = kyb(*QUICK)
    assert (ended.code, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    found = jobs()
    assert {id: job["status"] for id, job in found.items()} == dict.fromkeys(
        ["demo-import", "demo-match", "demo-cleanse", "demo-resolve", "demo-process"], "completed"
    )
    rows = found["demo-import"]["result"]["records"]
    assert f"{rows:,} records, 1 upload" in ended.out
    assert found["demo-match"]["result"]["summary"]["matched"] > 0
    for line in ("data8.start_job accepted", "creditsafe.run_matching completed", "Next"):
        assert line in ended.out

    cleansed = home / "kyb-demo/results/demo-cleanse/Cleansed.csv"
    assert str(cleansed.relative_to(home)) in ended.out
    with cleansed.open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == rows
    result = found["demo-resolve"]["result"]
    parts = [result[part]["records"] for part in ("resolved", "unresolved")]
    assert all(parts)
    assert sum(parts) == result["uploaded"]
    result = found["demo-process"]["result"]
    assert result["report"]["records"] == rows
    assert f"a report of {rows} rows" in ended.out
    assert (result["unplaced"], result["match"]["summary"]["matched"]) == (
        0,
        found["demo-match"]["result"]["summary"]["matched"],
    )
    assert "secret" not in (home / "kyb-demo/kyb.log").read_text()


def test_demo_runs_again_in_the_same_folder_with_any_settings(
    kyb: Kyb, home: Path, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "companies.csv").write_text(COMPANIES)
    monkeypatch.setenv("KYB_POLLING__MIN_DELAY", "1h")
    monkeypatch.setenv("KYB_BROKER_URL", "amqp://127.0.0.1:1")
    for _ in range(2):
        ended = kyb(*QUICK, "companies.csv")
        assert (ended.code, ended.err) == (0, "")
        assert "3 records, 1 upload" in ended.out
    monkeypatch.delenv("KYB_BROKER_URL")
    assert len(jobs()) == 5


def test_demo_goes_on_with_the_other_vendors_when_one_refuses_the_file(
    kyb: Kyb, home: Path, jobs: Jobs
) -> None:
    (home / "mine.csv").write_text("Company,Turnover\nAcme Ltd,1\n")
    ended = kyb(*QUICK, "mine.csv")
    assert ended.code == 1
    found = jobs()
    assert found["demo-import"]["error"]["code"] == "input_invalid"
    assert "input_invalid: " in ended.out
    assert "needs demo-import" in ended.out
    assert "demo-match" not in found
    assert found["demo-process"]["error"]["code"] == "input_invalid"
    assert found["demo-cleanse"]["status"] == found["demo-resolve"]["status"] == "completed"


def test_demo_exits_2_when_the_file_does_not_exist(kyb: Kyb, home: Path) -> None:
    assert kyb("demo", "nowhere.csv").code == 2
    assert not (home / "kyb-demo").exists()


def test_demo_exits_2_when_the_folder_is_not_writable(kyb: Kyb, home: Path) -> None:
    (home / "kyb-demo").write_text("no folder")

    result = kyb("demo")

    assert result.code == 2
    assert "go where it can" in " ".join(result.err.split())


def test_demo_ends_cleanly_when_it_is_interrupted(home: Path) -> None:
    with kyb_process("demo", "--job-seconds", "600") as demo:
        wait_for_line(demo.stdout, "sayari.resolve_entities")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 130
        assert demo.stderr is not None
        assert demo.stderr.read() == ""
    lines = (home / "kyb-demo/kyb.log").read_text().splitlines()
    assert json.loads(lines[-1])["event"] == "stopped"


@pytest.fixture
def jobs(kyb: Kyb, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """The jobs in the demo's ledger, by id."""

    def listed() -> dict[str, Any]:
        monkeypatch.setenv("KYB_LEDGER_URL", "sqlite:///kyb-demo/kyb.db")
        return {job["id"]: job for job in kyb("jobs", "list", "--json").json}

    return listed
