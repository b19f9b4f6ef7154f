"""The plan of the demo: four commands on one file, and one that does all of it."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from messages.base import Command
from messages.creditsafe import ImportFile, RunMatching
from messages.data8 import StartJob
from messages.envelope import Request
from messages.portfolio import ProcessPortfolio
from messages.sayari import ResolveEntities
from workers.cli.commands.submit import build_request
from workers.cli.submission import JobSnapshot
from workers.jobs.countries import alpha_3


@dataclass(frozen=True)
class Planned:
    """One command of the demo.

    Attributes:
        after: the planned command that must have completed before.
        data: the command's data, made from the snapshot of the one before.
        numbers: what its result says, in a few words.
    """

    id: str
    model: type[Command]
    data: Callable[[JobSnapshot | None], dict[str, Any]]
    numbers: Callable[[dict[str, Any]], str]
    after: str | None = None

    @property
    def command(self) -> str:
        """Its type."""
        return self.model.type_

    def request(self, before: JobSnapshot | None) -> Request:
        """The command to send."""
        return build_request(self.model, self.data(before), self.id, "/kyb/demo")


def demo_plan(source: Path, entities: Path) -> list[Planned]:
    """The commands, on the companies in `source`, and for Sayari on `entities`."""

    def matching(before: JobSnapshot | None) -> dict[str, Any]:
        result = (before.result if before is not None else None) or {}
        return {"portfolio_id": result["portfolio_id"]}

    portfolio = {"name": f"Demo {source.stem}"}
    whole = {
        "file": source.as_uri(), "name": f"Demo {source.stem}, all in one", "match": {}, "deduplicate": {},
        "enrich": {"fields": ["general.companyName", "contact.town"]}, "resolve": {"watchlist": True},
    }  # fmt: skip
    start = {"workflow": "CompanyCleanse", "inputs": {"Companies": {"file": source.as_uri()}}}
    return [
        Planned("demo-import", ImportFile,
                lambda _: {"file": source.as_uri(), "portfolio": portfolio},
                lambda r: f"{r['records']:,} records, {r['parts']} upload{'s' if r['parts'] != 1 else ''}"),
        Planned("demo-match", RunMatching, matching,
                lambda r: f"{r['summary']['matched']:,} of {r['summary']['total']:,} matched", "demo-import"),
        Planned("demo-cleanse", StartJob, lambda _: start,
                lambda r: ", ".join(f"{rows_of(file):,} rows in {slot}" for slot, file in r["outputs"].items())),
        Planned("demo-resolve", ResolveEntities, lambda _: {"file": entities.absolute().as_uri()},
                lambda r: f"{rows_of(r['resolved']):,} of {r['uploaded']:,} resolved"),
        Planned("demo-process", ProcessPortfolio, lambda _: whole,
                lambda r: f"a report of {rows_of(r['report']):,} rows"),
    ]  # fmt: skip


def rows_of(file: dict[str, Any]) -> int:
    """The rows of a result's file, 0 if they are not known."""
    return int(file["records"] or 0)


def write_entities(source: Path, target: Path) -> Path:
    """Write the names and countries of `source` under the headers that Sayari knows; gives `target`.

    Names are in the column `name`, or else in the first one. What is wrong with the file as a table the
    jobs that read it themselves report.
    """
    with (
        source.open(encoding="utf-8-sig", errors="replace", newline="") as read,
        target.open("w", encoding="utf-8", newline="") as written,
    ):
        rows = csv.reader(line.replace("\0", "") for line in read)
        header = [column.strip().casefold() for column in next(rows, [])]
        name = header.index("name") if "name" in header else 0
        country = header.index("countrycode") if "countrycode" in header else None
        entities = csv.writer(written)
        entities.writerow(["name", "country"])
        for row in rows:
            if len(row) > name and row[name].strip():
                code = row[country].strip().upper() if country is not None and len(row) > country else ""
                entities.writerow([row[name], alpha_3(code)])
    return target
