"""Search: a small part of the query syntax, enough for words, OR and `field.value:word`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.sayari.paging import Refused
from sandbox.sayari.register import COUNTRIES, REGIONS, Entity

FIELDS = ("name", "identifier", "address", "business_purpose", "date_of_birth", "contact")
FILTERS: dict[str, Callable[[Entity], str]] = {
    "source": lambda entity: entity.source.id,
    "country": lambda entity: entity.country,
    "entity_type": lambda entity: entity.type,
}
FACETS: dict[str, Callable[[Entity], str]] = FILTERS | {
    "source_type": lambda _: "Company data",
    "region": lambda entity: REGIONS.get(entity.country, "Europe"),
}


@dataclass(frozen=True)
class Query:
    """A search as asked for, in either form of request."""

    q: str
    fields: Sequence[str]
    filters: dict[str, list[str]]
    facets: bool
    advanced: bool

    @classmethod
    def of(cls, given: dict[str, Any]) -> Query:
        """The query in `given`; refused if it lacks `q` or names a field or filter that there is not."""
        q, fields, filters = given.get("q"), given.get("fields") or [], given.get("filters") or {}
        if not isinstance(q, str) or not q.strip():
            raise Refused(406, "q is required")
        fields = [fields] if isinstance(fields, str) else list(fields)
        if unknown := [field for field in fields if field not in FIELDS]:
            raise Refused(406, f"unknown fields: {', '.join(map(str, unknown))}")
        if not isinstance(filters, dict) or (unknown := [key for key in filters if key not in FILTERS]):
            raise Refused(406, f"unknown filters: {', '.join(map(str, unknown)) or 'not an object'}")
        chosen = {key: [each] if isinstance(each, str) else list(each) for key, each in filters.items()}
        return cls(q, fields or FIELDS, chosen, given.get("facets") is True, given.get("advanced") is True)

    def matches(self, entity: Entity) -> dict[str, list[str]] | None:
        """The values that match, with `<em>` around the words; None if the entity does not."""
        if any(FILTERS[key](entity) not in allowed for key, allowed in self.filters.items()):
            return None
        found: dict[str, list[str]] = {}
        results = []
        for fields, word in self._terms():
            hit = False
            for field in fields:
                for value in entity.values(field):
                    marked, times = re.subn(f"(?i)({re.escape(word)})", r"<em>\1</em>", value)
                    if times:
                        hit = True
                        found.setdefault(field, []).append(marked)
            results.append(hit)
        either = re.search(r"\bOR\b", self.q) is not None
        return found if results and (any(results) if either else all(results)) else None

    def _terms(self) -> list[tuple[Sequence[str], str]]:
        """Each word with the fields to look for it in."""
        terms: list[tuple[Sequence[str], str]] = []
        for word in re.sub(r"[()\"+]|~\d*", " ", self.q).split():
            field, colon, value = word.partition(":")
            name, _, part = field.partition(".")
            if word in {"AND", "OR"} or (self.advanced and part == "type"):
                continue
            if self.advanced and colon and name in FIELDS:
                terms.append(([name], value))
            else:
                terms.append((self.fields, word.strip("*")))
        return terms


def facets(entities: Sequence[Entity]) -> dict[str, list[dict[str, Any]]]:
    """Return how many results have each value of the filtering fields."""
    answer: dict[str, list[dict[str, Any]]] = {}
    for name, value_of in FACETS.items():
        counts = Counter(map(value_of, entities)).most_common()
        answer[name] = [{"key": key, "doc_count": count} for key, count in counts]
    answer["country"] = [each | {"label": COUNTRIES[each["key"]]} for each in answer["country"]]
    return answer
