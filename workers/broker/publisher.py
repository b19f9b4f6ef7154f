"""Publishing with confirms: what `publish` returns from, RabbitMQ has stored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

import pika

from workers.broker import topology
from workers.broker.connection import BrokerUnavailable, Urls, reach
from workers.broker.publisher_connection import ConfirmingConnection, OutboundMessage

T = TypeVar("T")

CLOUD_EVENT = "application/cloudevents+json"
TURN = "application/json"


class Publisher:
    """One connection for publishing, opened when needed, shared by all threads of the process."""

    def __init__(self, urls: Urls) -> None:
        self._urls = urls
        self._lock = threading.Lock()
        self._line: ConfirmingConnection | None = None

    def publish(self, messages: Iterable[OutboundMessage]) -> None:
        """Publish in order and wait until each is stored. Raises `BrokerUnavailable`; then some may be."""
        batch = list(messages)
        self._use(lambda line: line.publish(batch))

    def ready(self, queue: str) -> int:
        """How many messages wait in `queue`. Raises `BrokerUnavailable`."""
        return self._use(lambda line: line.ready(queue))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _use(self, purpose: Callable[[ConfirmingConnection], T]) -> T:
        with self._lock:
            try:
                return purpose(self._open())
            except BrokerUnavailable:
                self._drop()  # a queue may have been lost: everything is declared again with the next connection
                raise

    def _open(self) -> ConfirmingConnection:
        if self._line is None or self._line.broken:
            self._drop()
            self._line = reach(self._urls, "kyb-workers publisher", _dial)
        return self._line

    def _drop(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()


def _dial(parameters: pika.URLParameters) -> ConfirmingConnection:
    topology.declare_at(parameters)
    return ConfirmingConnection(parameters)
