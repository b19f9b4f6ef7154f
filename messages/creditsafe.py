"""Commands of Creditsafe DataStudio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from messages.base import (
    Command,
    File,
    Line,
    Model,
    Name,
    Rejects,
    Result,
    Strict,
    TableFormat,
    Uri,
    VendorId,
    one_of,
    present,
)
from messages.creditsafe_record import Record
from messages.example_values import PORTFOLIO_ID, example_file

FieldNames = Annotated[list[Line], Field(min_length=1, max_length=100)]


class Portfolio(Model):
    """An existing portfolio by `id`, or a new one by `name`."""

    model_config = ConfigDict(
        json_schema_extra=one_of("id", "name") | {"not": {"allOf": [present("id"), present("description")]}}
    )

    id: VendorId | None = None
    """The id of an existing portfolio."""
    name: Name | None = None
    """The name of a new portfolio."""
    description: str | None = Field(default=None, max_length=1_000)
    """The description of a new portfolio."""

    @model_validator(mode="after")
    def _id_or_name(self) -> Portfolio:
        if (self.id is None) == (self.name is None):
            msg = "give either id (an existing portfolio) or name (a new one)"
            raise ValueError(msg)
        if self.id is not None and self.description is not None:
            msg = "description goes with name"
            raise ValueError(msg)
        return self


class ImportFileResult(Result):
    """Where the records went and how many they were; `parts` counts uploads."""

    portfolio_id: str
    """The id of the portfolio that the records are in."""
    records: int
    """The number of records that were imported."""
    parts: int
    """The number of uploads that the file was split into."""
    rejects: File | None = Rejects
    """The rows that were left out, and why, as `text/csv` for people; null if there are none."""


class ImportFile(Command):
    """Import a file of companies into a portfolio."""

    type_ = "creditsafe.import_file"
    result = ImportFileResult

    file: Uri
    """The URI of the table to import."""
    portfolio: Portfolio
    """The portfolio that the records go to."""
    strict: bool = Strict
    """Whether the first bad row ends the job; with `false`, bad rows are left out and listed in `rejects`."""

    @classmethod
    def example(cls) -> tuple[Self, ImportFileResult]:
        """Return an example of the command and of its result."""
        command = cls(
            file="file:///data/customers.csv",
            portfolio=Portfolio(name="Customers 2026-08", description="Active customers"),
        )
        return command, ImportFileResult(portfolio_id=PORTFOLIO_ID, records=48_211, parts=3)

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Return the file."""
        yield "file", self.file


class MatchingSummary(Model):
    """How the records fared; whatever else the vendor reports is kept beside these."""

    model_config = ConfigDict(extra="allow")

    total: int
    """The number of records in the portfolio."""
    matched: int
    """The number of records that Creditsafe matched with a company."""
    unmatched: int
    """The number of records without a match."""


class RunMatchingResult(Result):
    """The run and its summary."""

    portfolio_id: str
    """The id of the portfolio."""
    execution_id: str
    """Creditsafe's id of the matching run."""
    summary: MatchingSummary
    """Creditsafe's figures about the run."""


class RunMatching(Command):
    """Match a portfolio's records with Creditsafe's companies."""

    type_ = "creditsafe.run_matching"
    result = RunMatchingResult

    portfolio_id: VendorId
    """The id of the portfolio to match."""
    match_against: str = Field(default="SAFE_NUMBER", min_length=1, max_length=64)
    """What Creditsafe matches the records against, in Creditsafe's own words."""

    @classmethod
    def example(cls) -> tuple[Self, RunMatchingResult]:
        """Return an example of the command and of its result."""
        command = cls(portfolio_id=PORTFOLIO_ID)
        return command, RunMatchingResult(
            portfolio_id=PORTFOLIO_ID,
            execution_id="7d0f4c2b-1e63-4b1d-8f5a-2a9c6e3d7b18",
            summary=MatchingSummary(total=48_211, matched=45_907, unmatched=2_304),
        )


class AddRecordsResult(Result):
    """How many records were added; their ids, in the order of the command."""

    portfolio_id: str
    """The id of the portfolio."""
    records: int
    """The number of records that were added: all of them."""
    record_ids: list[str]
    """Creditsafe's ids of the new records, in the order of the command."""


class AddRecords(Command):
    """Add the records of the message to a portfolio."""

    type_ = "creditsafe.add_records"
    result = AddRecordsResult

    portfolio_id: VendorId
    """The id of the portfolio that the records are added to."""
    records: Annotated[list[Record], Field(min_length=1, max_length=3_000)]
    """The records to add. Send more than 3,000 in a file, with `creditsafe.import_file`."""

    @classmethod
    def example(cls) -> tuple[Self, AddRecordsResult]:
        """Return an example of the command and of its result."""
        command = cls(
            portfolio_id=PORTFOLIO_ID,
            records=[
                Record(name="Example Trading Ltd", town="Leeds", countryCode="GB", reference="C-1001"),
                Record(name="Beispiel Handel GmbH", vatNumber="DE000000000", reference="C-1002"),
            ],
        )
        return command, AddRecordsResult(
            portfolio_id=PORTFOLIO_ID, records=2, record_ids=["R000000048212", "R000000048213"]
        )


class DeduplicateResult(Result):
    """The duplicates found, as Creditsafe's own file, and how many records were removed."""

    portfolio_id: str
    """The id of the portfolio."""
    execution_id: str
    """Creditsafe's id of the run that identified the duplicates."""
    duplicates: File
    """Creditsafe's own file of the duplicates, byte for byte."""
    removed: int | None = Field(
        description="0 unless asked for; null where neither Creditsafe nor its counts tell"
    )
    """The number of records that this job removed: 0 without `remove`; null if neither Creditsafe's answer nor its
    counts show it.
    """
    partial: bool = Field(description="whether Creditsafe says that it could do only a part")
    """Whether Creditsafe reports that it processed only a part of the portfolio."""


class Deduplicate(Command):
    """Find the records of a portfolio that are equal in all the fields, and remove them if asked to."""

    type_ = "creditsafe.deduplicate"
    result = DeduplicateResult

    portfolio_id: VendorId
    """The id of the portfolio to search."""
    fields: FieldNames
    """The fields to compare: records that are equal in all of them are duplicates. Creditsafe decides which names are
    valid.
    """
    remove: bool = False
    """Whether to remove the duplicates once their file is stored."""

    @classmethod
    def example(cls) -> tuple[Self, DeduplicateResult]:
        """Return an example of the command and of its result."""
        command = cls(portfolio_id=PORTFOLIO_ID, fields=["safeNumber"], remove=True)
        return command, DeduplicateResult(
            portfolio_id=PORTFOLIO_ID,
            execution_id="c1f7a8d2-90b5-4f3b-a6de-5b1e8f2c7d04",
            duplicates=example_file("deduplicate", "duplicates.csv", "text/csv", 312, 18_733),
            removed=312,
            partial=False,
        )


class EnrichResult(Result):
    """The enriched records, as Creditsafe's own file."""

    portfolio_id: str
    """The id of the portfolio."""
    execution_id: str
    """Creditsafe's id of the enrichment run."""
    enriched: File
    """Creditsafe's own file of the enriched records, byte for byte."""
    partial: bool = Field(description="whether Creditsafe says that it could enrich only a part")
    """Whether Creditsafe reports that it enriched only a part of the portfolio."""


class Enrich(Command):
    """Add Creditsafe's data to the matched records of a portfolio. Creditsafe bills for it."""

    type_ = "creditsafe.enrich"
    result = EnrichResult

    portfolio_id: VendorId
    """The id of the portfolio to enrich."""
    fields: FieldNames
    """The fields that Creditsafe adds. Creditsafe decides which names are valid."""

    @classmethod
    def example(cls) -> tuple[Self, EnrichResult]:
        """Return an example of the command and of its result."""
        command = cls(portfolio_id=PORTFOLIO_ID, fields=["general.companyName", "contact.town"])
        return command, EnrichResult(
            portfolio_id=PORTFOLIO_ID,
            execution_id="3a9e5c70-2d48-4c1f-bb97-e04d6f8a1c52",
            enriched=example_file("enrich", "enriched.csv", "text/csv", 47_899, 4_981_530),
            partial=False,
        )


class ExportRecordsResult(Result):
    """The records as a table."""

    portfolio_id: str
    """The id of the portfolio."""
    records: File
    """The table: a row for each record, in Creditsafe's order."""


class ExportRecords(Command):
    """Store all records of a portfolio as a table."""

    type_ = "creditsafe.export_records"
    result = ExportRecordsResult

    portfolio_id: VendorId
    """The id of the portfolio to export."""
    format: TableFormat = "csv"
    """The format of the table: CSV, JSON Lines (one object a row) or Parquet. All values are strings."""

    @classmethod
    def example(cls) -> tuple[Self, ExportRecordsResult]:
        """Return an example of the command and of its result."""
        command = cls(portfolio_id=PORTFOLIO_ID)
        return command, ExportRecordsResult(
            portfolio_id=PORTFOLIO_ID,
            records=example_file("export_records", "records.csv", "text/csv", 47_899, 7_328_112),
        )


class DeleteRecordsResult(Result):
    """How many records this job has deleted."""

    portfolio_id: str
    """The id of the portfolio."""
    deleted: int | None = Field(
        description="ids that were not there do not count; null where neither Creditsafe nor its counts tell"
    )
    """The number of records that this job deleted, without ids that did not exist; null if neither Creditsafe's
    answers nor its counts show it.
    """


class DeleteRecords(Command):
    """Delete records of a portfolio by their ids."""

    type_ = "creditsafe.delete_records"
    result = DeleteRecordsResult

    portfolio_id: VendorId
    """The id of the portfolio that holds the records."""
    record_ids: Annotated[list[VendorId], Field(min_length=1)]
    """Creditsafe's ids of the records to delete. Ids that do not exist are ignored."""

    @classmethod
    def example(cls) -> tuple[Self, DeleteRecordsResult]:
        """Return an example of the command and of its result."""
        command = cls(portfolio_id=PORTFOLIO_ID, record_ids=["R000000048212", "R000000048213"])
        return command, DeleteRecordsResult(portfolio_id=PORTFOLIO_ID, deleted=2)


class DeletePortfolioResult(Result):
    """The portfolio, which is not there any more."""

    portfolio_id: str
    """The id of the deleted portfolio."""


class DeletePortfolio(Command):
    """Delete a portfolio with all its records."""

    type_ = "creditsafe.delete_portfolio"
    result = DeletePortfolioResult

    portfolio_id: VendorId
    """The id of the portfolio to delete."""

    @classmethod
    def example(cls) -> tuple[Self, DeletePortfolioResult]:
        """Return an example of the command and of its result."""
        command = cls(portfolio_id=PORTFOLIO_ID)
        return command, DeletePortfolioResult(portfolio_id=PORTFOLIO_ID)


COMMANDS: tuple[type[Command], ...] = (
    ImportFile,
    AddRecords,
    RunMatching,
    Deduplicate,
    Enrich,
    ExportRecords,
    DeleteRecords,
    DeletePortfolio,
)
