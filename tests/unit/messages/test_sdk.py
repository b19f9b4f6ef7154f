"""The SDK for clients: typed commands and events, with pydantic as the only dependency."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import packages_distributions
from typing import Any

import pytest
from hypothesis import given

from messages import examples
from messages.catalogue import COMMANDS
from messages.creditsafe import RunMatchingResult
from messages.data8 import StartJob, StartJobResult
from messages.envelope import InvalidCommand, Request, parse
from messages.events import Outcome
from messages.sdk import UnreadableEvent, command_message, read_event
from tests.unit.messages.strategies import requests

EVENTS = examples.events()

NEEDED = {
    "messages",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "typing_extensions",
    "typing_inspection",
}
#: All other installed packages, and the other packages of the project.
OTHERS = ({"workers", "clients", "sandbox"} | set(packages_distributions())) - NEEDED
ALONE = """
import pkgutil, sys

OTHERS = set(sys.argv[1:])

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in OTHERS:
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Blocker())
import messages
for module in pkgutil.walk_packages(messages.__path__, "messages."):
    __import__(module.name)
from messages.data8 import StartJob
from messages.sdk import command_message, read_event
print(command_message(StartJob(workflow="w"), id="a", source="/crm").body.decode())
"""


def test_messages_import_only_pydantic() -> None:
    process = subprocess.run(
        [sys.executable, "-c", ALONE, *OTHERS], capture_output=True, text=True, check=False, timeout=60
    )
    assert process.returncode == 0, process.stderr
    assert parse(process.stdout.encode()).command == StartJob(workflow="w")


@given(requests)
def test_command_message_carries_the_whole_request(request: Request) -> None:
    message = command_message(
        request.command,
        id=request.id,
        source=request.source,
        correlation_id=request.correlation_id,
        not_before=request.not_before,
        traceparent=request.traceparent,
        tracestate=request.tracestate,
    )
    assert parse(message.body) == request
    assert (message.exchange, message.routing_key) == ("kyb.commands", request.type)
    assert message.properties == {"content_type": "application/cloudevents+json", "delivery_mode": 2}


def test_command_message_raises_when_the_workers_would_reject_it() -> None:
    with pytest.raises(InvalidCommand, match=r"id: .*source: "):
        command_message(StartJob(workflow="w"), id="a b", source="not a reference")
    with pytest.raises(InvalidCommand, match="notbefore"):
        command_message(StartJob(workflow="w"), id="a", source="/crm", not_before=datetime(2026, 8, 3))  # noqa: DTZ001


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_read_event_reads_every_event(event: dict[str, Any]) -> None:
    read = read_event(json.dumps(event).encode())

    assert f"{read.command}.{read.outcome}" == event["type"]
    assert (read.id, read.job_id, read.data) == (event["id"], event["subject"], event["data"])
    assert (read.sequence is None) is (read.outcome is Outcome.REJECTED)
    assert (read.result is None) is (read.outcome is not Outcome.COMPLETED)
    if read.result is not None:
        assert isinstance(read.result, COMMANDS[read.command].result)


def test_read_event_ignores_new_fields_and_keeps_the_vendors_own() -> None:
    event = EVENTS["data8.start_job.completed"]
    result = event["data"]["result"] | {"later": 1}
    data = event["data"] | {"later": [1], "result": result, "stats": event["data"]["stats"] | {"later": 1}}

    read = read_event(json.dumps(event | {"later": "x", "data": data}).encode())

    assert isinstance(read.result, StartJobResult)
    assert read.result.outputs["Cleansed"].records == 47_950
    assert read.data == data
    matching = EVENTS["creditsafe.run_matching.completed"]
    matching["data"]["result"]["summary"]["theirs"] = 5
    read = read_event(json.dumps(matching).encode())
    assert isinstance(read.result, RunMatchingResult)
    assert read.result.summary.model_extra == {"theirs": 5}


def test_read_event_keeps_the_data_when_the_command_is_unknown() -> None:
    event = EVENTS["job.cancel.completed"]
    data = event["data"] | {"command": "job.new", "result": {"anything": 1}}

    read = read_event(json.dumps(event | {"type": "job.new.completed", "data": data}).encode())

    assert (read.command, read.result, read.data["result"]) == ("job.new", None, {"anything": 1})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        json.dumps(EVENTS["job.cancel.failed"] | {"type": "job.cancel.eaten"}).encode(),
    ],
)
def test_read_event_raises_when_the_body_is_not_an_event(body: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        read_event(body)


def test_read_event_returns_aware_times() -> None:
    read = read_event(json.dumps(EVENTS["job.cancel.failed"]).encode())
    assert read.time.tzinfo == UTC
