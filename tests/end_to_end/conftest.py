"""Worker processes as operators run them, and a plain AMQP client as upstream systems write it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pika
import pytest

from sandbox import Sandbox
from tests.integration.cli.conftest import home, kyb
from tests.support.cli import CliResult, Kyb
from workers.ledger.database import Database

__all__ = ["home", "kyb"]

WORKER = "from workers.cli.main import main; main()"


class Workers:
    """`kyb worker` processes on one RabbitMQ and one ledger."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start one more worker, which logs to this test's standard error."""
        call = [sys.executable, "-c", WORKER, "worker", *arguments]
        worker = subprocess.Popen(call, env=os.environ | self.environment | environment)
        self.running.append(worker)
        return worker

    def kill(self) -> None:
        """Kill all workers (SIGKILL)."""
        for worker in self.running:
            worker.kill()
            worker.wait()
        self.running.clear()

    def stop(self) -> list[int]:
        """Stop all workers (SIGTERM) and return their exit codes."""
        for worker in self.running:
            worker.send_signal(signal.SIGTERM)
        codes = [worker.wait(40) for worker in self.running]
        self.running.clear()
        return codes


class Upstream:
    """An upstream system in plain pika, without code of this project."""

    def __init__(self, url: str) -> None:
        self.connection = pika.BlockingConnection(pika.URLParameters(url))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.queue = self.channel.queue_declare("", exclusive=True).method.queue
        try:
            self.channel.queue_bind(self.queue, "kyb.events", "#")
        except pika.exceptions.ChannelClosedByBroker:
            self.connection.close()
            raise
        self.seen: list[dict[str, Any]] = []

    def publish(self, body: bytes, key: str) -> None:
        """Publish one persistent message."""
        properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
        self.channel.basic_publish("kyb.commands", key, body, properties, mandatory=True)

    def command(self, id: str, type: str, **data: Any) -> None:
        """Publish one command."""
        event = {"specversion": "1.0", "id": id, "source": "/crm", "type": type, "data": data}
        self.publish(json.dumps(event).encode(), type)

    def await_events(
        self, enough: Callable[[list[dict[str, Any]]], bool], seconds: float = 60
    ) -> list[dict[str, Any]]:
        """Read events until `enough` returns True; return all events so far."""
        deadline = time.monotonic() + seconds
        while not enough(self.seen):
            method, _, body = next(self.channel.consume(self.queue, inactivity_timeout=1))
            if method is not None:
                self.seen.append(json.loads(body))
                self.channel.basic_ack(method.delivery_tag)
            assert time.monotonic() < deadline, [event["type"] for event in self.seen]
        return self.seen

    def count(self, queue: str) -> int:
        """Return the number of messages that wait in a queue."""
        return int(self.channel.queue_declare(queue, passive=True).method.message_count)


def connect(url: str) -> Upstream:
    """Return an upstream once a worker has declared its exchanges."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return Upstream(url)
        except pika.exceptions.ChannelClosedByBroker:
            assert time.monotonic() < deadline
            time.sleep(0.1)  # no event announces a new exchange


@contextmanager
def connected(url: str) -> Iterator[Upstream]:
    """Yield such an upstream and close its connection."""
    upstream = connect(url)
    try:
        yield upstream
    finally:
        if upstream.connection.is_open:
            upstream.connection.close()


@pytest.fixture(params=["postgresql", "sqlite"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    url = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "sqlite_url")
    database = Database(url)
    database.upgrade()
    database.close()
    return str(url)


@pytest.fixture
def settings() -> dict[str, str]:
    """Further settings of the test's workers."""
    return {}


@pytest.fixture
def workers(
    tmp_path: Path, amqp_url: str, ledger_url: str, sandbox: Sandbox, settings: dict[str, str]
) -> Iterator[Workers]:
    workers = Workers(
        sandbox.environment()
        | {
            "KYB_BROKER_URL": amqp_url,
            "KYB_LEDGER_URL": ledger_url,
            "KYB_STORAGE__INPUTS": str(tmp_path),
            "KYB_STORAGE__RESULTS": str(tmp_path / "results"),
            "KYB_POLLING__MIN_DELAY": "0.1",
            "KYB_POLLING__MAX_DELAY": "0.3",
            "KYB_DATA8__TIMEOUT": "2",
            "KYB_CREDITSAFE__TIMEOUT": "2",
            "KYB_SAYARI__TIMEOUT": "2",
            "KYB_HTTP__PORT": "0",
        }
        | settings
    )
    yield workers
    workers.kill()


@pytest.fixture
def operator(kyb: Kyb, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> Kyb:
    """`kyb …` in this process, with the workers' settings as they are then."""

    def run(*arguments: str) -> CliResult:
        for name, value in workers.environment.items():
            monkeypatch.setenv(name, value)
        return kyb(*arguments)

    return run


@pytest.fixture
def upstream(amqp_url: str, workers: Workers) -> Iterator[Upstream]:
    """Connected once the first worker has declared what it serves."""
    workers.start()
    with connected(amqp_url) as upstream:
        yield upstream
