"""The scripts of `docs/how-to/integrate`, run on RabbitMQ as the pages show them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pika
import pytest

from messages import examples
from messages.envelope import parse
from tests.testbed import languages
from workers.broker.topology import declare

DOCS = languages.SCRIPTS
FILE = "file:///data/customers.csv"
EVENTS = {t: event for t, event in examples.events().items() if t.startswith("creditsafe.import_file.")}
Arguments = list[str | Path]


def python(name: str, folder: Path) -> Arguments:
    return [sys.executable, DOCS / "python" / f"{name}.py"]


def node(name: str, folder: Path) -> Arguments:
    shutil.copy(DOCS / "node" / f"{name}.mjs", folder)
    if not (folder / "node_modules").exists():
        (folder / "node_modules").symlink_to(languages.amqplib() / "node_modules")
    return [languages.node(), folder / f"{name}.mjs"]


def java(name: str, folder: Path) -> Arguments:
    return [*languages.java(), "-XX:TieredStopAtLevel=1", DOCS / "java" / f"{name.capitalize()}.java"]


SCRIPTS: dict[str, Callable[[str, Path], Arguments]] = {"python": python, "node": node, "java": java}


def shown(language: str) -> Callable[[dict[str, Any]], str]:
    """Return a function that formats the start of the script's line for an event."""
    if language == "java":
        return lambda event: f"{event['type']} {json.dumps(event)}"
    return lambda event: f"{event['id']} {event['type']} "


@pytest.mark.parametrize("language", SCRIPTS)
def test_page_contains_the_scripts_when_it_shows_them(language: str) -> None:
    text = (DOCS / f"{language}.md").read_text(encoding="utf-8")
    scripts = [
        path for path in (DOCS / language).iterdir() if path.stem.lower() in {"publish", "consume", "typed"}
    ]
    assert len(scripts) >= 2
    for script in scripts:
        assert script.read_text(encoding="utf-8") in text


@pytest.mark.parametrize("language", SCRIPTS)
def test_scripts_publish_and_follow_events_when_run_on_rabbitmq(
    language: str, amqp_url: str, tmp_path: Path
) -> None:
    make = SCRIPTS[language]
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        declare(connection)
        channel = connection.channel()
        subprocess.run([*make("publish", tmp_path), amqp_url, FILE], check=True, timeout=60)
        _, properties, body = channel.basic_get("kyb.creditsafe", auto_ack=True)
        assert properties is not None
        assert (properties.content_type, properties.delivery_mode) == ("application/cloudevents+json", 2)
        assert body is not None
        request = parse(body)
        assert (request.type, list(request.command.inputs())) == ("creditsafe.import_file", [("file", FILE)])

        channel.queue_declare("crm.kyb-events", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind("crm.kyb-events", "kyb.events", "creditsafe.#")
        for type_, event in EVENTS.items():
            channel.basic_publish("kyb.events", type_, json.dumps(event))
        consumer = [*make("consume", tmp_path), amqp_url, "creditsafe.#"]
        with subprocess.Popen(consumer, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            printed = [process.stdout.readline() for _ in EVENTS]
            process.kill()
    for line, event in zip(printed, EVENTS.values(), strict=True):
        assert line.startswith(shown(language)(event))


def test_typed_script_publishes_and_ends_when_its_job_completes(amqp_url: str) -> None:
    """`docs/how-to/integrate/python/typed.py` sends a command and exits after its final event."""
    with pika.BlockingConnection(pika.URLParameters(amqp_url)) as connection:
        declare(connection)
        channel = connection.channel()
        script: Arguments = [sys.executable, DOCS / "python" / "typed.py", amqp_url, FILE]
        with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "sent customers-2\n"
            _, _, body = channel.basic_get("kyb.data8", auto_ack=True)
            assert body is not None
            assert parse(body).type == "data8.start_job"
            for outcome in ("accepted", "completed"):
                event = examples.events()[f"data8.start_job.{outcome}"] | {"subject": "customers-2"}
                data = event["data"] | {"job_id": "customers-2"}
                channel.basic_publish("kyb.events", event["type"], json.dumps(event | {"data": data}))
            assert process.wait(30) == 0
            assert process.stdout.read().splitlines()[-1].startswith("Cleansed: 47950 records in file:///")
