"""Whether a change of the contract is additive: told from the exported schemas before and after it.

The rules, by who sends:

    commands    upstream sends, we read: what was valid stays valid, and means what it meant
    events      we send, upstream reads: what was promised is kept. More may be told, never less, and no value
                that could not come before

Both are one question, since every value of one schema must be a value of the other: commands of the old one of
the new, events of the new one of the old, where fields that the old one does not know are left out of account.
Only what the export makes use of is understood; any other difference counts as breaking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from messages.events import Outcome

Schema = dict[str, Any]

_ANNOTATIONS = {"$schema", "$defs", "title", "description", "examples", "default"}
_LOWER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_UPPER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
_CONDITIONS = ("oneOf", "anyOf", "allOf", "not")
_OBJECTS = {"properties", "required", "additionalProperties", "patternProperties", "propertyNames"}
_OWN_RULE = {"type", "const", "enum", "items", "$ref"} | _ANNOTATIONS | _LOWER | _UPPER | _OBJECTS
_OWN_RULE |= set(_CONDITIONS)


def breaking(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[str]:
    """What a change breaks, a line each; empty if it is additive.

    Args:
        old: the schemas before, by file name as in `messages.schemas.schemas`.
        new: those after.
    """
    found = []
    for name, before in old.items():
        if name not in new:
            found.append(f"{name}: is gone")
            continue
        told = name.removesuffix(".json").rpartition(".")[2] in set(Outcome)
        fit = _Fit(new[name], before, told=True) if told else _Fit(before, new[name], told=False)
        found += [f"{name}: {reason}" for reason in fit.reasons()]
    return found


class _Fit:
    """Whether every value of the schema `narrow` is one of `wide`; `told` for what we send."""

    def __init__(self, narrow: Schema, wide: Schema, *, told: bool) -> None:
        self._narrow = narrow
        self._wide = wide
        self._told = told
        self._within: set[tuple[str, str]] = set()

    def reasons(self) -> Iterator[str]:
        """Why not, a line each."""
        return self._check(self._narrow, self._wide, "")

    def _check(self, narrow: Schema | bool, wide: Schema | bool, path: str) -> Iterator[str]:
        if not isinstance(wide, dict) or not isinstance(narrow, dict):
            if wide is False or (narrow is True and wide is not True):
                yield f"{path}: {self._word('is more restricted', 'is less restricted')}"
            return
        pair = str(narrow.get("$ref")), str(wide.get("$ref"))
        if pair in self._within and "None" not in pair:
            return  # a model that holds itself: it is being compared already
        self._within.add(pair)
        narrow, wide = _resolved(narrow, self._narrow), _resolved(wide, self._wide)
        if _is_union(narrow):
            for alternative in narrow["anyOf"]:
                yield from self._check(alternative, wide, path)
        elif _is_union(wide):
            yield from self._check_alternatives(narrow, wide["anyOf"], path)
        else:
            yield from self._check_values(narrow, wide, path)
            yield from self._check_object(narrow, wide, path)
            yield from self._check_conditions(narrow, wide, path)
            if "items" in wide:
                yield from self._check(narrow.get("items", True), wide["items"], f"{path}[]")
        self._within.discard(pair)

    def _check_alternatives(self, narrow: Schema, wide: list[Schema], path: str) -> Iterator[str]:
        tried = [list(self._check(narrow, alternative, path)) for alternative in wide]
        if all(tried):
            yield from min(tried, key=len)

    def _check_values(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        types, taken = _types(narrow), _types(wide)
        if taken and not (types and types <= taken):
            yield f"{path}: {self._word('does not take all types any more', 'may be of another type')}"
        values, allowed = _values(narrow), _values(wide)
        if allowed is not None and (values is None or any(value not in allowed for value in values)):
            yield f"{path}: {self._word('takes fewer values', 'may have other values')}"
        for key in (_LOWER | _UPPER) & wide.keys():
            if values is None and (key not in narrow or _beyond(key, narrow[key], wide[key])):
                yield f"{path}: {key} is {self._word('tighter', 'looser')}"
        for key in wide.keys() - _OWN_RULE:
            if narrow.get(key) != wide[key]:
                yield f"{path}: {key} is another"

    def _check_object(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        known, taken = narrow.get("properties", {}), wide.get("properties", {})
        for name in sorted(set(wide.get("required", ())) - set(narrow.get("required", ()))):
            yield f"{path}.{name}: {self._word('is required', 'may be left out')}"
        for name, schema in known.items():
            if name in taken:
                yield from self._check(schema, taken[name], f"{path}.{name}")
                yield from self._check_default(schema, taken[name], f"{path}.{name}")
            elif not self._told:
                yield from self._check_unknown(schema, wide, f"{path}.{name}")
        if self._told:
            for name in taken.keys() - known.keys():
                yield f"{path}.{name}: is not told any more"
        yield from self._check_maps(narrow, wide, path)

    def _check_unknown(self, schema: Schema, wide: Schema, path: str) -> Iterator[str]:
        others = wide.get("additionalProperties", True)
        if others is False:
            yield f"{path}: is not taken any more"
        else:
            yield from self._check(schema, others, path)

    def _check_default(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        both = "default" in narrow and "default" in wide
        if both and not self._told and narrow["default"] != wide["default"]:
            yield f"{path}: left out, it means something else"

    def _check_maps(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        given, taken = narrow.get("additionalProperties", True), wide.get("additionalProperties", True)
        if given is not False and not (self._told and taken is False):
            yield from self._check(given, taken, f"{path}.*")
        patterns = narrow.get("patternProperties", {})
        for pattern, schema in wide.get("patternProperties", {}).items():
            yield from self._check(patterns.get(pattern, True), schema, f"{path}.*")
        if patterns.keys() - wide.get("patternProperties", {}).keys() and taken is False:
            yield f"{path}.*: {self._word('takes other names', 'may have other names')}"
        if "propertyNames" in wide:
            yield from self._check(narrow.get("propertyNames", True), wide["propertyNames"], f"{path}.*")

    def _check_conditions(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        for key in _CONDITIONS:
            if key not in wide or narrow.get(key) == wide[key]:
                continue
            if key not in {"oneOf", "anyOf"} or not _only_more(narrow, wide, key):
                yield f"{path}: what goes with what ({key}) is another"

    def _word(self, taken: str, told: str) -> str:
        return told if self._told else taken


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**root["$defs"][schema["$ref"].removeprefix("#/$defs/")], **beside}
    return schema


def _is_union(schema: Schema) -> bool:
    """`anyOf` alone is a choice of types; beside a type it is a condition on the fields."""
    return "anyOf" in schema and "type" not in schema


def _only_more(narrow: Schema, wide: Schema, key: str) -> bool:
    """Whether the condition `wide` only has more alternatives, each of which needs a field that is new."""
    known = narrow.get(key, [])
    more = [each for each in wide[key] if each not in known]
    fields = narrow.get("properties", {}).keys()
    return (
        bool(known)
        and all(each in wide[key] for each in known)
        and not any(set(each.get("required", ())) <= fields for each in more)
    )


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    found: list[Any] | None = schema.get("enum")
    return found


def _types(schema: Schema) -> set[str]:
    found = schema.get("type", [])
    types = {found} if isinstance(found, str) else set(found)
    return types | {"integer"} if "number" in types else types


def _beyond(key: str, narrow: float, wide: float) -> bool:
    return narrow < wide if key in _LOWER else narrow > wide
