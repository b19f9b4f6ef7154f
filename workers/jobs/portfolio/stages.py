"""The stages of one job, and the tables that it hands from one to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

from messages.base import Command, File, Result
from messages.data8 import Input, StartJob, StartJobResult
from messages.errors import Code
from messages.portfolio import Cleansing, ProcessPortfolio
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.registry import Services
from workers.engine.stages import Stage
from workers.errors import JobFailed
from workers.files.formats.csv_table import csv_line, dedupe_header
from workers.files.storage import Draft, file_name
from workers.jobs.data8.dataset_upload import column_names
from workers.jobs.data8.start_job import start_job
from workers.jobs.input import InputTable, intake
from workers.jobs.portfolio.columns import REFERENCE, Columns
from workers.jobs.portfolio.report import Files, write_report
from workers.jobs.portfolio.report_join import best_matches
from workers.jobs.portfolio.tables import Records, check_cleansed, check_references, rewrite
from workers.jobs.results import publish_table
from workers.jobs.sayari.entity_lookup import COLUMN

C = TypeVar("C", bound=Command)
R = TypeVar("R", bound=Result)

#: Working tables, by the names that stages read them under in place of a URI: the input with references, what
#: Creditsafe and Sayari are sent of it, and the ids of the best matches at Sayari.
INPUT, COMPANIES, ENTITIES, MATCHES = WORKING = "input.csv", "companies.csv", "entities.csv", "matches.csv"
#: The steps of a stage that take long and tell how far they are, by how their names begin.
PARTS: dict[str, tuple[str, ...]] = {
    "cleanse": ("upload", "finish", "download"),
    "import": ("finish part",),
    "match": ("match", "tally"),
    "export": ("read", "write"),
    "resolve": ("resolve", "fetch resolved", "fetch unresolved"),
    "watchlist": ("fetch",),
    "ownership": ("trace",),
}


class Stages:
    """The stages of one job, which all count for the same share of its progress."""

    def __init__(self, command: ProcessPortfolio, run: Run, services: Services) -> None:
        self._command = command
        self._run = run
        self._services = services
        names = ["prepare", *command.stages(), "report"]
        share = 100 / len(names)
        self._stages = {
            name: Stage(name, place * share, (place + 1) * share, PARTS.get(name, ()))
            for place, name in enumerate(names)
        }

    def do(self, name: str, function: Callable[[C, Run, Services], R], command: C) -> R:
        """Run another command's job function as a stage; it may read the working tables."""
        tables = {table: self._table(table).open for table in WORKING}
        services = replace(self._services, storage=self._services.storage.stage(name, tables))
        with self._run.stage(self._stages[name]):
            return function(command, self._run, services)

    def take_in(self) -> tuple[Records, File | None]:
        """Return the copied input, with a column of references in front if it has none, and the rejected rows.

        The whole input is checked before anything happens at a vendor.
        """
        run, command = self._run, self._command
        with run.stage(self._stages["prepare"]):
            source = intake(run, self._services.storage, command.file, strict=command.strict)
            columns_of = partial(self._columns, source.uri, command.columns)
            check = partial(check_references, source, columns_of)
            header = run.once("check", check, recover=repeatable)
            numbered = columns_of(header).reference is None
            known: dict[str, str] = {}
            if numbered:
                header = [dedupe_header([*header, REFERENCE])[-1], *header]
                known = {header[0]: REFERENCE}

            def row_of(cells: list[str], number: int) -> list[str]:
                return [str(number), *cells] if numbered else cells

            rewrite(run, "read", "read", source, self._draft(INPUT), header, row_of)
            source.discard(run)
            rejects = source.publish_rejects(run)
        columns = Columns.of(header, source.uri, command.columns, known)
        return Records(self._table(INPUT), header, columns), rejects

    def cleanse(self, wish: Cleansing, records: Records) -> tuple[StartJobResult, Records]:
        """Run Data8's workflow over the records; return also what continues in their place.

        Raises:
            JobFailed: `input_invalid` if it is unclear which output that is, or the output carries no references;
                `vendor_failed` if a row of it is no record of the input.
        """
        start = StartJob(
            workflow=wish.workflow, inputs={wish.slot: Input(file=INPUT)}, parameters=wish.parameters
        )
        result = self.do("cleanse", start_job, start)
        name = wish.output
        if name is None and len(result.outputs) == 1:
            (name,) = result.outputs
        if name not in result.outputs:
            there = ", ".join(map(repr, result.outputs)) or "none"
            raise JobFailed(
                Code.INPUT_INVALID,
                f"which output of the workflow goes on? It has {there}: name it in cleanse.output",
            )
        file = result.outputs[name]
        source = InputTable(name, partial(self._services.storage.open_result, file))
        known = records.columns.by_header(column_names(records.header))
        columns_of = partial(self._columns, name, wish.columns, known=known)
        with self._run.stage(self._stages["prepare"]):
            check = partial(check_cleansed, records, source, columns_of)
            header = self._run.once("check cleansed", check, recover=repeatable)
        return result, Records(source, header, columns_of(header))

    def prepare(self, records: Records) -> None:
        """Write what Creditsafe is sent, and what Sayari is: no row for a record of which nothing would be said."""
        columns = records.columns
        with self._run.stage(self._stages["prepare"]):
            rewrite(
                self._run, "write companies", "write", records.table, self._draft(COMPANIES), columns.record_header,
                lambda cells, _: columns.record(cells),
            )  # fmt: skip
            if self._command.resolve:
                rewrite(
                    self._run, "write entities", "write", records.table, self._draft(ENTITIES), columns.entity_header,
                    lambda cells, _: entity if any(entity := columns.entity(cells)) else None,
                )  # fmt: skip

    def list_matches(self, resolved: File) -> int:
        """Write the ids of the best matches, if something is asked about them; how many they are."""
        resolution = self._command.resolve
        if resolution is None or not (resolution.watchlist or resolution.ownership):
            return 0

        def write() -> dict[str, int]:
            count = 0
            with self._services.storage.open_result(resolved) as lines, self._draft(MATCHES).append(0) as out:
                out.write(csv_line([COLUMN]))
                for id in best_matches(lines):
                    out.write(csv_line([id]))
                    count += 1
            return {"done": count}

        with self._run.stage(self._stages["resolve"]):
            return self._run.once("list matches", write, recover=repeatable)["done"]

    def report(self, records: Records, cleansed: Records | None, files: Files) -> tuple[File, int]:
        """Write and publish the report, and clear up; gives how many rows of vendors' files it could not place."""
        run, storage = self._run, self._services.storage

        def write() -> dict[str, int]:
            matches = self._table(MATCHES)
            return write_report(storage, self._draft("report.csv"), records, cleansed, matches, files)

        def discard() -> bool:
            for name in WORKING:
                self._draft(name).remove()
            return True

        with run.stage(self._stages["report"]):
            written = run.once("write", write, recover=repeatable)
            report = publish_table(run, storage, "report", written["done"], self._command.format)
            run.once("discard", discard, recover=repeatable)
        return report, written["unplaced"]

    def _columns(
        self, uri: str, given: Mapping[str, str], header: list[str], known: Mapping[str, str] | None = None
    ) -> Columns:
        """Return the columns of a table that goes to the vendors. Raises `input_invalid` if a vendor would get none."""
        columns = Columns.of(header, uri, given, known)
        for vendor, told in (
            ("Creditsafe", set(columns.record_header) - {REFERENCE}),
            ("Sayari", columns.entity_header if self._command.resolve else [REFERENCE]),
        ):
            if not told:
                raise JobFailed(
                    Code.INPUT_INVALID,
                    f"{file_name(uri)}, line 1: no header is the name of a field that {vendor} takes;"
                    " say in `columns` which column is what",
                )
        return columns

    def _table(self, name: str) -> InputTable:
        return InputTable(name, self._draft(name).open)

    def _draft(self, name: str) -> Draft:
        return self._services.storage.draft(self._run.job_id, name)
