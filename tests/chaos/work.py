"""The jobs of a trial: all commands in turn, each job with data of its own, so that a mix-up would show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from clients.creditsafe import Creditsafe, NewRecord
from sandbox import Sandbox
from tests.crash.cases import SCENARIOS, ended_output, files_of

#: Rows of most inputs, and of every eighth job's: so many take Data8 several blocks.
ROWS, MANY_ROWS = 12, 2_400
#: Commands whose data the crash trials make.
FURTHER = (
    "creditsafe.add_records",
    "creditsafe.export_records",
    "creditsafe.enrich",
    "sayari.fetch_entities",
    "creditsafe.deduplicate",
    "creditsafe.delete_records",
    "creditsafe.delete_portfolio",
    "data8.upload_dataset",
    "sayari.trace_relationships",
    "sayari.export_project",
    "sayari.collect_changes",
)
#: Effects that their command may repeat, since that changes nothing.
HARMLESS = frozenset(effect for scenario in SCENARIOS.values() for effect in scenario.harmless)
COUNTRIES = ("CHE", "GBR", "DEU")


@dataclass(frozen=True)
class Task:
    """A command to be sent.

    Attributes:
        fails_as: the error code with which its job must end, if it must not complete.
        effects: what must have happened at the vendors by then, where it is not known from an undisturbed run.
    """

    id: str
    type: str
    data: dict[str, Any]
    fails_as: str | None = None
    effects: Counter[str] | None = None

    @property
    def body(self) -> bytes:
        """It as a CloudEvent."""
        event = {"specversion": "1.0", "id": self.id, "source": "/chaos", "type": self.type}
        return json.dumps(event | {"data": self.data}).encode()


def poison(count: int) -> Callable[[Path], list[Task]]:
    """Jobs that kill their process (`installation.POISON`)."""
    made = [
        Task(f"poison-{n}", "data8.start_job", {"workflow": "Echo"}, "internal_error", Counter())
        for n in range(count)
    ]
    return lambda _: made


def hopeless(folder: Path) -> list[Task]:
    """Four vendor jobs that fail, and four that never end."""
    effects = Counter(
        {
            f"data8.{name}": 1
            for name in ("datasets.create", "datasets.upload", "datasets.update", "jobs.create")
        }
    )
    kinds = [("AlwaysFails", "vendor_failed"), ("NeverEnds", "deadline_exceeded")] * 4
    return [
        Task(f"hopeless-{n}", "data8.start_job", _data8(_companies(folder, 0), workflow), code, effects)
        for n, (workflow, code) in enumerate(kinds)
    ]


def tasks(prefix: str, count: int, folder: Path, sandbox: Sandbox) -> list[Task]:
    """`count` commands; what they work on is made in `folder` and in the sandbox, whose counters start at 0."""
    makers: list[tuple[str, Callable[[str, int], dict[str, Any]]]] = [
        ("creditsafe.import_file", lambda id_, n: _import(_companies(folder, n), id_)),
        ("creditsafe.run_matching", lambda _, n: {"portfolio_id": _portfolio(sandbox, n)}),
        ("data8.start_job", lambda _, n: _data8(_companies(folder, n))),
        ("sayari.resolve_entities", lambda _, n: {"file": str(_companies(folder, n))}),
        *[(type_, partial(_crashed, type_, folder, sandbox)) for type_ in FURTHER],
        ("data8.download_dataset", lambda _, n: {"dataset": _output(sandbox, n)}),
        ("data8.delete_dataset", lambda _, n: {"dataset": _output(sandbox, n)}),
        ("portfolio.process", lambda id_, _: _crashed("portfolio.process", folder, sandbox) | {"name": id_}),
    ]
    made = []
    for n in range(count):
        type_, data = makers[n % len(makers)]
        id_ = f"{prefix}-{n}"
        made.append(Task(id_, type_, data(id_, n)))
    sandbox.state.effects.clear()
    return made


def _crashed(type_: str, folder: Path, sandbox: Sandbox, *_: object) -> dict[str, Any]:
    """As the crash trials have it."""
    return SCENARIOS[type_].data(folder, sandbox)


def essence(result: Any) -> Any:
    """A result without what differs from run to run: vendors' ids and names; files by their content."""
    if isinstance(result, dict):
        if "sha256" in result:
            return files_of(result)
        return {
            key: len(value) if key.endswith("_ids") else essence(value)
            for key, value in result.items()
            if not key.endswith("_id") and key not in {"job_name", "dataset"}
        }
    return result


def _companies(folder: Path, n: int) -> Path:
    path = folder / f"companies-{n}.csv"
    if not path.exists():
        rows = MANY_ROWS if n % 8 == 2 else ROWS
        lines = [f'"Company {n}-{row}, ""plc""",{COUNTRIES[row % 3]}\r\n' for row in range(rows)]
        path.write_text("name,country\r\n" + "".join(lines) + "Nestlé S.A.,CHE\r\n", newline="")
    return path


def _import(path: Path, id_: str) -> dict[str, Any]:
    return {"file": str(path), "portfolio": {"name": f"Portfolio of {id_}"}}


def _data8(path: Path, workflow: str = "Echo") -> dict[str, Any]:
    return {"workflow": workflow, "inputs": {"Companies": {"file": str(path)}}}


def _output(sandbox: Sandbox, n: int) -> str:
    return ended_output(sandbox, f"before{n}", [{"name": f"Company {n}-{i}"} for i in range(ROWS)])


def _portfolio(sandbox: Sandbox, n: int) -> str:
    settings = sandbox.environment()
    with Creditsafe.connect(
        settings["KYB_CREDITSAFE__BASE_URL"],
        settings["KYB_CREDITSAFE__USERNAME"],
        settings["KYB_CREDITSAFE__PASSWORD"],
    ) as creditsafe:
        portfolio = creditsafe.portfolios.create(f"Made before {n}")
        creditsafe.records.create(
            portfolio.portfolio_id,
            [NewRecord(name="Nestlé S.A."), *(NewRecord(name=f"Company {n}-{i}") for i in range(n % 5))],
        )
    return portfolio.portfolio_id
