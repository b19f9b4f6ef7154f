"""The columns of a table: which is which field of Creditsafe's records, and which attributes Sayari gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clients.creditsafe import RECORD_FIELDS
from clients.sayari import known_header
from clients.sayari.requests import ATTRIBUTES
from messages.errors import Code
from workers.errors import JobFailed
from workers.files.storage import file_name
from workers.jobs.countries import alpha_3

REFERENCE = "reference"

#: The fields that a column may be by its own name, whatever the case. Identifier types of Sayari's are none of
#: them: too many headers look like one.
_BY_NAME = {field.casefold(): field for field in (*RECORD_FIELDS, *ATTRIBUTES)}
#: What Sayari is told, attribute by attribute: each field is a value, fields in parentheses are one together.
#: Assumed: Sayari finds more by all names and numbers than by the first. Personal numbers stay here.
_TOLD: tuple[tuple[str, tuple[str, ...]], ...] = (
    *(("name", (field,)) for field in ("name", "tradingName", "aliasName", "previousName")),
    ("country", ("countryCode", "country")),
    ("address", ("address",)),
    ("address", ("address1", "address2", "address3", "town", "region", "postcode")),
    ("date_of_birth", ("date_of_birth",)),
    *(("contact", (field,)) for field in ("contact", "phone", "email")),
    *(("identifier", (field,)) for field in ("identifier", "orgNumber", "vatNumber", "taxCode")),
)


class Columns:
    """The columns of one table, by field.

    Attributes:
        record_header: the fields that Creditsafe is sent, `reference` among them.
        entity_header: the attributes that Sayari is sent, one as often as it has values.
        reference: the place of the reference; None if there is none.
    """

    def __init__(self, fields: Mapping[str, int]) -> None:
        self._fields = dict(fields)
        self.reference = self._fields.get(REFERENCE)
        self.record_header = [field for field in RECORD_FIELDS if field in self._fields]
        types = [field for field in self._fields if field not in {*RECORD_FIELDS, *ATTRIBUTES}]
        attributes = [*_TOLD, *((type_, (type_,)) for type_ in types)]
        self._told = [
            (attribute, [self._fields[field] for field in fields if field in self._fields])
            for attribute, fields in attributes
            if any(field in self._fields for field in fields)
        ]
        self.entity_header = [attribute for attribute, _ in self._told]

    @classmethod
    def of(
        cls, header: Sequence[str], uri: str, given: Mapping[str, str], known: Mapping[str, str] | None = None
    ) -> Columns:
        """The columns of a table with this header.

        Args:
            header: of the table.
            uri: of the table; its last part is named in errors.
            given: fields by header, as the command has them.
            known: fields by header, as this job knows them: used where the command says nothing.

        Raises:
            JobFailed: `input_invalid` for a header or a field that there is not, or a field that is two columns.
        """
        if missing := [title for title in given if title not in header]:
            raise _invalid(uri, f"there is no column {missing[0]!r}, which `columns` names")
        if unknown := [field for field in given.values() if not _is_field(field)]:
            raise _invalid(
                uri, f"`columns` names the field {unknown[0]!r}, which is neither Creditsafe's nor Sayari's"
            )
        fields: dict[str, int] = {}
        taken: set[int] = set()
        names = {title: field for title in header if (field := _BY_NAME.get(title.strip().casefold()))}
        for by_header in (given, known or {}, names):
            found: dict[str, int] = {}
            for place, title in enumerate(header):
                field = by_header.get(title)
                if field is None or field in fields or place in taken:
                    continue
                if field in found:
                    raise _invalid(
                        uri,
                        f"columns {found[field] + 1} and {place + 1} are both {field!r}; say which in `columns`",
                    )
                found[field] = place
            fields |= found
            taken |= set(found.values())
        return cls(fields)

    def by_header(self, header: Sequence[str]) -> dict[str, str]:
        """The field of each column of another table with the same columns under other headers."""
        return {header[place]: field for field, place in self._fields.items()}

    def record(self, cells: Sequence[str]) -> list[str]:
        """A row's cells under `record_header`."""
        return [cells[self._fields[field]] for field in self.record_header]

    def entity(self, cells: Sequence[str]) -> list[str]:
        """A row's values under `entity_header`; a value that there is not is empty."""
        return [self._value(attribute, cells, places) for attribute, places in self._told]

    def _value(self, attribute: str, cells: Sequence[str], places: Sequence[int]) -> str:
        values = [value for place in places if (value := cells[place].strip())]
        if attribute == "country":
            return alpha_3(values[0]) if values else ""
        return ", ".join(values)


def key_of(pairs: Sequence[tuple[str, str]]) -> str | None:
    """Return the key of an entity by the attributes that Sayari got; None if there are none.

    Assumed: Sayari shows an uploaded entity's attributes as they were sent, except white space. It accepts no reference
    from the uploader, and a lookup among identifiers would find other entities.
    """
    values = sorted((attribute, " ".join(value.split())) for attribute, value in pairs if value)
    return "\n".join(f"{attribute}\t{value}" for attribute, value in values) or None


def shown_key(attributes: Mapping[str, Any]) -> str | None:
    """The same of an entity as Sayari shows it: lists of values, identifiers with their types."""
    pairs: list[tuple[str, str]] = []
    for attribute, values in attributes.items():
        for value in values or ():
            if isinstance(value, dict):
                pairs.append((value.get("type") or attribute, str(value.get("value"))))
            else:
                pairs.append((attribute, str(value)))
    return key_of(pairs)


def _is_field(field: str) -> bool:
    return field in RECORD_FIELDS or known_header(field)


def _invalid(uri: str, what: str) -> JobFailed:
    return JobFailed(Code.INPUT_INVALID, f"{file_name(uri)}, line 1: {what}")
