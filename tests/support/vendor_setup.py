"""Objects that a scenario's command expects at the vendors, made through the real clients."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from clients.creditsafe import Creditsafe, NewRecord
from clients.data8 import Data8
from clients.sayari import Sayari
from sandbox import Sandbox
from sandbox.sayari.register import register

COMPANIES = (
    "name,town,country\r\n"
    '"Nestlé S.A.",Vevey,CH\r\n'
    '"Smith & Nephew, ""plc""",Watford,GB\r\n'
    '"two\nlines",,GB\r\n'
    "トヨタ自動車株式会社,豊田市,JP\r\n"
).encode()
ENTITIES = "name,country\r\nNestlé S.A.,CHE\r\nNobody Knows Them,GBR\r\n".encode()
#: Ids of two entities that the sandbox's Sayari knows.
ENTITY_IDS = list(register().entities)[:2]
#: Rows of most numbered inputs. Every eighth has as many as take Data8 several blocks.
ROWS, MANY_ROWS = 12, 2_400
_COUNTRIES = ("CHE", "GBR", "DEU")


def connect_creditsafe(sandbox: Sandbox) -> Creditsafe:
    """Return a client of the sandbox's Creditsafe."""
    settings = sandbox.environment()
    return Creditsafe.connect(
        settings["KYB_CREDITSAFE__BASE_URL"],
        settings["KYB_CREDITSAFE__USERNAME"],
        settings["KYB_CREDITSAFE__PASSWORD"],
    )


def connect_data8(sandbox: Sandbox) -> Data8:
    """Return a client of the sandbox's Data8."""
    settings = sandbox.environment()
    return Data8.connect(
        settings["KYB_DATA8__BASE_URL"],
        settings["KYB_DATA8__TOKEN_URL"],
        settings["KYB_DATA8__CLIENT_ID"],
        settings["KYB_DATA8__CLIENT_SECRET"],
    )


def connect_sayari(sandbox: Sandbox) -> Sayari:
    """Return a client of the sandbox's Sayari."""
    settings = sandbox.environment()
    return Sayari.connect(
        settings["KYB_SAYARI__BASE_URL"],
        settings["KYB_SAYARI__CLIENT_ID"],
        settings["KYB_SAYARI__CLIENT_SECRET"],
    )


def make_portfolio(
    sandbox: Sandbox,
    name: str = "Before",
    companies: Sequence[str] = ("Nestlé S.A.", "Nobody & Sons", "nestlé s.a."),
) -> str:
    """Create a portfolio of companies; by default three records, two of them duplicates. Return its id."""
    with closing(connect_creditsafe(sandbox)) as creditsafe:
        portfolio = creditsafe.portfolios.create(name)
        creditsafe.records.create(portfolio.portfolio_id, [NewRecord(name=company) for company in companies])
    return portfolio.portfolio_id


def make_output_dataset(sandbox: Sandbox, name: str, rows: list[dict[str, str]]) -> str:
    """Run the job `name` to its end at Data8; return its output dataset."""
    with closing(connect_data8(sandbox)) as data8:
        data8.datasets.create(name, {"name": 0})
        data8.datasets.upload(name, 1, rows)
        data8.datasets.update(name, record_count=len(rows))
        data8.jobs.create(name, "Echo", input_datasets={"Companies": name})
        return data8.jobs.get(name).output_datasets["Companies"]


def make_project(sandbox: Sandbox) -> str:
    """Create a project at Sayari with two saved entities; return its id."""
    with closing(connect_sayari(sandbox)) as sayari:
        project = sayari.projects.create("Before").id
        for id in ENTITY_IDS:
            sayari.resources.create(type="entity", project=project, label="saved", resource_id=id)
    return project


def write_companies(folder: Path) -> str:
    """Write a small file with quotes, line breaks and non-Latin text; return its path."""
    (folder / "companies.csv").write_bytes(COMPANIES)
    return str(folder / "companies.csv")


def write_entities(folder: Path) -> str:
    """Write a file of two names, of which Sayari knows one; return its path."""
    (folder / "entities.csv").write_bytes(ENTITIES)
    return str(folder / "entities.csv")


def write_entity_ids(folder: Path) -> str:
    """Write a file of three entity ids, of which the one in the middle is unknown; return its path."""
    (folder / "entities.csv").write_text("\n".join(("entity_id", ENTITY_IDS[0], "nobody", ENTITY_IDS[1], "")))
    return str(folder / "entities.csv")


def write_numbered_companies(folder: Path, n: int) -> str:
    """Write the nth of many files, each with companies of its own; return its path."""
    path = folder / f"companies-{n}.csv"
    if not path.exists():
        rows = MANY_ROWS if n % 8 == 0 else ROWS
        lines = [f'"Company {n}-{row}, ""plc""",{_COUNTRIES[row % 3]}\r\n' for row in range(rows)]
        path.write_text("name,country\r\n" + "".join(lines) + "Nestlé S.A.,CHE\r\n", newline="")
    return str(path)


def make_numbered_portfolio(sandbox: Sandbox, n: int) -> str:
    """Create the nth of many portfolios, each with companies of its own; return its id."""
    companies = ["Nestlé S.A.", *(f"Company {n}-{i}" for i in range(n % 5))]
    return make_portfolio(sandbox, f"Made before {n}", companies)


def make_numbered_output(sandbox: Sandbox, n: int) -> str:
    """Make the nth of many output datasets at Data8; return its name."""
    rows: list[dict[str, Any]] = [{"name": f"Company {n}-{i}"} for i in range(ROWS)]
    return make_output_dataset(sandbox, f"before{n}", rows)
