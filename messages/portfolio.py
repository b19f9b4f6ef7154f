"""The command that takes a whole portfolio through all vendors, in the order that they recommend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, StringConstraints

from messages.base import Command, File, Line, Model, Name, Rejects, Result, Strict, TableFormat, Uri
from messages.creditsafe import (
    DeduplicateResult,
    EnrichResult,
    ExportRecordsResult,
    FieldNames,
    ImportFileResult,
    RunMatchingResult,
)
from messages.data8 import Slot, StartJobResult
from messages.sayari import ResolveEntitiesResult
from messages.sayari_graph import FetchEntitiesResult, TraceRelationshipsResult

#: Each stage that is the work of another command, in their order.
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


def _columns(of: str) -> dict[Line, RecordField]:
    """What columns are, by their headers."""
    found: dict[Line, RecordField] = Field(
        default_factory=dict,
        max_length=1_000,
        description=f"fields by the headers {of}; a header that is the name of a field needs no mention",
        json_schema_extra=_KEYS,
    )
    return found


class Cleansing(Model):
    """A workflow of Data8's over the records; its output goes on in their place."""

    workflow: Name
    slot: Slot = Field(default="Companies", description="where the workflow takes the records")
    output: Slot | None = Field(
        default=None, description="which of its outputs goes on; needless for one alone"
    )
    parameters: dict[Slot, Annotated[str, StringConstraints(max_length=10_000)]] = Field(
        default_factory=dict, max_length=100, json_schema_extra=_KEYS
    )
    columns: dict[Line, RecordField] = _columns("of the output")


class Matching(Model):
    """Against what records are matched."""

    match_against: str = Field(default="SAFE_NUMBER", min_length=1, max_length=64)


class Deduplication(Model):
    """Records that are equal in all the fields are duplicates."""

    fields: FieldNames = Field(default_factory=lambda: ["safeNumber"])
    remove: bool = False


class Enrichment(Model):
    """What Creditsafe adds to the matched records, and bills."""

    fields: FieldNames


class Resolution(Model):
    """How the records are looked up at Sayari, and what is asked of the best match of each."""

    label: Name | None = Field(
        default=None, description="of the new project; the command's `name` unless given"
    )
    delete_project: bool = False
    watchlist: bool = Field(
        default=False, description="whether it is sanctioned or a PEP: one call an entity"
    )
    ownership: bool = Field(
        default=False, description="its beneficial owners: one call or more an entity, of the tight budget"
    )


class ProcessPortfolioResult(Result):
    """The result of every stage, null of those not run, and the report."""

    model_config = ConfigDict(populate_by_name=True)

    cleanse: StartJobResult | None
    import_: ImportFileResult = Field(alias="import")
    match: RunMatchingResult | None
    export: ExportRecordsResult | None
    deduplicate: DeduplicateResult | None
    enrich: EnrichResult | None
    resolve: ResolveEntitiesResult | None
    watchlist: FetchEntitiesResult | None
    ownership: TraceRelationshipsResult | None
    report: File
    unplaced: int = Field(description="rows of vendors' files that belong to no record of the input")
    rejects: File | None = Rejects


class ProcessPortfolio(Command):
    """Take a file of companies through the vendors: cleanse, import, match, deduplicate, enrich, resolve, report."""

    type_ = "portfolio.process"
    result = ProcessPortfolioResult

    file: Uri
    name: Name
    cleanse: Cleansing | None = None
    match: Matching | None = None
    deduplicate: Deduplication | None = None
    enrich: Enrichment | None = None
    resolve: Resolution | None = None
    columns: dict[Line, RecordField] = _columns("of the file")
    format: TableFormat = "csv"
    strict: bool = Strict

    def inputs(self) -> Iterator[tuple[str, str]]:
        """The file."""
        yield "file", self.file

    def stages(self) -> list[str]:
        """Those of `STAGES` that are asked for, in their order."""
        resolve = self.resolve
        wanted = {
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
        return [stage for stage in STAGES if wanted[stage]]


COMMANDS: tuple[type[Command], ...] = (ProcessPortfolio,)
