"""The same command line over RabbitMQ and PostgreSQL: submitting, watching, events from the stream, dead letters."""

from __future__ import annotations

import io
import json
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pika
import pytest
from pika.adapters.blocking_connection import BlockingChannel

from sandbox import Sandbox
from tests.support.cli import Kyb, kyb_process
from tests.support.waiting import wait_for_line, wait_until
from workers.broker import topology
from workers.broker.publisher import CLOUD_EVENT, Publisher
from workers.broker.publisher_connection import OutboundMessage

CLEANSE = [
    "submit",
    "data8.start_job",
    "--workflow",
    "CompanyCleanse",
    "--inputs.Companies.file",
    "companies.csv",
]


@pytest.fixture
def broker(vendors: Sandbox, amqp_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """Settings for a RabbitMQ of the test's own."""
    monkeypatch.setenv("KYB_BROKER_URL", amqp_url)
    publisher = Publisher(amqp_url)
    yield publisher
    publisher.close()


@pytest.fixture
def remote(broker: Publisher, kyb: Kyb, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker process on RabbitMQ and PostgreSQL that is consuming."""
    monkeypatch.setenv("KYB_LEDGER_URL", postgres_url)
    assert kyb("ledger", "upgrade").code == 0
    with kyb_process("worker") as worker:
        wait_for_line(worker.stderr, '"consuming"')
        yield
        worker.terminate()
        assert worker.wait(30) == 0


def test_a_job_is_watched_to_its_end_without_a_ledger(
    kyb: Kyb, remote: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KYB_LEDGER_URL")  # an upstream machine sees the broker alone
    done = kyb(*CLEANSE, "--id", "good", "--wait", "--json")
    assert (done.code, done.json["status"]) == (0, "completed")
    assert done.json["result"]["outputs"]["Cleansed"]["records"] == 3
    again = kyb(*CLEANSE, "--id", "good", "--wait")  # its final event is told again
    assert again.json == done.json["result"]

    conflict = kyb("submit", "data8.start_job", "--workflow", "Other", "--id", "good", "--wait")
    assert conflict.code == 1
    assert "id_conflict\n  id: is the id of another job" in conflict.err
    outside = kyb(
        "submit", "creditsafe.import_file", "--file", "/etc/hosts", "--portfolio.name", "A", "--wait"
    )
    assert outside.code == 1
    assert "data.file: " in outside.err
    (letter,) = kyb("dlq", "show", "kyb.creditsafe", "--json").json
    assert letter["reason"].startswith("input_not_allowed: data.file")

    events = kyb("events", "tail", "--no-follow", "--json", "--job", "good").json
    assert events[0]["type"].rpartition(".")[2] == "accepted"
    assert [event["id"] for event in events if event["type"].endswith(".completed")] == [events[-2]["id"]] * 2
    assert kyb("events", "tail", "--no-follow", "--json", "--from", "0").json == []
    assert len(kyb("events", "tail", "--no-follow", "--json", "--from", "1h").json) > len(events)


def test_jobs_are_cancelled_and_retried(kyb: Kyb, remote: None, vendors: Sandbox) -> None:
    vendors.state.job_seconds = 3_600
    assert kyb(*CLEANSE, "--id", "long").out == "long\n"
    wait_until(lambda: any(s["name"] == "finish" for s in _steps(kyb, "long")))
    assert kyb("jobs", "cancel", "long", "--wait").code == 0
    wait_until(lambda: kyb("jobs", "show", "long", "--json").json["status"] == "cancelled")
    assert kyb("jobs", "retry", "long", "--wait").code == 0
    assert kyb("jobs", "list", "--json", "--status", "running").json[0]["id"] == "long"


def test_events_are_followed_from_now_on(kyb: Kyb, broker: Publisher) -> None:
    _tell(broker, "before", datetime(2026, 1, 1, tzinfo=UTC))
    with kyb_process("events", "tail", "--json") as tail:
        output = tail.stdout
        assert output is not None

        def heard() -> bool:  # it says nothing of when it has begun to listen
            _tell(broker, "after", datetime.now(UTC))
            return bool(select.select([output], [], [], 0.1)[0])

        wait_until(heard)
        assert json.loads(wait_for_line(output, "subject"))["subject"] == "after"
        tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == 0


def test_dead_letters_are_seen_and_stay(kyb: Kyb, broker: Publisher) -> None:
    _letters(broker)
    for _ in range(3):
        listed = {entry["queue"]: entry for entry in kyb("dlq", "list", "--json").json}
        assert {name: entry["count"] for name, entry in listed.items() if entry["count"]} == {
            "kyb.data8.dead": 3,
            "kyb.unroutable": 2,
        }
        assert [letter["job_id"] for letter in listed["kyb.data8.dead"]["letters"]] == ["one", "two", None]
    shown = kyb("dlq", "show", "kyb.data8", "--id", "two", "--json").json
    assert [(letter["type"], letter["turn"], letter["reason"]) for letter in shown] == [
        ("data8.start_job", 3, "unknown")
    ]
    text = kyb("dlq", "list").out + kyb("dlq", "show").out
    assert "invalid_command: data.x: wrong" in text
    assert "no queue takes it" in text
    assert "private" not in text


def test_letters_go_back_to_where_they_came_from(kyb: Kyb, broker: Publisher, amqp_url: str) -> None:
    _letters(broker)
    planned = kyb("dlq", "redrive", "--all", "--dry-run", "--json").json
    assert [letter["outcome"] for letter in planned].count("would go back") == 4
    assert kyb("dlq", "redrive").code == 2

    (one,) = kyb("dlq", "redrive", "kyb.data8", "--id", "one", "--json").json
    assert one["outcome"] == "went back"
    with _channel(amqp_url) as channel:
        method, properties, body = channel.basic_get("kyb.data8", auto_ack=True)
    assert method is not None
    assert json.loads(body)["id"] == "one"
    assert "x-kyb-reason" not in properties.headers
    assert properties.headers["x-mine"] == "kept"
    assert properties.content_type == CLOUD_EVENT

    done = kyb("dlq", "redrive", "--all", "--json").json
    assert [(letter["job_id"], letter["outcome"]) for letter in done] == [
        ("two", "went back"),
        (None, "went back"),
        ("lost", "stays: no queue takes it"),
        ("late", "went back"),
    ]
    assert broker.queue_depth("kyb.data8") == 2
    assert broker.queue_depth("kyb.sayari") == 1
    wait_until(lambda: broker.queue_depth("kyb.unroutable") == 1)


def test_letters_are_thrown_away_when_asked_twice(
    kyb: Kyb, broker: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    _letters(broker)
    monkeypatch.setattr("sys.stdin", io.StringIO())  # nobody answers
    assert kyb("dlq", "discard", "--all").code == 1
    assert kyb("dlq", "discard", "kyb.data8", "--id", "one", "--yes").code == 0
    wait_until(lambda: broker.queue_depth("kyb.data8.dead") == 2)
    assert kyb("dlq", "discard", "--all", "--yes").code == 0
    assert kyb("dlq", "show", "--json").json == []


def _letters(broker: Publisher) -> None:
    """Five letters: a rejected command, a turn, noise; two that no queue takes, one of them wrongly so."""
    one = json.dumps({"id": "one", "type": "data8.start_job", "data": {"name": "private"}}).encode()
    turn = json.dumps({"turn": 3, "job_id": "two", "type": "data8.start_job"}).encode()
    lost = json.dumps({"id": "lost", "type": "nowhere.to_go"}).encode()
    late = json.dumps({"id": "late", "type": "sayari.resolve_entities"}).encode()
    reason = {"x-kyb-reason": "invalid_command: data.x: wrong", "x-mine": "kept"}
    broker.publish(
        [
            OutboundMessage("", "kyb.data8.dead", one, CLOUD_EVENT, "one", reason),
            OutboundMessage("", "kyb.data8.dead", turn, "application/json", "two/3"),
            OutboundMessage("", "kyb.data8.dead", b"private noise", "text/plain"),
            OutboundMessage(topology.COMMANDS, "nowhere.to_go", lost, CLOUD_EVENT, "lost"),
        ]
    )
    # As after a binding was lost: it would be routed now.
    broker.publish(
        [OutboundMessage(topology.UNROUTABLE, "sayari.resolve_entities", late, CLOUD_EVENT, "late")]
    )


def _tell(broker: Publisher, subject: str, at: datetime) -> None:
    event = {"subject": subject, "type": "job.cancel.accepted", "time": at.isoformat(), "data": {}}
    broker.publish(
        [OutboundMessage(topology.EVENTS, "job.cancel.accepted", json.dumps(event).encode(), CLOUD_EVENT)]
    )


def _steps(kyb: Kyb, job_id: str) -> list[dict[str, Any]]:
    shown = kyb("jobs", "show", job_id, "--json")
    return list(shown.json["steps"]) if shown.code == 0 else []


@contextmanager
def _channel(url: str) -> Iterator[BlockingChannel]:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        yield connection.channel()
    finally:
        connection.close()
