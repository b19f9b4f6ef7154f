"""What is run and what must be true after it, whatever happened in between."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from clients.creditsafe import Creditsafe, NewRecord
from clients.data8 import Data8
from clients.sayari import Sayari
from sandbox import Sandbox
from sandbox.core import SandboxState
from sandbox.sayari.register import register
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
#: What the sandbox's Creditsafe calls its records: in files each stands for the place where it first occurs.
RECORD_ID = re.compile(rb"\bR\d{12}\b")
#: Entities of Sayari's.
SAVED = list(register().entities)[:2]


@dataclass(frozen=True)
class Scenario:
    """A command, what must be there before it, and whether one of its effects has no natural key.

    Of its boundaries the first worker is killed at every one, or only at each `step`th: an odd number finds those
    before something happens as well as those after it. The effects in
    `harmless` may be repeated; the fields in `told` of the result must be what they are undisturbed.
    """

    type: str
    data: Callable[[Path, Sandbox], dict[str, Any]]
    unknowable: bool = False
    step: int = 1
    harmless: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def _import(folder: Path, _: Sandbox) -> dict[str, Any]:
    (folder / "companies.csv").write_bytes(COMPANIES)
    return {"file": str(folder / "companies.csv"), "portfolio": {"name": "Crash"}}


def _portfolio(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    """A portfolio of three records, two of which are the same."""
    settings = sandbox.environment()
    with Creditsafe.connect(
        settings["KYB_CREDITSAFE__BASE_URL"],
        settings["KYB_CREDITSAFE__USERNAME"],
        settings["KYB_CREDITSAFE__PASSWORD"],
    ) as creditsafe:
        portfolio = creditsafe.portfolios.create("Crash")
        records = [NewRecord(name=name) for name in ("Nestlé S.A.", "Nobody & Sons", "nestlé s.a.")]
        creditsafe.records.create(portfolio.portfolio_id, records)
    return {"portfolio_id": portfolio.portfolio_id}


def _records(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    """Two batches."""
    return _portfolio(folder, sandbox) | {"records": [{"reference": str(n)} for n in range(301)]}


def _duplicates(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    return _portfolio(folder, sandbox) | {"fields": ["name"], "remove": True}


def _enrichment(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    return _portfolio(folder, sandbox) | {"fields": ["contact.town"]}


def _record_ids(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    """Two batches."""
    ids = [*(f"R{n:012d}" for n in range(1, 3)), *(f"unknown-{n}" for n in range(300)), f"R{3:012d}"]
    return _portfolio(folder, sandbox) | {"record_ids": ids}


def _start_job(folder: Path, _: Sandbox) -> dict[str, Any]:
    (folder / "companies.csv").write_bytes(COMPANIES)
    return {"workflow": "Echo", "inputs": {"Companies": {"file": str(folder / "companies.csv")}}}


def _upload_dataset(folder: Path, _: Sandbox) -> dict[str, Any]:
    (folder / "companies.csv").write_bytes(COMPANIES)
    return {"file": str(folder / "companies.csv"), "columns": {"name": "text"}}


def ended_output(sandbox: Sandbox, name: str, rows: list[dict[str, str]]) -> str:
    """The output dataset of the job `name`, which has ended."""
    settings = sandbox.environment()
    connected = Data8.connect(
        settings["KYB_DATA8__BASE_URL"],
        settings["KYB_DATA8__TOKEN_URL"],
        settings["KYB_DATA8__CLIENT_ID"],
        settings["KYB_DATA8__CLIENT_SECRET"],
    )
    with closing(connected) as data8:
        data8.datasets.create(name, {"name": 0})
        data8.datasets.upload(name, 1, rows)
        data8.datasets.update(name, record_count=len(rows))
        data8.jobs.create(name, "Echo", input_datasets={"Companies": name})
        return data8.jobs.get(name).output_datasets["Companies"]


def _dataset(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    rows = [{"name": "Nestlé S.A."}, {"name": 'a "quoted", one'}]
    return {"dataset": ended_output(sandbox, "crash", rows)}


def _resolve(folder: Path, _: Sandbox) -> dict[str, Any]:
    (folder / "entities.csv").write_bytes(SAYARI)
    return {"file": str(folder / "entities.csv"), "delete_project": False}


def _trace(folder: Path, _: Sandbox) -> dict[str, Any]:
    return _fetch(folder, _) | {"kind": "traversal"}


def _fetch(folder: Path, _: Sandbox) -> dict[str, Any]:
    """Two entities, and between them one that is not there."""
    (folder / "entities.csv").write_text("\n".join(("entity_id", SAVED[0], "nobody", SAVED[1], "")))
    return {"file": str(folder / "entities.csv")}


def _project(_: Path, sandbox: Sandbox) -> dict[str, Any]:
    """A project with two entities saved."""
    settings = sandbox.environment()
    with Sayari.connect(
        settings["KYB_SAYARI__BASE_URL"],
        settings["KYB_SAYARI__CLIENT_ID"],
        settings["KYB_SAYARI__CLIENT_SECRET"],
    ) as sayari:
        project = sayari.projects.create("Crash").id
        for id in SAVED:
            sayari.resources.create(type="entity", project=project, label="saved", resource_id=id)
    return {"project_id": project}


def _changes(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    return _project(folder, sandbox) | {"clear": True}


def _process(folder: Path, _: Sandbox) -> dict[str, Any]:
    """All stages, over two records of one company and one that nobody knows."""
    (folder / "customers.csv").write_text("reference,name\n1,Tesco PLC\n2,Tesco plc\n3,Nobody & Sons\n")
    return {
        "file": str(folder / "customers.csv"),
        "name": "Crash",
        "cleanse": {"workflow": "CompanyCleanse"},
        "deduplicate": {"fields": ["name"], "remove": True},
        "resolve": {"watchlist": True, "ownership": True},
    }


SCENARIOS = {
    scenario.type: scenario
    for scenario in (
        Scenario("creditsafe.import_file", _import, step=9),
        Scenario("creditsafe.add_records", _records, step=21, told=("record_ids",)),
        Scenario("creditsafe.run_matching", _portfolio, unknowable=True, step=9),
        Scenario(
            "creditsafe.deduplicate",
            _duplicates,
            step=31,
            harmless=("creditsafe.duplicates.identify",),
            told=("removed",),
        ),
        Scenario("creditsafe.enrich", _enrichment, step=35, unknowable=True),
        Scenario("creditsafe.export_records", _portfolio, step=31),
        Scenario("creditsafe.delete_records", _record_ids, step=21, told=("deleted",)),
        Scenario("creditsafe.delete_portfolio", _portfolio, step=27),
        Scenario("data8.start_job", _start_job, step=7),
        Scenario("data8.upload_dataset", _upload_dataset, step=27),
        Scenario("data8.download_dataset", _dataset, step=21),
        Scenario("data8.delete_dataset", _dataset, step=15),
        Scenario("sayari.resolve_entities", _resolve, step=13),
        Scenario("sayari.trace_relationships", _trace, step=21, told=("entities",)),
        Scenario("sayari.fetch_entities", _fetch, step=17),
        Scenario("sayari.export_project", _project, step=15),
        Scenario(
            "portfolio.process",
            _process,
            step=75,
            harmless=("creditsafe.duplicates.identify",),
            told=("unplaced",),
        ),
        Scenario("sayari.collect_changes", _changes, step=29, told=("cleared", "kept")),
    )
}


def quick_sandbox() -> Sandbox:
    """Vendors whose jobs take a moment only."""
    return Sandbox(state=SandboxState(job_seconds=0.1, queue_seconds=0.02))


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
        value = list(value.values())
    return [file for item in value for file in files_of(item)] if isinstance(value, list) else []


def _stable(content: bytes) -> bytes:
    if not content.startswith(b"{"):
        places: dict[bytes, bytes] = {}
        return RECORD_ID.sub(lambda found: places.setdefault(found[0], b"record %d" % len(places)), content)
    objects = [json.loads(line) for line in content.splitlines()]
    for found in objects:
        for key in ("id", "created", "updated", "saved_resource", "date"):
            found.pop(key, None)
    return json.dumps(sorted(map(json.dumps, objects))).encode()


def check(scenario: Scenario, sandbox: Sandbox, ledger: Ledger, job: Job, expected: dict[str, Any]) -> None:
    """The job is done, each effect happened once, one final event tells it, the files are whole."""
    doubled = {
        (effect, key): count
        for (effect, key), count in sandbox.state.effects.items()
        if count != 1 and effect not in scenario.harmless
    }
    assert not doubled, f"effects not done exactly once: {doubled}"
    finals = [
        e for e in ledger.events(job_id=job.id) if e.type.endswith((".completed", ".failed", ".cancelled"))
    ]
    assert len({e.id for e in finals}) == 1
    if scenario.unknowable and job.error is not None:
        assert job.error["code"] == "outcome_unknown"
        return
    assert job.error is None
    assert outcome_of(scenario, job) == expected


def outcome_of(scenario: Scenario, job: Job) -> dict[str, Any]:
    """What must be the same whatever happened in between."""
    result = job.result or {}
    return {name: result.get(name) for name in scenario.told} | {"files": files_of(result)}
