"""Planted changes of every kind: the check finds those that break a client, and accepts the others."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messages import examples
from messages.compatibility import breaking
from messages.schemas import schemas

SCHEMAS = schemas()
COMMANDS = sorted(examples.commands())
#: Those of two commands are enough: all others have the same shapes.
EVENTS = [type_ for type_ in examples.events() if type_.startswith(("data8.start_job.", "job.retry."))]
Node = dict[str, Any]


def nodes(schema: Any) -> Iterator[Node]:
    """Every schema in a schema, the conditions on its fields left out."""
    if not isinstance(schema, dict):
        return
    yield schema
    inner = [schema.get("items"), schema.get("additionalProperties")]
    inner += schema.get("anyOf", []) if "type" not in schema else []
    for key in ("properties", "patternProperties", "$defs"):
        inner += schema.get(key, {}).values()
    for each in inner:
        yield from nodes(each)


@dataclass(frozen=True)
class Change:
    """A change of one schema: whether it can be made there, how, and whom it breaks."""

    name: str
    applies: Callable[[Node], object]
    make: Callable[[Node], object]
    breaks_commands: bool
    breaks_events: bool


def optional(node: Node) -> list[str]:
    return [name for name in node.get("properties", {}) if name not in node.get("required", [])]


def closed(node: Node) -> bool:
    return bool(node.get("properties")) and "not" not in node and not set(node) & {"oneOf", "anyOf"}


def rename(node: Node, name: str) -> None:
    node["properties"]["renamed"] = node["properties"].pop(name)
    node["required"] = ["renamed" if each == name else each for each in node.get("required", [])]


CHANGES = [
    Change(
        "a new optional field",
        closed,
        lambda n: n["properties"].update(new={"type": "string", "default": ""}),
        False,
        False,
    ),
    Change(
        "a new required field",
        closed,
        lambda n: (n["properties"].update(new={"type": "string"}), n.setdefault("required", []).append("new")),
        True,
        False,
    ),
    Change(
        "a field is required now",
        lambda n: closed(n) and optional(n),
        lambda n: n.setdefault("required", []).append(optional(n)[0]),
        True,
        False,
    ),
    Change(
        "a field is optional now",
        lambda n: closed(n) and n.get("required"),
        lambda n: n["required"].pop(),
        False,
        True,
    ),
    Change("a field has another name", closed, lambda n: rename(n, next(iter(n["properties"]))), True, True),
    Change(
        "an optional field is gone",
        lambda n: closed(n) and n.get("additionalProperties") is False and optional(n),
        lambda n: n["properties"].pop(optional(n)[0]),
        True,
        True,
    ),
    Change(
        "another type",
        lambda n: n.get("type") in ("string", "integer", "boolean", "number"),
        lambda n: n.update(type="array"),
        True,
        True,
    ),
    Change(
        "null, too",
        lambda n: n.get("type") == "string" and not {"const", "enum"} & set(n),
        lambda n: n.update(type=["string", "null"]),
        False,
        True,
    ),
    Change("one more value", lambda n: "enum" in n, lambda n: n["enum"].append("new"), False, True),
    Change("one value less", lambda n: "enum" in n, lambda n: n["enum"].pop(), True, False),
    Change("a shorter text", lambda n: "maxLength" in n, lambda n: n.update(maxLength=0), True, False),
    Change("a longer text", lambda n: "maxLength" in n, lambda n: n.update(maxLength=10**6), False, True),
    Change("no limit", lambda n: "maxLength" in n, lambda n: n.pop("maxLength"), False, True),
    Change("no pattern", lambda n: "pattern" in n, lambda n: n.pop("pattern"), False, True),
    Change("another pattern", lambda n: "pattern" in n, lambda n: n.update(pattern="^x$"), True, True),
    Change(
        "another default",
        lambda n: any(n["properties"][name].get("default") for name in optional(n)),
        lambda n: [n["properties"][o].update(default="?") for o in optional(n) if "default" in n["properties"][o]],
        True,
        False,
    ),
    Change("more items", lambda n: "maxItems" in n, lambda n: n.update(maxItems=10**6), False, True),
    Change("fewer items", lambda n: "minItems" in n, lambda n: n.update(minItems=99), True, False),
    Change("a keyword never seen", lambda n: "type" in n, lambda n: n.update(unheardOf=1), True, False),
    Change(
        "another condition",
        lambda n: "oneOf" in n,
        lambda n: n["oneOf"].pop(),
        True,
        False,
    ),
]  # fmt: skip


def planted(name: str, change: Change, pick: Callable[[int], int]) -> Node:
    """A schema with a change at one of the places where it can be made."""
    changed = copy.deepcopy(SCHEMAS[name])
    places = [node for node in nodes(changed) if change.applies(node)]
    change.make(places[pick(len(places))])
    return changed


def test_the_same_contract_breaks_nothing() -> None:
    assert breaking(SCHEMAS, copy.deepcopy(SCHEMAS)) == []


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_every_kind_of_change_is_judged_wherever_it_is_made(change: Change) -> None:
    judged = 0

    @settings(max_examples=12, deadline=None)
    @given(st.data())
    def judge(data: st.DataObject) -> None:
        nonlocal judged
        for types, breaks in ((COMMANDS, change.breaks_commands), (EVENTS, change.breaks_events)):
            able = [t for t in types if any(change.applies(n) for n in nodes(SCHEMAS[f"{t}.json"]))]
            if not able:
                continue
            name = f"{data.draw(st.sampled_from(able))}.json"
            after = planted(name, change, lambda count: data.draw(st.integers(0, count - 1)))
            judged += 1
            found = breaking({name: SCHEMAS[name]}, {name: after})
            assert bool(found) is breaks, found
            assert all(reason.startswith(f"{name}: ") for reason in found)

    judge()
    assert judged


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_what_was_valid_stays_valid_under_what_is_called_additive(data: st.DataObject) -> None:
    """The judgement against a validator: any pile of changes that breaks nothing takes the old messages."""
    name = data.draw(st.sampled_from(COMMANDS))
    changed = copy.deepcopy(SCHEMAS[f"{name}.json"])
    for change in data.draw(st.lists(st.sampled_from(CHANGES), max_size=3)):
        places = [node for node in nodes(changed) if change.applies(node)]
        if places:
            change.make(places[data.draw(st.integers(0, len(places) - 1))])
    if not breaking({name: SCHEMAS[f"{name}.json"]}, {name: changed}):
        jsonschema.Draft202012Validator(changed).validate(examples.commands()[name])


def test_a_command_may_come_and_none_may_go() -> None:
    fewer = {name: schema for name, schema in SCHEMAS.items() if name != "job.cancel.json"}

    assert breaking(fewer, SCHEMAS) == []
    assert breaking(SCHEMAS, fewer) == ["job.cancel.json: is gone"]


def test_one_more_alternative_is_additive_for_commands() -> None:
    """`file` or `dataset`, and now `url`, too: who gave one of the two still does."""
    changed = copy.deepcopy(SCHEMAS)
    slot = changed["data8.start_job.json"]["$defs"]["Input"]
    slot["properties"]["url"] = {"type": "string"}
    slot["oneOf"].append({"required": ["url"], "properties": {"url": {"not": {"type": "null"}}}})

    assert breaking(SCHEMAS, changed) == []
    assert breaking(changed, SCHEMAS) != []


def test_a_reason_says_where_and_what() -> None:
    changed = copy.deepcopy(SCHEMAS)
    changed["data8.start_job.json"]["$defs"]["StartJob"]["required"].append("name")
    stats = changed["job.retry.completed.json"]["$defs"]["Stats"]
    del stats["properties"]["polls"]
    stats["required"].remove("polls")

    assert breaking(SCHEMAS, changed) == [
        "data8.start_job.json: .data.name: is required",
        "job.retry.completed.json: .data.stats.polls: may be left out",
        "job.retry.completed.json: .data.stats.polls: is no longer sent",
    ]
