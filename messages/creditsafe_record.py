"""A record of a Creditsafe portfolio."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.alias_generators import to_camel

from messages.base import Model, any_of, dump

Text = Annotated[str, StringConstraints(max_length=2_000)]
#: The fields of a record, as named in the header of Creditsafe's files. Assumed: requests use the same names.
RECORD_FIELDS = (
    *("companyId", "orgNumber", "name", "tradingName", "aliasName", "previousName", "phone", "email"),
    *("address1", "address2", "address3", "town", "postcode", "region", "country", "countryCode"),
    *("vatNumber", "taxCode", "personalID", "personalLimit", "safeNumber", "reference"),
)


class Record(Model):
    """A company or a person: at least one field. With a `reference` it is found again whatever gets lost."""

    model_config = ConfigDict(alias_generator=to_camel, json_schema_extra=any_of(*RECORD_FIELDS))

    company_id: Text | None = None
    """Creditsafe's id of the company."""
    org_number: Text | None = None
    """The registration number of the organisation."""
    name: Text | None = None
    """The name of the company or person."""
    trading_name: Text | None = None
    """The name that the company trades under."""
    alias_name: Text | None = None
    """Another name of the company."""
    previous_name: Text | None = None
    """A former name of the company."""
    phone: Text | None = None
    """The telephone number."""
    email: Text | None = None
    """The e-mail address."""
    address1: Text | None = None
    """The first line of the address."""
    address2: Text | None = None
    """The second line of the address."""
    address3: Text | None = None
    """The third line of the address."""
    town: Text | None = None
    """The town."""
    postcode: Text | None = None
    """The postcode."""
    region: Text | None = None
    """The region, state or county."""
    country: Text | None = None
    """The name of the country."""
    country_code: Text | None = None
    """The code of the country, such as `GB`."""
    vat_number: Text | None = None
    """The VAT number."""
    tax_code: Text | None = None
    """The tax code."""
    personal_id: Text | None = Field(default=None, alias="personalID")
    """The personal identity number of a person."""
    personal_limit: Text | None = None
    """Creditsafe's `personalLimit`, passed on as it is."""
    safe_number: Text | None = None
    """Creditsafe's safe number of the company."""
    reference: Text | None = Field(default=None, description="the sender's own key")
    """Your own key for the record. With it the worker can find the record again when an answer is lost."""

    @model_validator(mode="after")
    def _has_a_field(self) -> Record:
        if not dump(self):
            msg = "give at least one field"
            raise ValueError(msg)
        return self
