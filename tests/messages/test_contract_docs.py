from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pika
import pytest

from messages import examples
from messages.catalogue import COMMANDS, QUEUES
from messages.envelope import parse
from messages.errors import Code
from messages.events import Outcome
from workers.broker.topology import declare

DOCS = Path(__file__).parents[2] / "docs"
CONTRACT = (DOCS / "contract.md").read_text()


def rows(text: str) -> dict[str, str]:
    """The lines of all tables by their first cell."""
    return {found[1]: found[2] for found in re.finditer(r"^\| `([^`]+)` \|(.*)\|$", text, re.MULTILINE)}


def test_the_page_lists_every_command_queue_outcome_and_error() -> None:
    table = rows(CONTRACT)
    for name in [*COMMANDS, *QUEUES, *Outcome, *Code]:
        assert name in table
    for queue, key in QUEUES.items():
        assert f"`{key}`" in table[queue]
    for code in Code:
        assert (table[code].rpartition("|")[2].strip() != "no") is code.retryable


@pytest.mark.parametrize("type_", COMMANDS)
def test_the_page_names_every_field_of_a_command_and_its_result(type_: str) -> None:
    command = COMMANDS[type_]
    data, _, result = rows(CONTRACT)[type_].partition(" | ")
    for name, field in command.model_fields.items():
        assert f"`{field.alias or name}`" in data
    for name in command.result.model_fields:
        assert f"`{name}`" in result


def test_the_examples_on_the_page_are_those_of_the_schemas() -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", CONTRACT, re.DOTALL)]
    events = [block for block in blocks if "specversion" in block]
    assert len(events) == 9
    shipped = {**examples.commands(), **examples.events()}
    for event in events:
        assert event == shipped[event["type"]]


def test_no_two_commands_share_an_id() -> None:
    assert len({event["id"] for event in examples.commands().values()}) == len(COMMANDS)


@pytest.mark.parametrize("page", ["python.md", "node.md"])
def test_the_scripts_shown_are_the_scripts_shipped(page: str) -> None:
    text = (DOCS / "integration" / page).read_text()
    scripts = sorted((DOCS / "integration" / page.removesuffix(".md")).iterdir())
    assert len(scripts) == 2
    for script in scripts:
        assert script.read_text() in text


def test_the_python_scripts_publish_and_follow(amqp_url: str) -> None:
    scripts = DOCS / "integration" / "python"
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        declare(connection)
        channel = connection.channel()
        subprocess.run(
            [sys.executable, scripts / "publish.py", amqp_url, "file:///data/customers.csv"],
            check=True,
            timeout=30,
        )
        _, properties, body = channel.basic_get("kyb.creditsafe", auto_ack=True)
        assert properties is not None
        assert (properties.content_type, properties.delivery_mode) == ("application/cloudevents+json", 2)
        assert body is not None
        assert parse(body).type == "creditsafe.import_file"

        channel.queue_declare("crm.kyb-events", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind("crm.kyb-events", "kyb.events", "creditsafe.#")
        for type_, event in examples.events().items():
            channel.basic_publish("kyb.events", type_, json.dumps(event))
        expected = [
            f"{event['id']} {type_}"
            for type_, event in examples.events().items()
            if type_.startswith("creditsafe.")
        ]
        consumer = [sys.executable, str(scripts / "consume.py"), amqp_url, "creditsafe.#"]
        with subprocess.Popen(consumer, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            printed = [process.stdout.readline() for _ in expected]
            process.kill()
    assert [" ".join(line.split(" ")[:2]).strip() for line in printed] == expected
