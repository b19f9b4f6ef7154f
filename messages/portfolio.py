"""The command that takes a portfolio through all vendors, in the order that they recommend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from messages.base import Command, File, Line, Model, Name, Rejects, Result, Strict, TableFormat, Uri
from messages.creditsafe import (
    DeduplicateResult,
    EnrichResult,
    ExportRecordsResult,
    FieldNames,
    ImportFileResult,
    RunMatching,
    RunMatchingResult,
)
from messages.data8 import Slot, StartJobResult
from messages.example_values import NDJSON, PORTFOLIO_ID, example_file
from messages.sayari import ResolveEntitiesResult
from messages.sayari_graph import FetchEntitiesResult, TraceRelationshipsResult

#: The stages that run another command, in their order.
STAGES = {
    "cleanse": "data8.start_job",
    "import": "creditsafe.import_file",
    "match": "creditsafe.run_matching",
    "export": "creditsafe.export_records",
    "deduplicate": "creditsafe.deduplicate",
    "enrich": "creditsafe.enrich",
    "resolve": "sayari.resolve_entities",
    "watchlist": "sayari.fetch_entities",
    "ownership": "sayari.trace_relationships",
}

#: A field of Creditsafe's records, or an attribute or identifier type of Sayari's.
RecordField = Annotated[str, StringConstraints(pattern="^[A-Za-z][A-Za-z0-9_]{0,99}$")]
_KEYS: dict[str, JsonValue] = {"additionalProperties": False}


def _columns_field(of: str) -> dict[Line, RecordField]:
    """Return a field that maps headers to the names of record fields."""
    field: dict[Line, RecordField] = Field(
        default_factory=dict,
        max_length=1_000,
        description=f"fields by the headers {of}; a header that is the name of a field needs no mention",
        json_schema_extra=_KEYS,
    )
    return field


class Cleansing(Model):
    """A workflow of Data8's over the records; its output goes on in their place."""

    workflow: Name
    """The name of the Data8 workflow that cleanses the records."""
    slot: Slot = Field(default="Companies", description="where the workflow takes the records")
    """The name of the workflow's slot that takes the records."""
    output: Slot | None = Field(
        default=None, description="which of its outputs goes on; needless for one alone"
    )
    """The output of the workflow that replaces the records. You need it only if the workflow has several outputs."""
    parameters: dict[Slot, Annotated[str, StringConstraints(max_length=10_000)]] = Field(
        default_factory=dict, max_length=100, json_schema_extra=_KEYS
    )
    """The parameters of the workflow, as agreed with Data8."""
    columns: dict[Line, RecordField] = _columns_field("of the output")
    """Field names, by the headers of the output. A header that is itself the name of a field needs no entry."""


class Matching(Model):
    """Against what records are matched."""

    match_against: str = Field(default="SAFE_NUMBER", min_length=1, max_length=64)
    """What Creditsafe matches the records against, in Creditsafe's own words."""


class Deduplication(Model):
    """Records that are equal in all the fields are duplicates."""

    fields: FieldNames = Field(default_factory=lambda: ["safeNumber"])
    """The fields to compare: records that are equal in all of them are duplicates. Only `safeNumber` unless given."""
    remove: bool = False
    """Whether to remove the duplicates from the portfolio."""


class Enrichment(Model):
    """What Creditsafe adds to the matched records, and bills."""

    fields: FieldNames
    """The fields that Creditsafe adds. Creditsafe bills for them."""


class Resolution(Model):
    """How the records are looked up at Sayari, and what is asked of the best match of each."""

    label: Name | None = Field(
        default=None, description="of the new project; the command's `name` unless given"
    )
    """The label of the new project at Sayari; the `name` of the command unless given."""
    delete_project: bool = False
    """Whether to delete the project at Sayari once its results are stored."""
    watchlist: bool = Field(
        default=False, description="whether it is sanctioned or a PEP: one call an entity"
    )
    """Whether to check if the best match is sanctioned or politically exposed. It takes one call for each entity."""
    ownership: bool = Field(
        default=False, description="its beneficial owners: one call or more an entity, of the tight budget"
    )
    """Whether to fetch the beneficial owners of the best match. It takes at least one call for each entity, under
    Sayari's stricter rate limit.
    """


class ProcessPortfolioResult(Result):
    """The result of every stage, null of those not run, and the report."""

    model_config = ConfigDict(populate_by_name=True)

    cleanse: StartJobResult | None
    """The result of the cleansing stage; null if it did not run."""
    import_: ImportFileResult = Field(alias="import")
    """The result of the import."""
    match: RunMatchingResult | None
    """The result of the matching stage; null if it did not run."""
    export: ExportRecordsResult | None
    """The result of the export of records; null if it did not run."""
    deduplicate: DeduplicateResult | None
    """The result of the deduplication stage; null if it did not run."""
    enrich: EnrichResult | None
    """The result of the enrichment stage; null if it did not run."""
    resolve: ResolveEntitiesResult | None
    """The result of the resolution stage; null if it did not run."""
    watchlist: FetchEntitiesResult | None
    """The result of the watchlist check; null if it did not run."""
    ownership: TraceRelationshipsResult | None
    """The result of the ownership stage; null if it did not run."""
    report: File
    """The report: a table with a row for each record."""
    unplaced: int = Field(description="rows of vendors' files that belong to no record of the input")
    """The number of rows in the vendors' files that belong to no record of the input."""
    rejects: File | None = Rejects
    """The rows that were left out, and why, as `text/csv` for people; null if there are none."""


class ProcessPortfolio(Command):
    """Take a file of companies through the vendors: cleanse, import, match, deduplicate, enrich, resolve, report."""

    type_ = "portfolio.process"
    result = ProcessPortfolioResult

    file: Uri
    """The URI of the table of companies."""
    name: Name
    """The name of the new portfolio at Creditsafe."""
    cleanse: Cleansing | None = None
    """Options of the cleansing stage, which runs only if they are given."""
    match: Matching | None = None
    """Options of the matching stage, which runs only if they are given."""
    deduplicate: Deduplication | None = None
    """Options of the deduplication stage, which runs only if they are given."""
    enrich: Enrichment | None = None
    """Options of the enrichment stage, which runs only if they are given."""
    resolve: Resolution | None = None
    """Options of the resolution stage, which runs only if they are given."""
    columns: dict[Line, RecordField] = _columns_field("of the file")
    """Field names, by the headers of the file. A header that is itself the name of a field needs no entry."""
    format: TableFormat = "csv"
    """The format of the report and of the other tables: CSV, JSON Lines or Parquet."""
    strict: bool = Strict
    """Whether the first bad row ends the job; with `false`, bad rows are left out and listed in `rejects`."""

    @classmethod
    def example(cls) -> tuple[Self, ProcessPortfolioResult]:
        """Return an example of the command and of its result."""
        command = cls(
            file="file:///data/customers.csv",
            name="Customers 2026-08",
            cleanse=Cleansing(workflow="CompanyCleanse", columns={"cleansed_name": "name"}),
            match=Matching(),
            deduplicate=Deduplication(),
            enrich=Enrichment(fields=["general.companyName", "contact.town"]),
            resolve=Resolution(watchlist=True),
            columns={"Customer no.": "reference"},
        )
        return command, ProcessPortfolioResult(
            cleanse=StartJobResult(
                job_name="kyb_customers-2026-08.process_19eec21057c5",
                statistics={"CleansedRecords": 48_211},
                outputs={
                    "Cleansed": example_file("process", "cleanse.Cleansed.csv", "text/csv", 48_211, 9_102_377)
                },
                output_filenames={},
            ),
            import_=ImportFileResult(portfolio_id=PORTFOLIO_ID, records=48_211, parts=1),
            match=RunMatching.example()[1],
            export=ExportRecordsResult(
                portfolio_id=PORTFOLIO_ID,
                records=example_file("process", "export.records.csv", "text/csv", 48_211, 7_390_004),
            ),
            deduplicate=DeduplicateResult(
                portfolio_id=PORTFOLIO_ID,
                execution_id="c1f7a8d2-90b5-4f3b-a6de-5b1e8f2c7d04",
                duplicates=example_file("process", "deduplicate.duplicates.csv", "text/csv", 312, 18_733),
                removed=0,
                partial=False,
            ),
            enrich=EnrichResult(
                portfolio_id=PORTFOLIO_ID,
                execution_id="3a9e5c70-2d48-4c1f-bb97-e04d6f8a1c52",
                enriched=example_file("process", "enrich.enriched.csv", "text/csv", 48_211, 4_981_530),
                partial=False,
            ),
            resolve=ResolveEntitiesResult(
                project_id="GNJWVL",
                uploaded=48_211,
                resolved=example_file("process", "resolve.resolved.jsonl", NDJSON, 31_870, 14_212_906),
                unresolved=example_file("process", "resolve.unresolved.jsonl", NDJSON, 16_341, 3_170_154),
            ),
            watchlist=FetchEntitiesResult(
                entities=example_file("process", "watchlist.entities.jsonl", NDJSON, 31_502, 88_205_600),
                missing=example_file("process", "watchlist.missing.csv", "text/csv", 0, 11),
            ),
            ownership=None,
            report=example_file("process", "report.csv", "text/csv", 48_211, 15_873_114),
            unplaced=0,
        )

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Return the file."""
        yield "file", self.file

    def stages(self) -> list[str]:
        """Return the stages that the command asks for, in the order of `STAGES`."""
        resolve = self.resolve
        requested = {
            "cleanse": self.cleanse is not None,
            "import": True,
            "match": self.match is not None,
            "export": any(each is not None for each in (self.match, self.deduplicate, self.enrich)),
            "deduplicate": self.deduplicate is not None,
            "enrich": self.enrich is not None,
            "resolve": resolve is not None,
            "watchlist": resolve is not None and resolve.watchlist,
            "ownership": resolve is not None and resolve.ownership,
        }
        return [stage for stage in STAGES if requested[stage]]


COMMANDS: tuple[type[Command], ...] = (ProcessPortfolio,)
