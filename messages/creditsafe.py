"""Commands of Creditsafe DataStudio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

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
    any_of,
    dump,
    given,
    one_of,
)

Text = Annotated[str, StringConstraints(max_length=2_000)]
FieldNames = Annotated[list[Line], Field(min_length=1, max_length=100)]


class Portfolio(Model):
    """An existing portfolio by `id`, or a new one by `name`."""

    model_config = ConfigDict(
        json_schema_extra=one_of("id", "name") | {"not": {"allOf": [given("id"), given("description")]}}
    )

    id: VendorId | None = None
    name: Name | None = None
    description: str | None = Field(default=None, max_length=1_000)

    @model_validator(mode="after")
    def _one_of_two(self) -> Portfolio:
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
    records: int
    parts: int
    rejects: File | None = Rejects


class ImportFile(Command):
    """Import a file of companies into a portfolio."""

    type_ = "creditsafe.import_file"
    result = ImportFileResult

    file: Uri
    portfolio: Portfolio
    strict: bool = Strict

    def inputs(self) -> Iterator[tuple[str, str]]:
        """The file."""
        yield "file", self.file


class MatchingSummary(Model):
    """How the records fared; whatever else the vendor reports is kept beside these."""

    model_config = ConfigDict(extra="allow")

    total: int
    matched: int
    unmatched: int


class RunMatchingResult(Result):
    """The run and its summary."""

    portfolio_id: str
    execution_id: str
    summary: MatchingSummary


class RunMatching(Command):
    """Match a portfolio's records with Creditsafe's companies."""

    type_ = "creditsafe.run_matching"
    result = RunMatchingResult

    portfolio_id: VendorId
    match_against: str = Field(default="SAFE_NUMBER", min_length=1, max_length=64)


#: A record's fields, in the names that Creditsafe's files have in their header (assumed, as there).
RECORD_FIELDS = (
    *("companyId", "orgNumber", "name", "tradingName", "aliasName", "previousName", "phone", "email"),
    *("address1", "address2", "address3", "town", "postcode", "region", "country", "countryCode"),
    *("vatNumber", "taxCode", "personalID", "personalLimit", "safeNumber", "reference"),
)


class Record(Model):
    """A company or a person: at least one field. With a `reference` it is found again whatever gets lost."""

    model_config = ConfigDict(alias_generator=to_camel, json_schema_extra=any_of(*RECORD_FIELDS))

    company_id: Text | None = None
    org_number: Text | None = None
    name: Text | None = None
    trading_name: Text | None = None
    alias_name: Text | None = None
    previous_name: Text | None = None
    phone: Text | None = None
    email: Text | None = None
    address1: Text | None = None
    address2: Text | None = None
    address3: Text | None = None
    town: Text | None = None
    postcode: Text | None = None
    region: Text | None = None
    country: Text | None = None
    country_code: Text | None = None
    vat_number: Text | None = None
    tax_code: Text | None = None
    personal_id: Text | None = Field(default=None, alias="personalID")
    personal_limit: Text | None = None
    safe_number: Text | None = None
    reference: Text | None = Field(default=None, description="the sender's own key")

    @model_validator(mode="after")
    def _something(self) -> Record:
        if not dump(self):
            msg = "give at least one field"
            raise ValueError(msg)
        return self


class AddRecordsResult(Result):
    """How many records were added; their ids, in the order of the command."""

    portfolio_id: str
    records: int
    record_ids: list[str]


class AddRecords(Command):
    """Add the records of the message to a portfolio."""

    type_ = "creditsafe.add_records"
    result = AddRecordsResult

    portfolio_id: VendorId
    records: Annotated[list[Record], Field(min_length=1, max_length=3_000)]


class DeduplicateResult(Result):
    """The duplicates found, as Creditsafe's own file, and how many records were removed."""

    portfolio_id: str
    execution_id: str
    duplicates: File
    removed: int | None = Field(
        description="0 unless asked for; null where neither Creditsafe nor its counts tell"
    )
    partial: bool = Field(description="whether Creditsafe says that it could do only a part")


class Deduplicate(Command):
    """Find the records of a portfolio that are equal in all the fields, and remove them if asked to."""

    type_ = "creditsafe.deduplicate"
    result = DeduplicateResult

    portfolio_id: VendorId
    fields: FieldNames
    remove: bool = False


class EnrichResult(Result):
    """The enriched records, as Creditsafe's own file."""

    portfolio_id: str
    execution_id: str
    enriched: File
    partial: bool = Field(description="whether Creditsafe says that it could enrich only a part")


class Enrich(Command):
    """Add Creditsafe's data to the matched records of a portfolio. Creditsafe bills for it."""

    type_ = "creditsafe.enrich"
    result = EnrichResult

    portfolio_id: VendorId
    fields: FieldNames


class ExportRecordsResult(Result):
    """The records as a table."""

    portfolio_id: str
    records: File


class ExportRecords(Command):
    """Store all records of a portfolio as a table."""

    type_ = "creditsafe.export_records"
    result = ExportRecordsResult

    portfolio_id: VendorId
    format: TableFormat = "csv"


class DeleteRecordsResult(Result):
    """How many records this job has deleted."""

    portfolio_id: str
    deleted: int | None = Field(
        description="ids that were not there do not count; null where neither Creditsafe nor its counts tell"
    )


class DeleteRecords(Command):
    """Delete records of a portfolio by their ids."""

    type_ = "creditsafe.delete_records"
    result = DeleteRecordsResult

    portfolio_id: VendorId
    record_ids: Annotated[list[VendorId], Field(min_length=1)]


class DeletePortfolioResult(Result):
    """The portfolio, which is not there any more."""

    portfolio_id: str


class DeletePortfolio(Command):
    """Delete a portfolio with all its records."""

    type_ = "creditsafe.delete_portfolio"
    result = DeletePortfolioResult

    portfolio_id: VendorId


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
