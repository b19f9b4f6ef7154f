"""Help, wrong usage and unavailable servers: an exit code and one line, never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import ROOT, Kyb
from workers.cli.main import COMMANDS


def test_help_lists_every_command_without_loading_any() -> None:
    code = (
        "import sys\nfrom workers.cli.main import main\nsys.argv = ['kyb', '--help']\n"
        "try: main()\nfinally: assert not {'sqlalchemy', 'pika', 'httpx', 'pydantic'} & set(sys.modules)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in COMMANDS:
        assert f"  {name} " in ended.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(kyb: Kyb, name: str) -> None:
    ended = kyb(name, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"Usage: kyb {name} " in ended.out


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["jobs", "nonsense"], ["jobs", "list", "--nonsense"], ["submit", "no.command"]],
)
def test_wrong_usage_exits_2(kyb: Kyb, arguments: list[str]) -> None:
    ended = kyb(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "Error: " in ended.err


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KYB_POLLING__STALL", "secretly"),
        ("KYB_LEDGER_URL", "secret://secret"),
        ("KYB_LEDGER_URL", "postgresql://secret@host:port/name"),
    ],
)
def test_bad_settings_are_named_but_not_shown(
    kyb: Kyb, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    ended = kyb("jobs", "list")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"kyb: {variable}: ")
    assert "secret" not in ended.err


def test_ledger_that_is_away_exits_3(kyb: Kyb, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "broken.db").write_text("this is no database " * 100)
    for url in (
        "postgresql://kyb@127.0.0.1:1/kyb",
        f"sqlite:///{home}/broken.db",
        "sqlite:////proc/nowhere/kyb.db",
    ):
        monkeypatch.setenv("KYB_LEDGER_URL", url)
        for arguments in (["jobs", "list"], ["worker"], ["submit", "job.cancel", "--job-id", "a"]):
            ended = kyb(*arguments)
            assert (ended.code, ended.out) == (3, "")
            assert ended.err.startswith("kyb: cannot reach the ledger: ")
            assert ended.err.count("\n") == 1


def test_broker_that_is_away_exits_3(kyb: Kyb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KYB_BROKER_URL", "amqp://127.0.0.1:1")
    submit = ["submit", "job.cancel", "--job-id", "a"]
    for arguments in (submit, [*submit, "--wait"], ["events", "tail"], ["dlq", "list"]):
        ended = kyb(*arguments)
        assert (ended.code, ended.out) == (3, "")
        assert ended.err.startswith("kyb: cannot reach RabbitMQ (127.0.0.1:1")
        assert ended.err.count("\n") == 1


def test_broker_url_that_is_none_exits_2(kyb: Kyb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KYB_BROKER_URL", "amqp://host:port")
    for arguments in (["worker"], ["events", "tail"]):
        assert kyb(*arguments).err.startswith("kyb: KYB_BROKER_URL: ")


def test_ledger_without_tables_wants_an_upgrade(
    kyb: Kyb, monkeypatch: pytest.MonkeyPatch, empty_postgres_url: str
) -> None:
    monkeypatch.setenv("KYB_LEDGER_URL", empty_postgres_url)
    for arguments in (["jobs", "list"], ["worker"]):
        ended = kyb(*arguments)
        assert ended.code == 3
        assert "kyb ledger upgrade" in ended.err
    assert kyb("ledger", "upgrade").code == 0
    assert kyb("ledger", "upgrade").code == 0
    assert kyb("jobs", "list", "--json").json == []


def test_sqlite_ledger_is_made_by_whoever_opens_it(kyb: Kyb, home: Path) -> None:
    assert kyb("jobs", "list").out == "no jobs\n"
    assert (home / "kyb.db").exists()


def test_contract_is_written(kyb: Kyb, home: Path) -> None:
    assert kyb("contract", "--output", "made/here").code == 0
    schema = json.loads((home / "made/here/data8.start_job.json").read_text())
    assert schema["properties"]["type"]["const"] == "data8.start_job"
    assert json.loads((home / "made/here/asyncapi.json").read_text())["asyncapi"].startswith("3.")
    example = json.loads((home / "made/here/examples/data8.start_job.accepted.json").read_text())
    assert example["type"] == "data8.start_job.accepted"
    (home / "file").touch()
    assert kyb("contract", "--output", "file").code == 2


def test_a_contract_is_held_against_one_written_before(kyb: Kyb, home: Path) -> None:
    kyb("contract", "--output", "before")
    assert kyb("contract", "--check", "before").out == "additive to before\n"
    assert not (home / "contract").exists()

    schema = json.loads((home / "before/job.cancel.json").read_text())
    schema["properties"]["data"] = {"type": "object"}
    (home / "before/job.cancel.json").write_text(json.dumps(schema))
    (home / "before/job.end.json").write_text(json.dumps(schema))
    broken = kyb("contract", "--check", "before", "--output", "after")
    assert (broken.code, broken.err.splitlines()[-1]) == (1, "job.end.json: is gone")
    assert any(line.startswith("job.cancel.json: .data") for line in broken.err.splitlines())
    assert not (home / "after").exists()

    (home / "before/job.cancel.json").write_text("{")
    assert "job.cancel.json cannot be read" in kyb("contract", "--check", "before").err
    assert kyb("contract", "--check", "nowhere").code == 2
