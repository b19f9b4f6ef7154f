"""Hypothesis strategies for valid commands, built from the schema of each command's class."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

from messages.base import Command
from messages.catalogue import COMMANDS
from messages.envelope import Request
from messages.meanings import models_by_name
from tests.unit.messages.cases import is_valid

Schema = dict[str, Any]
Strategy = st.SearchStrategy[Any]

MAX_CHARACTERS = 40
MAX_ITEMS = 3
characters = st.characters(exclude_categories=["Cs"])
lines = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=MAX_CHARACTERS)
job_ids = st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True)


def valid_commands(command: type[Command]) -> Strategy:
    """Return a strategy for valid commands of a class."""
    schema = command.model_json_schema()
    return objects(schema, schema, command).map(command.model_validate)


def values(root: Schema, schema: Schema) -> Strategy:
    """Return a strategy for JSON values that a schema describes."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema and "type" not in schema:
        return st.one_of(*(values(root, alternative) for alternative in schema["anyOf"]))
    return BY_TYPE[schema["type"]](root, schema)


def lists(root: Schema, schema: Schema) -> Strategy:
    minimum = schema.get("minItems", 0)
    return st.lists(values(root, schema["items"]), min_size=minimum, max_size=max(minimum, MAX_ITEMS))


def objects_or_maps(root: Schema, schema: Schema) -> Strategy:
    if "properties" in schema:
        return objects(root, schema, models_by_name()[schema["title"]])
    return maps(root, schema)


def strings(schema: Schema) -> Strategy:
    minimum, maximum = schema.get("minLength", 0), schema.get("maxLength", MAX_CHARACTERS)
    if "pattern" not in schema:
        return st.text(characters, min_size=minimum, max_size=min(maximum, MAX_CHARACTERS))
    matching = st.from_regex(schema["pattern"], fullmatch=True, alphabet=characters)
    return matching.filter(lambda text: minimum <= len(text) <= maximum)


def maps(root: Schema, schema: Schema) -> Strategy:
    for pattern, value in schema.get("patternProperties", {}).items():
        keys = strings({"pattern": pattern, **schema.get("propertyNames", {})})
        return st.dictionaries(keys, values(root, value), max_size=MAX_ITEMS)
    return st.dictionaries(lines, values(root, schema["additionalProperties"]), max_size=MAX_ITEMS)


def objects(root: Schema, schema: Schema, model: type[BaseModel]) -> Strategy:
    """Return a strategy for the fields of a model, of which some do not go together."""
    required = schema.get("required", [])
    fields = {name: values(root, field) for name, field in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    ).filter(lambda data: is_valid(model, data))


BY_TYPE: dict[str, Callable[[Schema, Schema], Strategy]] = {
    "string": lambda _, schema: strings(schema),
    "integer": lambda _, schema: st.integers(schema.get("minimum", 0), schema.get("maximum", 10_000)),
    "boolean": lambda _, schema: st.booleans(),
    "null": lambda _, schema: st.none(),
    "array": lists,
    "object": objects_or_maps,
}
commands = st.one_of(*(valid_commands(command) for command in COMMANDS.values()))
requests = st.builds(
    Request,
    id=job_ids,
    source=st.from_regex(r"[A-Za-z0-9./:#?-]{1,60}", fullmatch=True),
    command=commands,
    correlation_id=lines,
    traceparent=st.none() | lines,
    tracestate=st.none() | lines,
    not_before=st.none() | st.datetimes(timezones=st.just(UTC)),
)
