"""Paths through the register, breadth first."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sandbox.sayari.register import Entity, Register

ALIKE = "possibly_same_as"
#: A step: the entity it starts from, the type of relationship, the entity it reaches.
Step = tuple[Entity, str, Entity]


@dataclass(frozen=True)
class Filter:
    """The entities at which paths may end; empty collections and texts filter nothing."""

    countries: Collection[str] = ()
    types: Collection[str] = ()
    name: str = ""
    watchlist: bool = False

    def allows(self, entity: Entity) -> bool:
        """Return whether a path may end there."""
        return (
            (not self.countries or entity.country in self.countries)
            and (not self.types or entity.type in self.types)
            and self.name.casefold() in entity.label.casefold()
            and (not self.watchlist or entity.sanctioned)
        )


class Explorer:
    """One traversal from `start`; `explored` counts the entities seen."""

    def __init__(
        self, register: Register, start: Entity, relationships: Collection[str], *, psa: bool
    ) -> None:
        self._register = register
        self._start = start
        self._relationships = relationships
        self._psa = psa
        self.explored = 0

    def paths(self, min_depth: int, max_depth: int) -> Iterator[list[Step]]:
        """The shortest path to every entity within reach, the nearest first."""
        seen = {self._start.id}
        waiting: deque[list[Step]] = deque([[]])
        while waiting:
            path = waiting.popleft()
            self.explored += 1
            if path and len(path) >= min_depth:
                yield path
            if len(path) == max_depth:
                continue
            near = path[-1][2] if path else self._start
            for type, far in self._steps(near):
                if far.id not in seen:
                    seen.add(far.id)
                    waiting.append([*path, (near, type, far)])

    def _steps(self, near: Entity) -> Iterator[tuple[str, Entity]]:
        for id, types in near.links.items():
            for type in types:
                if not self._relationships or type in self._relationships:
                    yield type, self._register.entities[id]
        if self._psa:
            for id in near.same:
                yield ALIKE, self._register.entities[id]
