"""The check whether a change of the contract is additive, made on the exported schemas before and after it.

The rules depend on who sends:

    commands    clients send, the workers read: what was valid stays valid, and keeps its meaning
    events      the workers send, clients read: what was promised is kept. Events may say more, never less, and no
                field may have a value that it could not have before

Both rules ask the same: is every value of one schema also a value of the other? Commands of the old schema must fit the
new one. Events of the new schema must fit the old one, apart from fields that the old one does not know. The check
understands the parts of JSON Schema that the export uses; any other difference counts as breaking.
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
    """Return a line for each breaking change; none if the change is additive.

    Args:
        old: the schemas before, by file name as in `messages.schemas.schemas`.
        new: the schemas after.
    """
    reasons = []
    for name, before in old.items():
        if name not in new:
            reasons.append(f"{name}: is gone")
            continue
        is_event = name.removesuffix(".json").rpartition(".")[2] in set(Outcome)
        narrow, wide = (new[name], before) if is_event else (before, new[name])
        comparison = _Comparison(narrow, wide, is_event=is_event)
        reasons += [f"{name}: {reason}" for reason in comparison.reasons()]
    return reasons


class _Comparison:
    """The check whether every value of the schema `narrow` is also a value of `wide`."""

    def __init__(self, narrow: Schema, wide: Schema, *, is_event: bool) -> None:
        self._narrow = narrow
        self._wide = wide
        self._is_event = is_event
        self._open_pairs: set[tuple[str, str]] = set()

    def reasons(self) -> Iterator[str]:
        """Return a line for each place where `narrow` has values that `wide` has not."""
        return self._check(self._narrow, self._wide, "")

    def _check(self, narrow: Schema | bool, wide: Schema | bool, path: str) -> Iterator[str]:
        if not isinstance(wide, dict) or not isinstance(narrow, dict):
            if wide is False or (narrow is True and wide is not True):
                yield f"{path}: {self._word('is more restricted', 'is less restricted')}"
            return
        pair = str(narrow.get("$ref")), str(wide.get("$ref"))
        if pair in self._open_pairs and "None" not in pair:
            return  # a model that contains itself: this pair is being compared already
        self._open_pairs.add(pair)
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
        self._open_pairs.discard(pair)

    def _check_alternatives(self, narrow: Schema, wide: list[Schema], path: str) -> Iterator[str]:
        reasons = [list(self._check(narrow, alternative, path)) for alternative in wide]
        if all(reasons):
            yield from min(reasons, key=len)

    def _check_values(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        types, allowed_types = _types(narrow), _types(wide)
        if allowed_types and not (types and types <= allowed_types):
            yield f"{path}: {self._word('no longer accepts all types', 'may be of another type')}"
        values, allowed = _values(narrow), _values(wide)
        if allowed is not None and (values is None or any(value not in allowed for value in values)):
            yield f"{path}: {self._word('accepts fewer values', 'may have other values')}"
        for key in (_LOWER | _UPPER) & wide.keys():
            if values is None and (key not in narrow or _beyond(key, narrow[key], wide[key])):
                yield f"{path}: {key} is {self._word('tighter', 'looser')}"
        for key in wide.keys() - _OWN_RULE:
            if narrow.get(key) != wide[key]:
                yield f"{path}: {key} has changed"

    def _check_object(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        fields, wide_fields = narrow.get("properties", {}), wide.get("properties", {})
        for name in sorted(set(wide.get("required", ())) - set(narrow.get("required", ()))):
            yield f"{path}.{name}: {self._word('is required', 'may be left out')}"
        for name, schema in fields.items():
            if name in wide_fields:
                yield from self._check(schema, wide_fields[name], f"{path}.{name}")
                yield from self._check_default(schema, wide_fields[name], f"{path}.{name}")
            elif not self._is_event:
                yield from self._check_unknown(schema, wide, f"{path}.{name}")
        if self._is_event:
            for name in wide_fields.keys() - fields.keys():
                yield f"{path}.{name}: is no longer sent"
        yield from self._check_maps(narrow, wide, path)

    def _check_unknown(self, schema: Schema, wide: Schema, path: str) -> Iterator[str]:
        others = wide.get("additionalProperties", True)
        if others is False:
            yield f"{path}: is no longer accepted"
        else:
            yield from self._check(schema, others, path)

    def _check_default(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        both = "default" in narrow and "default" in wide
        if both and not self._is_event and narrow["default"] != wide["default"]:
            yield f"{path}: means something else if left out"

    def _check_maps(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        others, wide_others = narrow.get("additionalProperties", True), wide.get("additionalProperties", True)
        if others is not False and not (self._is_event and wide_others is False):
            yield from self._check(others, wide_others, f"{path}.*")
        patterns = narrow.get("patternProperties", {})
        for pattern, schema in wide.get("patternProperties", {}).items():
            yield from self._check(patterns.get(pattern, True), schema, f"{path}.*")
        if patterns.keys() - wide.get("patternProperties", {}).keys() and wide_others is False:
            yield f"{path}.*: {self._word('accepts other names', 'may have other names')}"
        if "propertyNames" in wide:
            yield from self._check(narrow.get("propertyNames", True), wide["propertyNames"], f"{path}.*")

    def _check_conditions(self, narrow: Schema, wide: Schema, path: str) -> Iterator[str]:
        for key in _CONDITIONS:
            if key not in wide or narrow.get(key) == wide[key]:
                continue
            if key not in {"oneOf", "anyOf"} or not _only_adds(narrow, wide, key):
                yield f"{path}: the condition {key} has changed"

    def _word(self, of_command: str, of_event: str) -> str:
        return of_event if self._is_event else of_command


def _resolved(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**root["$defs"][schema["$ref"].removeprefix("#/$defs/")], **beside}
    return schema


def _is_union(schema: Schema) -> bool:
    """Return whether `anyOf` is a choice of types: beside a type it is a condition on the fields."""
    return "anyOf" in schema and "type" not in schema


def _only_adds(narrow: Schema, wide: Schema, key: str) -> bool:
    """Return whether `wide` only adds alternatives to a condition, each of which needs a new field."""
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
    values: list[Any] | None = schema.get("enum")
    return values


def _types(schema: Schema) -> set[str]:
    names = schema.get("type", [])
    types = {names} if isinstance(names, str) else set(names)
    return types | {"integer"} if "number" in types else types


def _beyond(key: str, narrow: float, wide: float) -> bool:
    return narrow < wide if key in _LOWER else narrow > wide
