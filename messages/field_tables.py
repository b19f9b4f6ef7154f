"""Tables of a message's fields, as Markdown.

Types, defaults and limits come from the schemas, meanings from the models.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from messages.base import LINE_PATTERN, Command, File
from messages.catalogue import COMMANDS
from messages.data8 import JOB_NAME_PATTERN
from messages.envelope import SOURCE_PATTERN, TIME_PATTERN
from messages.meanings import field_meanings, models_by_name

Schema = dict[str, Any]

_PATTERNS = {
    LINE_PATTERN: "no control characters",
    TIME_PATTERN: "RFC 3339, with an offset",
    SOURCE_PATTERN: "a URI reference",
    JOB_NAME_PATTERN: "no control characters, and none that a file name cannot hold",
}
_RANGES = {
    "minLength": ("maxLength", " characters"),
    "minItems": ("maxItems", " items"),
    "minProperties": ("maxProperties", " entries"),
    "minimum": ("maximum", ""),
}
#: The page of the command whose result a nested model is.
_RESULTS = {command.result.__name__: type_ for type_, command in COMMANDS.items()}
#: A condition on more fields than these is shown without their names.
_NAMES_LIMIT = 8


@dataclass(frozen=True)
class FieldRow:
    """A field of a message.

    Attributes:
        path: its place, such as `inputs.*.file` or `records[].name`.
        type: its JSON type, in words.
        need: "required", "optional" or the default; for what the worker sends, "yes" or "no".
        limits: its limits, in words.
        meaning: what it means.
    """

    path: str
    type: str
    need: str
    limits: str
    meaning: str


def command_table(command: type[Command]) -> str:
    """Return the table of a command's fields, and which of them go together."""
    conditions = [f"Give {condition}." for condition in _conditions(command.model_json_schema())]
    return "\n\n".join([_render(field_rows(command), "Required or default"), *conditions])


def sent_table(model: type[BaseModel]) -> str:
    """Return the table of the fields of a model that the worker sends."""
    return _render(map(_sent, field_rows(model)), "Always there")


def attribute_table(model: type[BaseModel], *, sent: bool) -> str:
    """Return the table of a CloudEvent's attributes, without the fields of its data.

    Args:
        model: the attributes.
        sent: whether the worker sends the event, rather than receives it.
    """
    rows = [row for row in field_rows(model) if "." not in row.path]
    return _render(map(_sent, rows), "Always there") if sent else _render(rows, "Required or default")


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; the cells are Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def field_rows(model: type[BaseModel]) -> Iterator[FieldRow]:
    """Yield a row for every field of a model, those of nested models after it.

    A file, and the result of another command, has a link in place of its fields.
    """
    schema = model.model_json_schema()
    return _model_rows(schema, schema, model, "")


def _model_rows(root: Schema, schema: Schema, model: type[BaseModel], prefix: str) -> Iterator[FieldRow]:
    meanings = field_meanings(model)
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        path = f"{prefix}{name}"
        variants = [_resolve(root, variant) for variant in field.get("anyOf", [field])]
        limits = [limit for variant in variants for limit in _limits(root, variant)]
        yield FieldRow(
            path=path,
            type=" or ".join(dict.fromkeys(_type(root, variant) for variant in variants)),
            need=_need(field, required=name in required),
            limits="; ".join(dict.fromkeys(limits)),
            meaning=meanings[name],
        )
        for variant in variants:
            suffix, inner = _element(root, variant)
            nested = models_by_name().get(inner.get("title", ""))
            if nested is not None and "properties" in inner and not _link(inner):
                yield from _model_rows(root, inner, nested, f"{path}{suffix}.")


def _element(root: Schema, schema: Schema) -> tuple[str, Schema]:
    """Return the innermost element of lists and maps, and its place in a path, such as `[]` or `.*`."""
    if schema.get("type") == "array" and "items" in schema:
        suffix, inner = _element(root, _resolve(root, schema["items"]))
        return f"[]{suffix}", inner
    values = _map_values(schema)
    if values is not None:
        suffix, inner = _element(root, _resolve(root, values))
        return f".*{suffix}", inner
    return "", schema


def _map_values(schema: Schema) -> Schema | None:
    """Return the schema of a map's values; None for anything else."""
    if "properties" in schema:
        return None
    candidates = [*schema.get("patternProperties", {}).values(), schema.get("additionalProperties")]
    return next((values for values in candidates if isinstance(values, dict)), None)


def _type(root: Schema, schema: Schema) -> str:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        return " or ".join(f"`{value}`" for value in values)
    if link := _link(schema):
        return link
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_plural(_type(root, _resolve(root, schema['items'])))}"
    values_schema = _map_values(schema)
    if values_schema is not None:
        return f"map of {_plural(_type(root, _resolve(root, values_schema)))}"
    if schema.get("format") == "date-time":
        return "date-time"
    return str(schema.get("type", "any value"))


def _plural(type_: str) -> str:
    return f"{type_}s" if type_ in {"string", "integer", "number", "object"} else type_


def _link(schema: Schema) -> str:
    title = schema.get("title", "") if "properties" in schema else ""
    if title == File.__name__:
        return "[File](../contract.md#files)"
    if title in _RESULTS:
        return f"[result of `{_RESULTS[title]}`]({_RESULTS[title]}.md#result)"
    return ""


def _need(field: Schema, *, required: bool) -> str:
    if required:
        return "required"
    default = field.get("default")
    return "optional" if default in (None, {}, []) else f"`{_text(default)}`"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _limits(root: Schema, schema: Schema) -> Iterator[str]:
    if _link(schema):
        return
    for lower, (upper, unit) in _RANGES.items():
        yield from _range(schema.get(lower), schema.get(upper), unit)
    if "pattern" in schema:
        yield _pattern(schema["pattern"])
    for pattern in [*schema.get("patternProperties", {}), schema.get("propertyNames", {}).get("pattern")]:
        if pattern:
            yield f"keys: {_pattern(pattern)}"
    suffix, element = _element(root, schema)
    if suffix and "properties" not in element:
        yield from (f"each: {limit}" for limit in _limits(root, element))
    else:
        yield from _conditions(element)


def _range(minimum: float | None, maximum: float | None, unit: str) -> Iterator[str]:
    if minimum is not None and maximum is not None:
        yield f"{minimum:,} to {maximum:,}{unit}"
    elif minimum is not None:
        yield f"at least {minimum:,}{unit}"
    elif maximum is not None:
        yield f"at most {maximum:,}{unit}"


def _pattern(pattern: str) -> str:
    escaped = pattern.replace("|", "\\|")
    return _PATTERNS.get(pattern, f"matches `{escaped}`")


def _conditions(schema: Schema) -> Iterator[str]:
    """Yield which fields of an object go together, such as "exactly one of `file` and `dataset`"."""
    if "properties" not in schema:
        return
    for key, words in (("oneOf", "exactly one"), ("anyOf", "at least one")):
        names = [name for alternative in schema.get(key, ()) for name in alternative["required"]]
        if len(names) > _NAMES_LIMIT:
            yield f"{words} of the fields"
        elif names:
            quoted = [f"`{name}`" for name in names]
            yield f"{words} of {', '.join(quoted[:-1])} and {quoted[-1]}"


def _resolve(root: Schema, schema: Schema) -> Schema:
    """Return the schema that a reference points to, with what stands beside the reference."""
    if "$ref" not in schema:
        return schema
    definition: Schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    return {**_resolve(root, definition), **{key: value for key, value in schema.items() if key != "$ref"}}


def _sent(row: FieldRow) -> FieldRow:
    return replace(row, need="yes" if row.need == "required" else "no")


def _render(rows: Iterable[FieldRow], need: str) -> str:
    cells = [[f"`{row.path}`", row.type, row.need, row.limits, row.meaning] for row in rows]
    return markdown_table(["Field", "Type", need, "Limits", "Meaning"], cells)
