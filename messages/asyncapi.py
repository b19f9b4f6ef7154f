"""The contract as an AsyncAPI 3.0 document."""

from __future__ import annotations

from functools import cache
from typing import Any

from messages import examples
from messages.base import Command
from messages.catalogue import COMMANDS
from messages.events import Outcome
from messages.schemas import schemas

_CONTENT_TYPE = "application/cloudevents+json"
_BINDING = "0.3.0"


@cache
def asyncapi() -> dict[str, Any]:
    """Return the document, which is built once. Its operations are those of the worker, which receives commands."""
    payloads, components = _components()
    messages = examples.commands() | examples.events()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "kyb-workers",
            "version": "1",
            "description": "Commands for jobs at Creditsafe, Data8 and Sayari, and the events about them.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": _CONTENT_TYPE,
        "servers": {
            "rabbitmq": {
                "host": "{host}",
                "protocol": "amqp",
                "protocolVersion": "0.9.1",
                "description": "The broker of the setting KYB_BROKER_URL.",
                "variables": {"host": {"default": "localhost:5672"}},
            }
        },
        "channels": {
            "commands": _channel(
                "kyb.commands",
                "{command}",
                "Publish persistent, with the routing key of the command's type. You need not declare anything.",
                list(COMMANDS),
            ),
            "events": _channel(
                "kyb.events",
                "{command}.{outcome}",
                "Bind a queue of your own, for example with `#.completed` or `data8.#`.",
                [f"{type_}.{outcome}" for type_ in COMMANDS for outcome in Outcome],
            ),
        },
        "operations": {
            name: operation for command in COMMANDS.values() for name, operation in _operations(command)
        },
        "components": {
            "messages": {type_: _message(type_, payloads[type_], messages[type_]) for type_ in payloads},
            "schemas": components,
        },
    }


def _channel(exchange: str, address: str, description: str, types: list[str]) -> dict[str, Any]:
    parameters = {"command": {"enum": list(COMMANDS), "description": "The type of the command."}}
    if "{outcome}" in address:
        parameters["outcome"] = {"enum": list(Outcome), "description": "The outcome of the command."}
    return {
        "address": address,
        "description": description,
        "parameters": parameters,
        "messages": {type_: {"$ref": f"#/components/messages/{type_}"} for type_ in types},
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {"name": exchange, "type": "topic", "durable": True, "autoDelete": False},
                "bindingVersion": _BINDING,
            }
        },
    }


def _operations(command: type[Command]) -> list[tuple[str, dict[str, Any]]]:
    type_ = command.type_
    receive = {
        "action": "receive",
        "channel": {"$ref": "#/channels/commands"},
        "summary": str(command.__doc__).partition("\n")[0],
        "messages": [_in_channel("commands", type_)],
        "bindings": {"amqp": {"ack": True, "deliveryMode": 2, "bindingVersion": _BINDING}},
    }
    send = {
        "action": "send",
        "channel": {"$ref": "#/channels/events"},
        "summary": f"Report the outcome of a {type_} command.",
        "messages": [_in_channel("events", f"{type_}.{outcome}") for outcome in Outcome],
        "bindings": {"amqp": {"deliveryMode": 2, "bindingVersion": _BINDING}},
    }
    return [(f"receive.{type_}", receive), (f"send.{type_}", send)]


def _in_channel(channel: str, type_: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel}/messages/{type_}"}


def _message(type_: str, payload: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": type_,
        "title": type_,
        "summary": payload["description"].partition("\n")[0],
        "contentType": _CONTENT_TYPE,
        "correlationId": {"location": "$message.payload#/correlationid"},
        "payload": payload,
        "examples": [{"name": type_, "payload": example}],
    }


def _components() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the payloads by type, and the schemas that they share.

    A payload's definitions move to the components under their own names. The data of an event differs from command to
    command, so it is named after its type.
    """
    payloads: dict[str, Any] = {}
    shared: dict[str, Any] = {}
    for name, schema in schemas().items():
        type_ = name.removesuffix(".json")
        payload = {key: value for key, value in schema.items() if key not in {"$schema", "$defs"}}
        own = payload["properties"]["data"]["$ref"]
        names = {f"#/$defs/{key}": f"#/components/schemas/{key}" for key in schema["$defs"]}
        names[own] = f"#/components/schemas/{type_}.data"
        for key, definition in schema["$defs"].items():
            target = names[f"#/$defs/{key}"].rpartition("/")[2]
            moved = _with_references(definition, names)
            if shared.setdefault(target, moved) != moved:
                raise ValueError(f"two models are called {target}")
        payloads[type_] = _with_references(payload, names)
    return payloads, shared


def _with_references(schema: Any, names: dict[str, str]) -> Any:
    if isinstance(schema, dict):
        return {
            key: names[value] if key == "$ref" else _with_references(value, names)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_with_references(value, names) for value in schema]
    return schema
