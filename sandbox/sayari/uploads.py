"""Uploads for resolution: reading their three forms, and resolving them as time goes by."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from sandbox.core import TimedJob
from sandbox.sayari.paging import Refused
from sandbox.sayari.register import Register
from sandbox.sayari.shapes import label_of

ATTRIBUTES = ("name", "country", "address", "date_of_birth", "contact", "identifier")
#: The identifier types that a CSV may have as headers; Sayari knows several hundred, of this form.
IDENTIFIER_TYPE = re.compile(
    r"[a-z]{2,3}_[a-z0-9_]+|lei|vat|iban|isin|euid|duns_number|swift_bic_code|stock_ticker"
)

Attributes = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Item:
    """An uploaded entity and the entities that it matches."""

    id: str
    created: str
    attributes: Attributes
    hits: dict[str, dict[str, list[str]]]

    def json(self) -> dict[str, Any]:
        """It as Sayari shows it, resolved or not."""
        shown: dict[str, Any] = {"id": self.id, "count": len(self.hits), "attributes": self.attributes}
        if self.hits:
            shown["hits"] = {"values": self.hits, "version": 1}
        return shown | {"updated": self.created, "created": self.created}


@dataclass
class Upload:
    """A list of entities that is being resolved in its order."""

    job: TimedJob
    items: list[Item]

    def processed(self, now: float) -> list[Item]:
        """Those that are resolved by now, one way or the other."""
        if self.job.ended(now):
            return self.items
        return self.items[: int(len(self.items) * self.job.percent(now) / 100)]


def resolve(
    project: str, created: str, entities: Iterable[Attributes], seen: Counter[str], register: Register
) -> list[Item]:
    """Look each entity up. The same one again is another item: `seen` counts them within the project."""
    items = []
    for attributes in entities:
        canonical = json.dumps(attributes, sort_keys=True)
        seen[canonical] += 1
        digest = hashlib.sha256(f"{project}|{seen[canonical]}|{canonical}".encode()).hexdigest()
        items.append(Item(digest[:32], created, attributes, register.resolve(attributes)))
    return items


def from_json(body: bytes) -> list[Attributes]:
    """The entities of a JSON upload."""
    try:
        entities = json.loads(body)
    except ValueError:
        raise Refused(400, "the body is not JSON") from None
    if not isinstance(entities, list) or not entities:
        raise Refused(406, "the body must be a list of entities")
    return [_checked(place, entity) for place, entity in enumerate(entities)]


def _checked(place: int, entity: Any) -> Attributes:
    if not isinstance(entity, dict) or not entity:
        raise Refused(406, f"entity {place}: not an object with attributes")
    attributes: Attributes = {}
    for name, values in entity.items():
        if name not in ATTRIBUTES:
            raise Refused(406, f"entity {place}: unknown attribute {name}")
        if not isinstance(values, list) or not all(_fits(name, value) for value in values):
            raise Refused(406, f"entity {place}: {name} must be a list of values")
        attributes[name] = [_labelled(**value) for value in values] if name == "identifier" else values
    return attributes


def _fits(name: str, value: Any) -> bool:
    if name != "identifier":
        return isinstance(value, str)
    return isinstance(value, dict) and isinstance(value.get("value"), str) and set(value) <= {"type", "value"}


def _labelled(value: str, type: str | None = None) -> dict[str, str]:
    return {"type": type, "value": value, "label": label_of(type)} if type else {"value": value}


def from_csv(file: IO[bytes]) -> list[Attributes]:
    """The entities of a CSV upload; a header that is not exactly one of the known ones is refused."""
    try:
        return list(_rows(csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""), strict=True)))
    except UnicodeDecodeError:
        raise Refused(415, "the file is not CSV: spreadsheets are not supported") from None
    except csv.Error as error:
        raise Refused(406, f"the file is not CSV: {error}") from None


def _rows(lines: Iterator[list[str]]) -> Iterator[Attributes]:
    headers = next(lines, [])
    if not headers:
        raise Refused(406, "the file is empty")
    for header in headers:
        if header not in ATTRIBUTES and not IDENTIFIER_TYPE.fullmatch(header):
            raise Refused(406, f"unknown header {header!r}")
    for row in lines:
        if len(row) > len(headers):
            raise Refused(406, "a row has more cells than there are headers")
        if row:
            yield _attributes(headers, row)


def _attributes(headers: list[str], row: list[str]) -> Attributes:
    attributes: Attributes = {}
    for header, cell in zip(headers, row, strict=False):
        if cell and header in ATTRIBUTES and header != "identifier":
            attributes.setdefault(header, []).append(cell)
        elif cell:
            type = None if header == "identifier" else header
            attributes.setdefault("identifier", []).append(_labelled(cell, type))
    return attributes
