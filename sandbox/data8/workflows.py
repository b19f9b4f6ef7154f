"""The workflows that this simulator runs. At the vendor they are built for each customer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sandbox.data8.datasets import Dataset, Row

Columns = dict[str, int]
Inputs = Mapping[str, Dataset]
TEXT, WHOLE_NUMBER = 0, 1

#: ISO 3166 alpha-2: alpha-3, English name and other spellings.
COUNTRIES = {
    "AT": ("AUT", "Austria"), "AU": ("AUS", "Australia"), "BE": ("BEL", "Belgium"), "BR": ("BRA", "Brazil"),
    "CA": ("CAN", "Canada"), "CH": ("CHE", "Switzerland"), "CN": ("CHN", "China"), "CY": ("CYP", "Cyprus"),
    "CZ": ("CZE", "Czechia", "Czech Republic"), "DE": ("DEU", "Germany", "Deutschland"), "DK": ("DNK", "Denmark"),
    "EE": ("EST", "Estonia"), "ES": ("ESP", "Spain"), "FI": ("FIN", "Finland"), "FR": ("FRA", "France"),
    "GB": ("GBR", "United Kingdom", "UK", "Great Britain", "England", "Scotland", "Wales", "Northern Ireland"),
    "GR": ("GRC", "Greece"), "HK": ("HKG", "Hong Kong"), "HU": ("HUN", "Hungary"), "IE": ("IRL", "Ireland"),
    "IN": ("IND", "India"), "IT": ("ITA", "Italy"), "JP": ("JPN", "Japan"), "LT": ("LTU", "Lithuania"),
    "LU": ("LUX", "Luxembourg"), "LV": ("LVA", "Latvia"), "MT": ("MLT", "Malta"), "MX": ("MEX", "Mexico"),
    "NL": ("NLD", "Netherlands", "The Netherlands", "Holland"), "NO": ("NOR", "Norway"), "NZ": ("NZL", "New Zealand"),
    "PL": ("POL", "Poland"), "PT": ("PRT", "Portugal"), "RO": ("ROU", "Romania"), "SE": ("SWE", "Sweden"),
    "SG": ("SGP", "Singapore"), "SK": ("SVK", "Slovakia"), "TR": ("TUR", "Turkey", "Türkiye"),
    "US": ("USA", "United States", "United States of America"), "ZA": ("ZAF", "South Africa"),
}  # fmt: skip
_SPELLINGS = {word.casefold(): code for code, words in COUNTRIES.items() for word in (code, *words)}
_PLACEHOLDERS = {"n/a", "na", "none", "null", "unknown", "tbc", "tbd", "test", "xxx", "-", "?"}
_UK_POSTCODE = re.compile(r"([A-Z]{1,2}[0-9][A-Z0-9]?) ?([0-9][A-Z]{2})")


@dataclass(frozen=True)
class Workflow:
    """What a job of this name takes and gives.

    Attributes:
        slots: the input slots it needs; None: of any name.
        parameters: the parameters it knows; all are optional.
        columns: the columns of each output slot.
        run: the rows of each output slot.
        several: whether it takes more than one slot where they may have any name.
        fails: whether its jobs end as failed.
        ends: whether they end at all.
    """

    slots: frozenset[str] | None
    parameters: frozenset[str]
    columns: Callable[[Inputs], dict[str, Columns]]
    run: Callable[[Inputs, Mapping[str, str]], dict[str, list[Row]]]
    several: bool = False
    fails: bool = False
    ends: bool = True


def cleanse_columns(inputs: Inputs) -> dict[str, Columns]:
    """Every input column verbatim, `cleansed_<column>` for those of text, and `flags`."""
    (dataset,) = inputs.values()
    columns = dict(dataset.columns)
    for column, kind in dataset.columns.items():
        if kind == TEXT:
            columns[_free(f"cleansed_{column}", columns)] = TEXT
    columns[_free("flags", columns)] = TEXT
    return {"Cleansed": columns}


def cleanse(inputs: Inputs, _: Mapping[str, str]) -> dict[str, list[Row]]:
    """Trim, collapse spaces, normalise countries and postcodes; name suspicious cells in `flags`."""
    (dataset,) = inputs.values()
    kinds = list(dataset.columns.items())
    output = []
    for row in dataset.rows():
        cleansed: Row = []
        flags: list[str] = []
        for (column, kind), value in zip(kinds, row, strict=True):
            if kind == TEXT:
                cell, flag = cleanse_cell(column, value or "")
                cleansed.append(cell)
                flags += [f"{column}:{flag}"] if flag else []
        output.append([*row, *cleansed, ";".join(flags)])
    return {"Cleansed": output}


def cleanse_cell(column: str, value: str) -> tuple[str, str | None]:
    """The cell made tidy, and what is suspicious about it, if anything."""
    tidy = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    flag = None
    if "\ufffd" in tidy or "Ã" in tidy:
        flag = "mojibake"
    elif re.match("[=@]|[+][^0-9]", tidy):
        flag = "formula"
    elif tidy.casefold() in _PLACEHOLDERS:
        flag = "placeholder"
    if "country" in column and tidy:
        code = _SPELLINGS.get(tidy.casefold())
        if code is None:
            return tidy, flag or "unknown_country"
        return code if column.endswith(("code", "iso", "iso2")) else COUNTRIES[code][1], flag
    if any(word in column for word in ("postcode", "post_code", "postal", "zip")):
        upper = tidy.upper()
        match = _UK_POSTCODE.fullmatch(upper)
        return (f"{match[1]} {match[2]}" if match else upper), flag
    if column in {"name", "company", "company_name", "business_name"} and not tidy:
        flag = "empty"
    return tidy, flag


def deceased_columns(inputs: Inputs) -> dict[str, Columns]:
    """Every contact's columns verbatim, `accounts` and `deceased`."""
    columns = dict(inputs["Contacts"].columns)
    for column in ("accounts", "deceased"):
        columns[_free(column, columns)] = WHOLE_NUMBER
    return {"Contacts": columns}


def check_deceased(inputs: Inputs, parameters: Mapping[str, str]) -> dict[str, list[Row]]:
    """Mark contacts as deceased, and count the accounts that share a contact's first column.

    One in ten contacts is, by a checksum of the record, so that a test can tell which; with a
    `MaxContactAge` of 0 no contact is checked.
    """
    accounts: dict[str, int] = {}
    for row in inputs["Accounts"].rows():
        accounts[str(row[0])] = accounts.get(str(row[0]), 0) + 1
    checked = parameters.get("MaxContactAge", "5") != "0"
    return {
        "Contacts": [
            [*row, accounts.get(str(row[0]), 0), int(checked and hashlib.sha256(repr(row).encode()).digest()[0] % 10 == 0)]
            for row in inputs["Contacts"].rows()
        ]
    }  # fmt: skip


def echo_columns(inputs: Inputs) -> dict[str, Columns]:
    """Each slot's own columns."""
    return {slot: dict(dataset.columns) for slot, dataset in inputs.items()}


def echo(inputs: Inputs, _: Mapping[str, str]) -> dict[str, list[Row]]:
    """Each slot's own rows."""
    return {slot: list(dataset.rows()) for slot, dataset in inputs.items()}


WORKFLOWS = {
    "CompanyCleanse": Workflow(None, frozenset(), cleanse_columns, cleanse),
    "ContactDeceasedCheck": Workflow(
        frozenset({"Contacts", "Accounts"}), frozenset({"MaxContactAge"}), deceased_columns, check_deceased
    ),
    "Echo": Workflow(None, frozenset(), echo_columns, echo, several=True),
    "AlwaysFails": Workflow(None, frozenset(), echo_columns, echo, several=True, fails=True),
    "NeverEnds": Workflow(None, frozenset(), echo_columns, echo, several=True, ends=False),
}


def _free(column: str, taken: Iterable[str]) -> str:
    number = 2
    name = column
    while name in taken:
        name, number = f"{column}_{number}", number + 1
    return name
