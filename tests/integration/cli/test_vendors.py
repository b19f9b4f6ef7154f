"""`kyb vendors`: checking settings, and every documented operation by its name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.core import Fault
from tests.support.cli import COMPANIES, Kyb


def test_check_asks_every_vendor_with_settings(kyb: Kyb, vendors: Sandbox) -> None:
    ended = kyb("vendors", "check", "--json")
    assert ended.code == 0
    assert {entry["vendor"]: entry["ok"] for entry in ended.json} == {
        "creditsafe": True,
        "data8": True,
        "sayari": True,
    }
    assert set(vendors.state.effects) == set()


def test_check_tells_who_is_in_trouble(kyb: Kyb, vendors: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KYB_DATA8__CLIENT_SECRET", "wrong-secret")
    vendors.state.faults["sayari.sources.list"].append(Fault("status", status=503))
    ended = kyb("vendors", "check", "--json")
    assert ended.code == 1
    assert {entry["vendor"]: entry["ok"] for entry in ended.json} == {
        "creditsafe": True,
        "data8": False,
        "sayari": False,
    }
    table = kyb("vendors", "check")
    assert (table.code, "wrong-secret" in table.out) == (1, False)


def test_vendors_without_settings_are_wrong_usage(kyb: Kyb, home: Path) -> None:
    assert kyb("vendors", "check").code == 2
    ended = kyb("vendors", "call", "sayari", "sources.list")
    assert (ended.code, ended.err.startswith("kyb: KYB_SAYARI__")) == (2, True)


@pytest.mark.parametrize(("vendor", "count"), [("creditsafe", 17), ("data8", 35), ("sayari", 43)])
def test_all_operations_are_listed_without_settings(kyb: Kyb, home: Path, vendor: str, count: int) -> None:
    listed = kyb("vendors", "call", vendor, "--list", "--json").json
    assert len({entry["operation"] for entry in listed}) == count
    for entry in listed:
        assert entry["summary"]
        assert set(entry) == {"operation", "method", "path", "summary", "parameters"}
        documented = entry["path"].replace("{apiVersion}", "v1").count("{")
        assert sum(parameter["in"] == "path" for parameter in entry["parameters"]) == documented
    assert kyb("vendors", "call", vendor, "--list").out.count("\n") == count + 1


def test_operations_are_called_by_name(kyb: Kyb, vendors: Sandbox) -> None:
    made = kyb("vendors", "call", "creditsafe", "portfolios.create", "--name", "123")
    assert made.code == 0
    id = made.json["portfolioId"]
    for spelling in ("--portfolio_id", "--portfolio-id", "--portfolioId"):
        assert kyb("vendors", "call", "creditsafe", "portfolios.get", spelling, id).json["name"] == "123"
    page = kyb("vendors", "call", "creditsafe", "portfolios.list", "--page_size", "5").json
    assert id in json.dumps(page)


def test_bodies_are_json_or_files(kyb: Kyb, vendors: Sandbox, home: Path) -> None:
    call = ("vendors", "call", "data8")
    body = {"name": "firms", "columns": {"name": 0, "employees": 1}}
    (home / "body.json").write_text(json.dumps(body))
    assert kyb(*call, "datasets.create", "--body", "@body.json").code == 0
    rows = '[{"name": "A", "employees": 3}]'
    upload = ("datasets.upload", "--name", "firms", "--block-number", "1", "--body", rows)
    assert kyb(*call, *upload).code == 0
    assert kyb(*call, "datasets.update", "--name", "firms").json is None
    assert kyb(*call, "datasets.get", "--name", "firms").json["completed"] is True

    id = kyb("vendors", "call", "creditsafe", "portfolios.create", "--body", '{"name": "P"}').json[
        "portfolioId"
    ]
    send = ("records.import_file", "--portfolioId", id, "--body", "@companies.csv")
    assert kyb("vendors", "call", "creditsafe", *send).code == 0
    assert len(COMPANIES.splitlines()) == 4


def test_answers_go_into_files(kyb: Kyb, vendors: Sandbox, home: Path) -> None:
    assert kyb("vendors", "call", "sayari", "sources.list", "--output", "sources.json").out == ""
    assert json.loads((home / "sources.json").read_text())["data"]
    accept = ("--q", "bank", "--accept", "text/csv", "--output", "found.csv")
    assert kyb("vendors", "call", "sayari", "search.entities", *accept).out == ""
    assert b"," in (home / "found.csv").read_bytes()


def test_tokens_are_not_shown(kyb: Kyb, vendors: Sandbox) -> None:
    assert kyb("vendors", "call", "sayari", "auth.token").json["access_token"] == "**********"


def test_what_the_vendor_refuses_fails(kyb: Kyb, vendors: Sandbox) -> None:
    ended = kyb("vendors", "call", "data8", "jobs.get", "--name", "nowhere")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("kyb: data8 jobs.get: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs.nonsense"],
        ["jobs.get"],
        ["jobs.get", "--name", "a", "--colour", "red"],
        ["jobs.list", "--page", "many"],
        ["jobs.list", "--body", "{}"],
        ["jobs.create", "--body", '{"colour": "red"}'],
        ["jobs.create", "--body", "7"],
        ["datasets.create", "--body", '{"name": "a", "columns": []}'],
        ["datasets.create", "--body", "@nowhere.json"],
        [],
    ],
)
def test_arguments_are_checked_before_anything_is_sent(
    kyb: Kyb, vendors: Sandbox, arguments: list[str]
) -> None:
    assert kyb("vendors", "call", "data8", *arguments).code == 2
    assert not vendors.state.calls
