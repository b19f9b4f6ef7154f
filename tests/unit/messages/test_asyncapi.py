from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from messages.asyncapi import asyncapi
from messages.catalogue import COMMANDS
from messages.envelope import parse
from messages.events import Outcome

DOCUMENT: dict[str, Any] = json.loads(json.dumps(asyncapi()))
SPECIFICATION = json.loads((Path(__file__).parent / "data" / "asyncapi-3.0.0.json").read_text())
MESSAGES = DOCUMENT["components"]["messages"]


def resolved(reference: dict[str, str]) -> Any:
    node: Any = DOCUMENT
    for key in reference["$ref"].removeprefix("#/").split("/"):
        node = node[key]
    return resolved(node) if "$ref" in node else node


def problems(document: object) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(SPECIFICATION).iter_errors(document)]


def test_document_satisfies_the_asyncapi_specification() -> None:
    assert problems(DOCUMENT) == []
    assert problems(DOCUMENT | {"operations": {"x": {"action": "publish"}}})


@pytest.mark.parametrize("name", MESSAGES)
def test_every_example_satisfies_its_payload(name: str) -> None:
    message = MESSAGES[name]
    schema = message["payload"] | {"components": DOCUMENT["components"]}
    for example in message["examples"]:
        jsonschema.Draft7Validator(schema).validate(example["payload"])
        jsonschema.Draft202012Validator(schema).validate(example["payload"])
    assert message["examples"]


@pytest.mark.parametrize("type_", COMMANDS)
def test_every_command_is_received_and_its_outcomes_are_sent(type_: str) -> None:
    receive, send = DOCUMENT["operations"][f"receive.{type_}"], DOCUMENT["operations"][f"send.{type_}"]
    assert (receive["action"], send["action"]) == ("receive", "send")
    assert [resolved(message)["name"] for message in receive["messages"]] == [type_]
    assert {resolved(message)["name"] for message in send["messages"]} == {
        f"{type_}.{outcome}" for outcome in Outcome
    }
    assert parse(json.dumps(MESSAGES[type_]["examples"][0]["payload"]).encode()).type == type_


def test_channels_are_the_two_exchanges() -> None:
    exchanges = [channel["bindings"]["amqp"]["exchange"] for channel in DOCUMENT["channels"].values()]
    assert [exchange["name"] for exchange in exchanges] == ["kyb.commands", "kyb.events"]
    assert {(exchange["type"], exchange["durable"]) for exchange in exchanges} == {("topic", True)}
