"""Creditsafe's answers, read tolerantly, since hardly any is documented.

Undeclared fields are kept (`model_extra`), numbers are accepted as ids, absent counts are None.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel

from clients.creditsafe.status import State, state_of

T = TypeVar("T")


class Reply(BaseModel):
    """An answer's JSON body."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )


class AccessToken(Reply):
    """A bearer token, valid for one hour; the answer does not say so, Creditsafe's guide does."""

    token: SecretStr = Field(min_length=1)


class Portfolio(Reply):
    """A container of records. Its shape is assumed."""

    portfolio_id: str = Field(validation_alias=AliasChoices("portfolioId", "id"))
    name: str | None = None
    description: str | None = None
    record_count: int | None = None
    created_at: str | None = None
    modified_at: str | None = None


class Record(Reply):
    """A record: its uploaded fields are kept beside what Creditsafe added. The shape is assumed."""

    record_id: str = Field(validation_alias=AliasChoices("recordId", "id"))
    safe_number: str | None = None
    match_status: str | None = None
    enrichment: dict[str, Any] | None = None

    def __repr__(self) -> str:
        """Without the contents: they may be personal data."""
        return f"Record(record_id={self.record_id!r})"

    __str__ = __repr__


class Paging(Reply):
    """Page numbers of the neighbours; None where there is none."""

    size: int | None = None
    prev: int | None = None
    next: int | None = None
    last: int | None = None


class Page(Reply, Generic[T]):
    """One page of a listing, in the shape of Creditsafe Connect (assumed for DataStudio)."""

    data: list[T]
    total_count: int | None = None
    paging: Paging | None = None


class CreatedRecords(Reply):
    """The records that a create request made, in its order."""

    records: list[Record] = Field(default_factory=list)
    count: int | None = None


class DeletedRecords(Reply):
    """The number of records that a delete request removed; None if Creditsafe did not say."""

    deleted: int | None = None


class Import(Reply):
    """The answer to an import: asynchronous if, and only if, it names an execution (assumed)."""

    execution_id: str | None = None
    status: str | None = None


class Started(Reply):
    """A service run that was started. `executionId` is documented; that it is all that is needed is assumed."""

    execution_id: str = Field(validation_alias=AliasChoices("executionId", "id"))
    status: str | None = None


class Removal(Reply):
    """The answer to the removal of duplicates: a count, or a run to ask for (either is assumed possible)."""

    execution_id: str | None = None
    removed: int | None = None


class Execution(Reply):
    """A service run."""

    execution_id: str | None = Field(default=None, validation_alias=AliasChoices("executionId", "id"))
    status: str | None = None

    @property
    def state(self) -> State:
        """The status of the run."""
        return state_of(self.status)


class MatchingExecution(Execution):
    """A matching run; `summary` holds `totalRows`, `matched`, `unmatched` and more (assumed)."""

    summary: dict[str, Any] | None = None


class FileExecution(Execution):
    """A run that ends with a file.

    `link` is where to fetch it: short-lived, on a storage host, the first found of the names that
    DataStudio's relatives use. Ask for the run again to get a fresh one.
    """

    link: str | None = Field(
        default=None, validation_alias=AliasChoices("downloadUrl", "fileUrl", "filePath", "url", "link")
    )
    removed: int | None = None

    @property
    def state(self) -> State:
        """The status of the run; one without a status but with a file is done."""
        return State.DONE if self.status is None and self.link else state_of(self.status)
