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
#: The events of two commands are enough: all others have the same shapes.
EVENTS = [type_ for type_ in examples.events() if type_.startswith(("data8.start_job.", "job.retry."))]
Node = dict[str, Any]


def nodes(schema: Any) -> Iterator[Node]:
    """Yield every schema within a schema, without the conditions on its fields."""
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
    """A change of one schema: where it applies, how to make it, and what it breaks."""

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
        "an optional field is now required",
        lambda n: closed(n) and optional(n),
        lambda n: n.setdefault("required", []).append(optional(n)[0]),
        True,
        False,
    ),
    Change(
        "a required field is now optional",
        lambda n: closed(n) and n.get("required"),
        lambda n: n["required"].pop(),
        False,
        True,
    ),
    Change("a field has another name", closed, lambda n: rename(n, next(iter(n["properties"]))), True, True),
    Change(
        "an optional field is removed",
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
        "null as another type",
        lambda n: n.get("type") == "string" and not {"const", "enum"} & set(n),
        lambda n: n.update(type=["string", "null"]),
        False,
        True,
    ),
    Change("one more value", lambda n: "enum" in n, lambda n: n["enum"].append("new"), False, True),
    Change("one value fewer", lambda n: "enum" in n, lambda n: n["enum"].pop(), True, False),
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
    Change("an unknown keyword", lambda n: "type" in n, lambda n: n.update(unheardOf=1), True, False),
    Change(
        "another condition",
        lambda n: "oneOf" in n,
        lambda n: n["oneOf"].pop(),
        True,
        False,
    ),
]  # fmt: skip


def planted(name: str, change: Change, pick: Callable[[int], int]) -> Node:
    """Return a schema with a change at one of the places where it applies."""
    changed = copy.deepcopy(SCHEMAS[name])
    places = [node for node in nodes(changed) if change.applies(node)]
    change.make(places[pick(len(places))])
    return changed


def test_check_finds_nothing_when_the_contract_is_the_same() -> None:
    assert breaking(SCHEMAS, copy.deepcopy(SCHEMAS)) == []


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_check_judges_every_kind_of_change_wherever_it_is_made(change: Change) -> None:
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
            reasons = breaking({name: SCHEMAS[name]}, {name: after})
            assert bool(reasons) is breaks, reasons
            assert all(reason.startswith(f"{name}: ") for reason in reasons)

    judge()
    assert judged


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_old_messages_stay_valid_when_the_check_finds_nothing(data: st.DataObject) -> None:
    """Compare with a validator: after any changes that break nothing, the old messages are valid."""
    name = data.draw(st.sampled_from(COMMANDS))
    changed = copy.deepcopy(SCHEMAS[f"{name}.json"])
    for change in data.draw(st.lists(st.sampled_from(CHANGES), max_size=3)):
        places = [node for node in nodes(changed) if change.applies(node)]
        if places:
            change.make(places[data.draw(st.integers(0, len(places) - 1))])
    if not breaking({name: SCHEMAS[f"{name}.json"]}, {name: changed}):
        jsonschema.Draft202012Validator(changed).validate(examples.commands()[name])


def test_check_accepts_a_new_command_and_refuses_a_removed_one() -> None:
    fewer = {name: schema for name, schema in SCHEMAS.items() if name != "job.cancel.json"}

    assert breaking(fewer, SCHEMAS) == []
    assert breaking(SCHEMAS, fewer) == ["job.cancel.json: is gone"]


def test_check_accepts_one_more_alternative_of_a_command() -> None:
    """`file` or `dataset`, and now also `url`: a client that sends one of the first two still may."""
    changed = copy.deepcopy(SCHEMAS)
    slot = changed["data8.start_job.json"]["$defs"]["Input"]
    slot["properties"]["url"] = {"type": "string"}
    slot["oneOf"].append({"required": ["url"], "properties": {"url": {"not": {"type": "null"}}}})

    assert breaking(SCHEMAS, changed) == []
    assert breaking(changed, SCHEMAS) != []


def test_reason_names_the_field_and_the_change() -> None:
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
