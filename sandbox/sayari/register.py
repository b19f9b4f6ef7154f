"""The register behind the graph: about a hundred well-known companies, their groups, records and sources.

Labels and groups are public knowledge; identifiers are plausible, not verified.
"""

from __future__ import annotations

import base64
import csv
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from sandbox.register import normalised

#: Both names of each relationship, from the owned to the owner and back.
RELATIONS = {
    "subsidiary": ("subsidiary_of", "has_subsidiary"),
    "shareholder": ("has_shareholder", "shareholder_of"),
    "beneficial_owner": ("has_beneficial_owner", "beneficial_owner_of"),
    "owner": ("has_owner", "owner_of"),
    "branch": ("branch_of", "has_branch"),
}
COUNTRIES = {
    "ALB": "Albania", "BEL": "Belgium", "CHE": "Switzerland", "CHN": "China", "DEU": "Germany", "FRA": "France",
    "GBR": "United Kingdom", "HKG": "Hong Kong", "IND": "India", "IRL": "Ireland", "JPN": "Japan",
    "LUX": "Luxembourg", "NLD": "Netherlands", "NOR": "Norway", "RUS": "Russia", "SWE": "Sweden",
    "USA": "United States",
}  # fmt: skip
REGIONS = {"USA": "USA & Canada", "CHN": "Asia Pacific", "HKG": "Asia Pacific", "IND": "Asia Pacific",
           "JPN": "Asia Pacific"}  # fmt: skip
PUBLISHED, ACQUIRED = "2022-01", "2022-02-14"


@dataclass(frozen=True)
class Source:
    """A source of records."""

    id: str
    label: str
    country: str


@dataclass(eq=False)
class Entity:
    """One entity: `links` are its relationships by the other's id, `same` the ids of its look-alikes."""

    id: str
    label: str
    type: str
    country: str
    names: list[str]
    address: str
    identifier: tuple[str, str]
    sanctioned: bool
    source: Source
    links: dict[str, dict[str, float | None]] = field(default_factory=lambda: defaultdict(dict))
    same: list[str] = field(default_factory=list)

    @property
    def record_id(self) -> str:
        """The record that is about this entity."""
        return f"{self.source.id}/{self.identifier[1]}"

    def values(self, attribute: str) -> list[str]:
        """Its values of a searchable attribute."""
        known = {"name": self.names, "identifier": [self.identifier[1]], "address": [self.address]}
        return known.get(attribute, [])


@dataclass
class Register:
    """All entities and sources, and the ways to find them."""

    entities: dict[str, Entity]
    sources: dict[str, Source]
    by_name: dict[str, list[Entity]]
    by_identifier: dict[str, list[Entity]]

    def record(self, record_id: str) -> Entity | None:
        """The entity that a record is about."""
        return next((entity for entity in self.entities.values() if entity.record_id == record_id), None)

    def resolve(self, attributes: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
        """The ids of entities that an upload's attributes match by name or identifier, and the values that did.

        A name matches whatever the legal form; a country that is known and another rules a match out.
        """
        hits: dict[str, dict[str, list[str]]] = {}
        for name in attributes.get("name", ()):
            for entity in self.by_name.get(normalised(name), ()):
                found = hits.setdefault(entity.id, {}).setdefault("name", [])
                found.append(" ".join(f"<em>{word}</em>" for word in entity.label.split()))
        for identifier in attributes.get("identifier", ()):
            for entity in self.by_identifier.get(identifier["value"], ()):
                if identifier.get("type") in {None, entity.identifier[0]}:
                    found = hits.setdefault(entity.id, {}).setdefault("identifier", [])
                    found.append(f"<em>{identifier['value']}</em>")
        known = {country for country in attributes.get("country", ()) if country in COUNTRIES}
        return {id: values for id, values in hits.items() if not known or self.entities[id].country in known}


@cache
def register() -> Register:
    """The register, read once from `register.csv`."""
    with (Path(__file__).parent / "register.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    sources = [Source("4ea8bac1bed868e1510ffd21842e9551", "Albania Trade Register Bulletins", "ALB"),
               Source("b9dc2ca839c318d04910a8a680131fdf", "Albania Trade Register Extracts", "ALB")]  # fmt: skip
    for country in sorted({row["country"] for row in rows}):
        label = "UK Corporate Registry" if country == "GBR" else f"{COUNTRIES[country]} Company Register"
        known = "ecdfb3f2ecc8c3797e77d5795a8066ef" if country == "GBR" else _hex(label)
        sources.append(Source(known, label, country))
    of_country = {source.country: source for source in sources}
    entities = {row["label"]: _entity(row, of_country[row["country"]]) for row in rows}
    by_name, by_identifier = defaultdict(list), defaultdict(list)
    for row in rows:
        entity = entities[row["label"]]
        by_identifier[entity.identifier[1]].append(entity)
        for name in {normalised(name) for name in entity.names}:
            by_name[name].append(entity)
        if row["parent"]:
            owner, (up, down) = entities[row["parent"]], RELATIONS[row["relation"]]
            share = float(row["percentage"]) if row["percentage"] else None
            entity.links[owner.id][up] = share
            owner.links[entity.id][down] = share
        if row["same_as"]:
            entity.same.append(entities[row["same_as"]].id)
            entities[row["same_as"]].same.append(entity.id)
    return Register(
        {entity.id: entity for entity in entities.values()},
        {source.id: source for source in sources},
        by_name,
        by_identifier,
    )


def _entity(row: dict[str, str], source: Source) -> Entity:
    digest = hashlib.sha256(f"{row['label']}|{row['country']}".encode()).digest()[:16]
    return Entity(
        id=base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        label=row["label"],
        type=row["type"],
        country=row["country"],
        names=[row["label"], *filter(None, row["aliases"].split(";"))],
        address=row["address"],
        identifier=(row["identifier_type"], row["identifier"]),
        sanctioned=row["sanctioned"] == "true",
        source=source,
    )


def _hex(label: str) -> str:
    return hashlib.sha256(label.encode()).hexdigest()[:32]
