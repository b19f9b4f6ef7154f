"""The JSON of the graph: the documented fields, and beside them those that later versions of the API have.

The official Python package refuses answers without the later fields; readers of the reference ignore them.
"""

from __future__ import annotations

from typing import Any

from sandbox.sayari.register import ACQUIRED, PUBLISHED, Entity, Register, Source

Json = dict[str, Any]


def label_of(type: str) -> str:
    """`uk_company_number` → `Uk Company Number`."""
    return type.replace("_", " ").title()


def source_json(source: Source) -> Json:
    """A source."""
    later = {
        "description": source.label, "region": "", "date_added": PUBLISHED, "source_type": "Company data",
        "record_type": "company", "structure": "structured", "pep": False, "watchlist": False,
    }  # fmt: skip
    return {"id": source.id, "label": source.label, "country": source.country, **later}


def counted(entity: Entity) -> dict[str, int]:
    """Return how many relationships of each type the entity has."""
    counts: dict[str, int] = {}
    for types in entity.links.values():
        for type in types:
            counts[type] = counts.get(type, 0) + 1
    return dict(sorted(counts.items()))


def embedded(entity: Entity) -> Json:
    """An entity as lists and paths hold it."""
    type, value = entity.identifier
    later = {
        "attribute_count": {}, "user_attribute_count": {}, "user_relationship_count": {}, "trade_count": {},
        "related_entities_count": len(entity.links), "user_related_entities_count": 0,
        "user_record_count": 0, "risk": {},
    }  # fmt: skip
    return {
        "id": entity.id,
        "label": entity.label,
        "type": entity.type,
        "entity_url": f"/v1/entity/{entity.id}",
        "identifiers": [{"type": type, "value": value, "label": label_of(type)}],
        "countries": [entity.country],
        "closed": False,
        "pep": False,
        "sanctioned": entity.sanctioned,
        "psa_count": len(entity.same),
        "source_count": {entity.source.id: {"count": 1, "label": entity.source.label}},
        "degree": len(entity.links),
        "addresses": [entity.address],
        "relationship_count": counted(entity),
        **later,
    }


def embedded_record(entity: Entity) -> Json:
    """The record about an entity, as lists hold it."""
    return {
        "id": entity.record_id,
        "label": f"{entity.label} - {PUBLISHED}",
        "source": entity.source.id,
        "publication_date": PUBLISHED,
        "acquisition_date": ACQUIRED,
        "references_count": 1 + len(entity.links),
        "record_url": f"/record/{entity.record_id}",
        "source_url": f"/source/{entity.source.id}",
    }


def relationship(entity: Entity, share: float | None) -> Json:
    """One relationship, told by the record about `entity`."""
    attributes = {} if share is None else {"shares": [{"percentage": share}]}
    return {
        "record": entity.record_id,
        "attributes": attributes,
        "from_date": "2019",
        "acquisition_date": ACQUIRED,
    }


def segment(near: Entity, type: str, far: Entity, *, compatible: bool) -> Json:
    """One step of a path. `compatible`: with relationships as later versions of the API nest them."""
    relationships = [relationship(near, near.links[far.id][type])] if far.id in near.links else []
    return {
        "field": type,
        "relationships": {type: {"values": relationships} if compatible else relationships},
        "entity": embedded(far),
    }


def attributes_of(entity: Entity) -> dict[str, list[Json]]:
    """All values of an entity by attribute."""
    type, value = entity.identifier
    properties: dict[str, list[Json]] = {
        "name": [{"value": name} for name in entity.names],
        "address": [{"value": entity.address}],
        "identifier": [{"type": type, "value": value}],
        "country": [{"value": entity.country}],
        "status": [{"value": "active"}],
    }
    return {
        name: [{"properties": each, "record": [entity.record_id], "record_count": 1} for each in values]
        for name, values in properties.items()
    }


def lists_of(register: Register, entity: Entity) -> dict[str, list[Json]]:
    """An entity's other lists."""
    linked = [(register.entities[id], types) for id, types in entity.links.items()]
    alike = [register.entities[id] for id in entity.same]
    return {
        "relationships": [
            {
                "target": embedded(other),
                "types": {type: [relationship(entity, share)] for type, share in types.items()},
                "dates": [],
            }
            for other, types in linked
        ],
        "possibly_same_as": [
            {
                "entity": embedded(other),
                "matches": {"name": [{"target": other.label, "source": entity.label}]},
            }
            for other in alike
        ],
        "referenced_by": [
            {"record": embedded_record(entity), "type": "about"},
            *({"record": embedded_record(other), "type": "mentions"} for other, _ in linked),
        ],
    }
