"""Commands of Creditsafe DataStudio."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ConfigDict, Field, model_validator

from messages.base import Command, Model, Name, Result, Uri, VendorId, given, one_of


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


class ImportFile(Command):
    """Import a file of companies into a portfolio."""

    type_ = "creditsafe.import_file"
    result = ImportFileResult

    file: Uri
    portfolio: Portfolio

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


COMMANDS: tuple[type[Command], ...] = (ImportFile, RunMatching)
