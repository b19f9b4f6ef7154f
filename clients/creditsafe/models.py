"""Requests to Creditsafe: exact, with only the declared fields; wrong values are refused before anything is sent."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

#: Records in one create or delete request. Create: documented. Delete: unpublished, assumed the same.
RECORDS_LIMIT = 300

#: What to match against, as advised: Creditsafe's own number of a company.
SAFE_NUMBER = "SAFE_NUMBER"

PortfolioName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
RecordId = Annotated[str, StringConstraints(min_length=1)]
FieldName = Annotated[str, StringConstraints(min_length=1)]


class Body(BaseModel):
    """A request's JSON body. Validation errors do not repeat the values: they may be personal data."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    def json_body(self) -> dict[str, object]:
        """The body as JSON values, options that were not given left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class NewPortfolio(Body):
    """A portfolio to create. Assumed: a name is all that is needed, as in Creditsafe Connect."""

    name: PortfolioName
    description: str | None = None


class PortfolioChanges(Body):
    """The changes of a portfolio; a field that is left out stays as it is (assumed, as the verb is PATCH)."""

    name: PortfolioName | None = None
    description: str | None = None


class NewRecord(Body):
    """A company or a person.

    The field names are those of Creditsafe's batch upload, the nearest published relative of DataStudio,
    with `safeNumber` and `reference` (the customer's own key). DataStudio's own list is not public.
    """

    company_id: str | None = None
    org_number: str | None = None
    name: str | None = None
    trading_name: str | None = None
    alias_name: str | None = None
    previous_name: str | None = None
    phone: str | None = None
    email: str | None = None
    address1: str | None = None
    address2: str | None = None
    address3: str | None = None
    town: str | None = None
    postcode: str | None = None
    region: str | None = None
    country: str | None = None
    country_code: str | None = None
    vat_number: str | None = None
    tax_code: str | None = None
    personal_id: str | None = Field(default=None, alias="personalID")
    personal_limit: str | None = None
    safe_number: str | None = None
    reference: str | None = None


#: The header vocabulary of import files, case-sensitive: the fields of a record.
RECORD_FIELDS: tuple[str, ...] = tuple(field.alias or name for name, field in NewRecord.model_fields.items())


class NewRecords(Body):
    """Records to create, at most `RECORDS_LIMIT` of them. Assumed: wrapped in `records`."""

    records: Annotated[list[NewRecord], Field(min_length=1, max_length=RECORDS_LIMIT)]


class RecordIds(Body):
    """Records to delete, at most `RECORDS_LIMIT` of them. Assumed: wrapped in `recordIds`."""

    record_ids: Annotated[list[RecordId], Field(min_length=1, max_length=RECORDS_LIMIT)]


class MatchingRequest(Body):
    """What to match against. Creditsafe advises the Safe Number; the shape of the body is assumed."""

    match_against: Annotated[str, StringConstraints(min_length=1)]


class DuplicateCriteria(Body):
    """Records are duplicates when all these fields are equal. The shape of the body is assumed."""

    fields: Annotated[list[FieldName], Field(min_length=1)]


class EnrichmentRequest(Body):
    """The fields to enrich.

    Type and fields are documented, where the type goes is not: assumed in the body, beside the fields.
    """

    type: Literal["GLOBAL_DATA_ENRICHMENT"] = "GLOBAL_DATA_ENRICHMENT"
    fields: Annotated[list[FieldName], Field(min_length=1)]
