"""What is run and what must be true after it, whatever happened in between."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from clients.creditsafe import Creditsafe, NewRecord
from sandbox import Sandbox
from sandbox.core import World
from workers.ledger.ledger import Ledger
from workers.ledger.records import Job

COMPANIES = (
    "name,town,country\r\n"
    '"Nestlé S.A.",Vevey,CH\r\n'
    '"Smith & Nephew, ""plc""",Watford,GB\r\n'
    '"two\nlines",,GB\r\n'
    "トヨタ自動車株式会社,豊田市,JP\r\n"
).encode()
SAYARI = "name,country\r\nNestlé S.A.,CHE\r\nNobody Knows Them,GBR\r\n".encode()


@dataclass(frozen=True)
class Scenario:
    """A command, what must be there before it, and whether one of its effects has no natural key."""

    type: str
    data: Callable[[Path, Sandbox], dict[str, Any]]
    unknowable: bool = False


def _import(folder: Path, _: Sandbox) -> dict[str, Any]:
    (folder / "companies.csv").write_bytes(COMPANIES)
    return {"file": str(folder / "companies.csv"), "portfolio": {"name": "Crash"}}


def _matching(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    settings = sandbox.environment()
    with Creditsafe.connect(
        settings["KYB_CREDITSAFE__BASE_URL"],
        settings["KYB_CREDITSAFE__USERNAME"],
        settings["KYB_CREDITSAFE__PASSWORD"],
    ) as creditsafe:
        portfolio = creditsafe.portfolios.create("Crash")
        creditsafe.records.create(portfolio.portfolio_id, [NewRecord(name="Nestlé S.A.")])
    return {"portfolio_id": portfolio.portfolio_id}


def _start_job(folder: Path, _: Sandbox) -> dict[str, Any]:
    (folder / "companies.csv").write_bytes(COMPANIES)
    return {"workflow": "Echo", "inputs": {"Companies": {"file": str(folder / "companies.csv")}}}


def _resolve(folder: Path, _: Sandbox) -> dict[str, Any]:
    (folder / "entities.csv").write_bytes(SAYARI)
    return {"file": str(folder / "entities.csv"), "delete_project": False}


SCENARIOS = {
    scenario.type: scenario
    for scenario in (
        Scenario("creditsafe.import_file", _import),
        Scenario("creditsafe.run_matching", _matching, unknowable=True),
        Scenario("data8.start_job", _start_job),
        Scenario("sayari.resolve_entities", _resolve),
    )
}


def quick_sandbox() -> Sandbox:
    """Vendors whose jobs take a moment only."""
    return Sandbox(world=World(job_seconds=0.1, queue_seconds=0.02))


def command(scenario: Scenario, id: str, data: dict[str, Any]) -> bytes:
    """The scenario's command as it travels."""
    event = {"specversion": "1.0", "id": id, "source": "/tests", "type": scenario.type, "data": data}
    return json.dumps(event).encode()


def environment(sandbox: Sandbox, folder: Path, broker_url: str, ledger_url: str) -> dict[str, str]:
    """Settings of a worker in a hurry."""
    timeouts = {f"KYB_{vendor}__TIMEOUT": "0.5" for vendor in ("CREDITSAFE", "DATA8", "SAYARI")}
    return sandbox.environment() | timeouts | {
        "KYB_BROKER_URL": broker_url,
        "KYB_LEDGER_URL": ledger_url,
        "KYB_STORAGE__INPUTS": str(folder),
        "KYB_STORAGE__RESULTS": str(folder / "results"),
        "KYB_POLLING__MIN_DELAY": "0.05",
        "KYB_POLLING__MAX_DELAY": "0.1",
        "KYB_WORKER__THREADS": "2",
    }  # fmt: skip


def files_of(value: Any) -> list[tuple[str, int, str]]:
    """Every File in a result as (name, records, digest of its content but for ids and times)."""
    if isinstance(value, dict) and "sha256" in value:
        path = Path(unquote(value["uri"].removeprefix("file://")))
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == value["sha256"]
        assert len(content) == value["bytes"]
        return [(path.name, value["records"], hashlib.sha256(_stable(content)).hexdigest())]
    if isinstance(value, dict):
        return [file for item in value.values() for file in files_of(item)]
    return []


def _stable(content: bytes) -> bytes:
    if not content.startswith(b"{"):
        return content
    objects = [json.loads(line) for line in content.splitlines()]
    for found in objects:
        for key in ("id", "created", "updated"):
            found.pop(key, None)
    return json.dumps(sorted(map(json.dumps, objects))).encode()


def check(
    scenario: Scenario, sandbox: Sandbox, ledger: Ledger, job: Job, expected: list[tuple[str, int, str]]
) -> None:
    """The job is done, each effect happened once, one final event tells it, the files are whole."""
    doubled = {key: count for key, count in sandbox.world.effects.items() if count != 1}
    assert not doubled, f"effects not done exactly once: {doubled}"
    finals = [
        e for e in ledger.events(job_id=job.id) if e.type.endswith((".completed", ".failed", ".cancelled"))
    ]
    assert len({e.id for e in finals}) == 1
    if scenario.unknowable and job.error is not None:
        assert job.error["code"] == "outcome_unknown"
        return
    assert job.error is None
    assert files_of(job.result) == expected
