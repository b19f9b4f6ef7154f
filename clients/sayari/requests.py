"""Requests to Sayari: exact, so that a mistake is found here and not by the vendor."""

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
#: state or register in 2 or 3 letters. What passes here is still Sayari's to judge.
_CODED_TYPE = re.compile(r"[a-z]{2,3}(_[a-z0-9]+)+")
#: Those that do not.
_OTHER_TYPES = frozenset(
    """
    afghan_tin_number alberta_corporation_number alei aruba_chamber_of_commerce_id bill_of_lading
    bitcoin_address cage china_vessel_inspection_registration china_vessel_registration dart_cik dash_address
    duns_number ethereum_address euid global_trade_internal_shipment_id hong_kong_case_number iban
    icij_offshore_internal_id icij_offshore_node_id internal_md5 iraqi_stock_exchange_symbol isin
    jordan_company_no lei litecoin_address lloyds_internal_entity_id lloyds_internal_vessel_id
    malta_accountancy_registration_id malta_company_number malta_national_id mato_grosso_legal_id
    montana_sos_internal_entity_id ninea_no ontario_corporation_number panadata_internal_id
    panadata_internal_sid quebec_enterprise_number rccm_no saskatchewan_registry_number
    sayari_internal_identifier siger_internal_id south_africa_enterprise_number south_africa_passport_number
    stock_ticker swift_bic_code syria_commercial_register_number tokyo_stock_exchange_no
    utah_corporate_registry_internal_entity_number validatis_number vat wipo_intl_ref_no wipo_intl_reg_no
    yugoslav_master_citizen_num zcash_address
    """.split()  # noqa: SIM905 - a list of so many words reads worse
)


def known_header(header: str) -> bool:
    """Return whether a CSV upload may have a column of this name: an attribute or an identifier type."""
    return header in ATTRIBUTES or header in _OTHER_TYPES or _CODED_TYPE.fullmatch(header) is not None


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

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
    """The page of one of an entity's lists; `limit` is 100 unless given."""

    next: str
    prev: str
    limit: int


class RelationshipArguments(PageArguments, total=False):
    """As `PageArguments`; `type` keeps one type of relationship, e.g. `director_of`."""

    type: str
