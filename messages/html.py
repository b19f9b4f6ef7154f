"""The AsyncAPI document as HTML pages: one for all, one for each command with its events. No script, no fonts, no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

Schema = dict[str, Any]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1, h2, h3 { line-height: 1.2; margin: 2em 0 .5em; } h1 { margin-top: 0; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0;
border-bottom: 1px solid #ddd; } code, pre { font: 14px/1.4 ui-monospace, monospace; } pre { background: #f6f6f4; padding: .8rem;
overflow-x: auto; } .need { color: #a33; } a { color: #06c; }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd; } pre { background: #242424; }
th, td { border-color: #444; } a { color: #6af; } .need { color: #f99; } }
"""
_LIMITS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "pattern": "matches {}",
    "format": "{}",
}


def pages(document: dict[str, Any]) -> dict[str, str]:
    """The pages of an AsyncAPI document as `messages.asyncapi` makes it, by file name."""
    commands = document["channels"]["commands"]["messages"]
    return {"index.html": _index(document)} | {
        f"{type_}.html": _command_page(document, type_) for type_ in commands
    }


def _index(document: dict[str, Any]) -> str:
    channels, messages = document["channels"], document["components"]["messages"]
    commands = list(channels["commands"]["messages"])
    rows = [[_link(type_), escape(messages[type_]["summary"])] for type_ in commands]
    body = [
        f"<h1>{escape(document['info']['title'])}</h1>",
        f"<p>{escape(document['info']['description'])}</p>",
        "<h2>Commands</h2>",
        _table(("type", "does"), rows),
    ]
    for name, type_ in (("commands", commands[0]), ("events", f"{commands[0]}.completed")):
        channel = channels[name]
        exchange = channel["bindings"]["amqp"]["exchange"]
        what = f"{'durable ' if exchange['durable'] else ''}{exchange['type']} exchange"
        body += [
            f"<h2>The {what} <code>{escape(exchange['name'])}</code></h2>",
            f"<p>Routing key <code>{escape(channel['address'])}</code>. {_prose(channel['description'])}</p>",
            f"<h3>Attributes of all {name}</h3>",
            _fields(document, {**messages[type_]["payload"], "title": ""}, skip="data"),
        ]
    return _page(document["info"]["title"], body)


def _command_page(document: dict[str, Any], type_: str) -> str:
    messages = document["components"]["messages"]
    body = [
        '<p><a href="index.html">All commands</a></p>',
        f"<h1>{escape(type_)}</h1>",
        *_message(document, messages[type_]),
        "<h2>Events</h2>",
    ]
    for name, message in messages.items():
        command, _, outcome = name.rpartition(".")
        if command == type_:
            body += [f'<h3 id="{escape(outcome)}">{escape(name)}</h3>', *_message(document, message)]
    return _page(type_, body)


def _message(document: dict[str, Any], message: dict[str, Any]) -> Iterator[str]:
    data = message["payload"]["properties"]["data"]
    example = json.dumps(message["examples"][0]["payload"], ensure_ascii=False, indent=2)
    yield f"<p>{_prose(message['summary'])}</p>"
    yield _fields(document, data)
    yield f"<pre>{escape(example)}</pre>"


def _fields(document: dict[str, Any], schema: Schema, skip: str | None = None) -> str:
    rows = [row for row in _rows(document, schema, "") if row[0] != f"<code>{skip}</code>"]
    return _table(("field", "type", "", "meaning"), [row for row in rows if not _below(row[0], skip)])


def _below(cell: str, field: str | None) -> bool:
    return field is not None and cell.startswith(f"<code>{field}.")


def _rows(document: dict[str, Any], schema: Schema, path: str) -> Iterator[list[str]]:
    """A row for every field of an object, those of its objects below it."""
    schema = _resolved(document, schema)
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        need = '<span class="need">required</span>' if name in required else ""
        yield from _row(document, field, f"{path}{name}", need)
    others = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
    for field in others:
        if isinstance(field, dict) and path:
            yield from _row(document, field, f"{path}*", "")


def _row(document: dict[str, Any], field: Schema, path: str, need: str) -> Iterator[list[str]]:
    about = [_prose(field["description"])] if "description" in field else []
    if field.get("default") not in (None, "", {}, []):
        about.append(f"{escape(json.dumps(field['default']))} unless given")
    alternatives = [_resolved(document, each) for each in field.get("anyOf", [field])]
    for each in alternatives:
        about += [_prose(text.format(f"`{each[key]}`")) for key, text in _LIMITS.items() if key in each]
        about += [f"exactly one of {_names(each[key])}" for key in ("oneOf",) if key in each]
        about += [f"at least one of {_names(each[key])}" for key in ("anyOf",) if key in each]
    types = " or ".join(dict.fromkeys(_type(document, each) for each in alternatives))
    yield [f"<code>{escape(path)}</code>", types, need, "; ".join(dict.fromkeys(about))]
    for each in alternatives:
        inner = (
            _resolved(document, each["items"]) if each.get("type") == "array" and "items" in each else each
        )
        suffix = "[]." if inner is not each else "."
        yield from _rows(document, inner, f"{path}{suffix}")


def _type(document: dict[str, Any], schema: Schema) -> str:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_type(document, _resolved(document, schema['items']))}"
    return escape(str(schema.get("type", "any")))


def _names(alternatives: list[Schema]) -> str:
    fields = [name for each in alternatives for name in each.get("required", ())]
    return ", ".join(f"<code>{escape(name)}</code>" for name in fields)


def _resolved(document: dict[str, Any], schema: Schema) -> Schema:
    """The schema that a reference means, with what is said beside the reference."""
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return {**_resolved(document, found), **{key: value for key, value in schema.items() if key != "$ref"}}


def _prose(text: str) -> str:
    """Text with its `code` marked."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))


def _link(type_: str) -> str:
    return f'<a href="{escape(type_)}.html"><code>{escape(type_)}</code></a>'


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    if not rows:
        return "<p>No fields.</p>"
    cells = "".join(f"<th>{name}</th>" for name in head)
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return "\n".join([f"<table><tr>{cells}</tr>", *lines, "</table>"])


def _page(title: str, body: list[str]) -> str:
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            f'<head><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head>",
            "<body>",
            *body,
            "</body></html>\n",
        ]
    )
