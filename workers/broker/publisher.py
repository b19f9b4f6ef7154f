"""Publishing with publisher confirms: when `publish` returns, RabbitMQ has stored the messages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

import pika

from workers.broker import topology
from workers.broker.connection import BrokerUnavailable, Urls, connect_to_any
from workers.broker.publisher_connection import ConfirmingConnection, OutboundMessage

T = TypeVar("T")

CLOUD_EVENT = "application/cloudevents+json"
TURN = "application/json"


class Publisher:
    """The publishing connection of a process: opened when needed, shared by all threads."""

    def __init__(self, urls: Urls) -> None:
        self._urls = urls
        self._lock = threading.Lock()
        self._connection: ConfirmingConnection | None = None

    def publish(self, messages: Iterable[OutboundMessage]) -> None:
        """Publish in order and wait until all are stored. After `BrokerUnavailable` some may be stored."""
        batch = list(messages)
        self._use(lambda connection: connection.publish(batch))

    def queue_depth(self, queue: str) -> int:
        """Return how many messages are ready in `queue`. Raises `BrokerUnavailable`."""
        return self._use(lambda connection: connection.queue_depth(queue))

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _use(self, use: Callable[[ConfirmingConnection], T]) -> T:
        with self._lock:
            try:
                return use(self._open())
            except BrokerUnavailable:
                self._drop()  # a queue may be lost: the next connection declares the topology again
                raise

    def _open(self) -> ConfirmingConnection:
        if self._connection is None or self._connection.broken:
            self._drop()
            self._connection = connect_to_any(self._urls, "kyb-workers publisher", _connect)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _connect(parameters: pika.URLParameters) -> ConfirmingConnection:
    topology.declare_at(parameters)
    return ConfirmingConnection(parameters)
