"""What is sent: exact, so that a slip is found here and not by the vendor."""

from __future__ import annotations

import re
from typing import Annotated, TypedDict

from pydantic import BaseModel, ConfigDict, Field, model_validator

JSON = "application/json"
CSV = "text/csv"
PDF = "application/pdf"
#: Sayari's name for an XLSX workbook.
EXCEL = "application/vnd.ms-excel"

#: The columns that are no identifier types.
ATTRIBUTES = ("name", "country", "address", "date_of_birth", "contact", "identifier")

#: Sayari's identifier types number in the hundreds and grow: nearly all begin with the code of a country,
#: state or register in 2 or 3 letters, a few are other words. What passes here is still Sayari's to judge.
_IDENTIFIER_TYPE = re.compile(
    r"""[a-z]{2,3}_[a-z0-9]+(_[a-z0-9]+)*
    | lei | vat | iban | isin | euid | alei | cage | duns_number | swift_bic_code | stock_ticker
    | malta_[a-z_]+ | south_africa_[a-z_]+ | jordan_company_no | aruba_chamber_of_commerce_id
    | hong_kong_case_number | quebec_enterprise_number | ontario_corporation_number
    | alberta_corporation_number | saskatchewan_registry_number | tokyo_stock_exchange_no
    | afghan_tin_number | lloyds_internal_(vessel|entity)_id | rccm_no | ninea_no | bill_of_lading
    | panadata_internal_s?id | icij_offshore_(internal|node)_id | validatis_number | sayari_internal_identifier
    """,
    re.VERBOSE,
)


def known_header(header: str) -> bool:
    """Whether a CSV upload may have a column of this name: an attribute or an identifier type."""
    return header in ATTRIBUTES or _IDENTIFIER_TYPE.fullmatch(header) is not None


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        """Nothing: contents are no matter for logs."""
        return []


class UploadIdentifier(_Request):
    """An identifier to resolve by, with its type where that is known."""

    value: str
    type: str | None = None


Texts = Annotated[list[str], Field(min_length=1)]


class UploadEntity(_Request):
    """An entity to resolve, with at least one attribute."""

    name: Texts | None = None
    country: Texts | None = None
    address: Texts | None = None
    date_of_birth: Texts | None = None
    contact: Texts | None = None
    identifier: Annotated[list[UploadIdentifier], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _something(self) -> UploadEntity:
        if not self.model_dump(exclude_none=True):
            msg = "give at least one attribute"
            raise ValueError(msg)
        return self


class PageArguments(TypedDict, total=False):
    """Which page of one of an entity's lists; `limit` is 100 unless given."""

    next: str
    prev: str
    limit: int


class RelationshipArguments(PageArguments, total=False):
    """As `PageArguments`; `type` keeps one type of relationship, e.g. `director_of`."""

    type: str
