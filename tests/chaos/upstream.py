"""An upstream system in plain pika: it publishes with confirms and reads events until all jobs have ended.

It sends a command again when no event about it has arrived for too long.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from tests.chaos.work import Task

FINAL = (".completed", ".failed", ".cancelled")
QUEUE = "chaos.events"
#: Time between two attempts to reach RabbitMQ.
RETRY_SECONDS = 0.3
CONNECTION_ERRORS = (AMQPError, OSError)


def connect(urls: str) -> pika.BlockingConnection:
    """Connect to any of the nodes, separated by `;`."""
    first, *others = random.sample(urls.split(";"), urls.count(";") + 1)
    try:
        return pika.BlockingConnection(pika.URLParameters(first))
    except CONNECTION_ERRORS:
        if not others:
            raise
        return connect(";".join(others))


class Upstream:
    """A publisher of commands and consumer of all events.

    Args:
        urls: of RabbitMQ's nodes, separated by `;`.
    """

    def __init__(self, urls: str) -> None:
        self._urls = urls
        self._news = threading.Condition()
        self._stopping = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="upstream", daemon=True)
        #: Final events by job and event id, each with the moment at which it was first seen.
        self.finals: defaultdict[str, dict[str, tuple[float, dict[str, Any]]]] = defaultdict(dict)
        #: Rejections by job.
        self.rejected: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.listening = threading.Event()
        #: When RabbitMQ first confirmed the command of each job, in epoch seconds.
        self.sent: dict[str, float] = {}

    def start(self) -> None:
        """Start to consume once the workers have declared the exchange of events."""
        self._listener.start()
        assert self.listening.wait(60), "no worker has declared the events"

    def stop(self) -> None:
        """Stop consuming."""
        self._stopping.set()
        self._listener.join()

    def publish(self, tasks: Iterable[Task], spread: float = 0.0) -> None:
        """Publish commands over `spread` seconds, each repeatedly until RabbitMQ confirms it."""
        waiting = list(tasks)
        pause = spread / len(waiting) if waiting else 0.0
        connection: pika.BlockingConnection | None = None
        channel: BlockingChannel | None = None
        while waiting:
            try:
                if connection is None or channel is None:
                    connection = connect(self._urls)
                    channel = connection.channel()
                    channel.confirm_delivery()
                channel.basic_publish(
                    "kyb.commands",
                    waiting[0].type,
                    waiting[0].body,
                    pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2),
                    mandatory=True,
                )
            except CONNECTION_ERRORS:
                _close(connection)
                connection = channel = None
                time.sleep(RETRY_SECONDS)  # RabbitMQ is unavailable, and no event announces its return
            else:
                self.sent.setdefault(waiting.pop(0).id, time.time())
                time.sleep(pause)
        _close(connection)

    def await_finals(self, tasks: list[Task], seconds: float, again: float | None = None) -> list[Task]:
        """Wait until all jobs have ended; return those that have not after `seconds`.

        `again`: interval in seconds at which commands without a final event are sent again.
        """
        deadline = time.monotonic() + seconds
        resend_at = time.monotonic() + again if again is not None else float("inf")
        while True:
            with self._news:
                missing = [task for task in tasks if not self.finals[task.id]]
                now = time.monotonic()
                if not missing or now > deadline:
                    return missing
                if now < resend_at:
                    self._news.wait(min(deadline, resend_at) - now)
                    continue
            self.publish(missing)
            resend_at = time.monotonic() + (again or 0.0)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                self._consume()
            except CONNECTION_ERRORS:
                self.listening.clear()
                self._stopping.wait(RETRY_SECONDS)

    def _consume(self) -> None:
        connection = connect(self._urls)
        try:
            channel = connection.channel()
            channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
            channel.queue_bind(QUEUE, "kyb.events", "#")  # fails until a worker has declared the exchange
            channel.basic_consume(QUEUE, self._hear)
            self.listening.set()
            while not self._stopping.is_set():
                connection.process_data_events(time_limit=0.2)
        finally:
            _close(connection)

    def _hear(self, channel: BlockingChannel, method: Any, _: object, body: bytes) -> None:
        event = json.loads(body)
        with self._news:
            if event["type"].endswith(FINAL):
                self.finals[event["subject"]].setdefault(event["id"], (time.monotonic(), event))
                self._news.notify_all()
            elif event["type"].endswith(".rejected"):
                self.rejected[event["subject"]].append(event)
        channel.basic_ack(method.delivery_tag)


def _close(connection: pika.BlockingConnection | None) -> None:
    with contextlib.suppress(*CONNECTION_ERRORS):  # it may be closed already
        if connection is not None:
            connection.close()
