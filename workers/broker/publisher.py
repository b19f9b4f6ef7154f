"""Publishing with confirms: what `publish` returns from, RabbitMQ has stored."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pika
import structlog
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, NackError, UnroutableError

from workers.broker import topology
from workers.broker.connection import BrokerUnavailable, open_connection

log = structlog.get_logger("kyb.broker")

CLOUD_EVENT = "application/cloudevents+json"
TURN = "application/json"


@dataclass(frozen=True)
class Outgoing:
    """A message to publish; to a queue directly where `exchange` is empty."""

    exchange: str
    routing_key: str
    body: bytes
    content_type: str
    message_id: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)


class Publisher:
    """One connection for publishing, opened when needed, shared by all threads of the process."""

    def __init__(self, urls: str) -> None:
        self._urls = urls
        self._lock = threading.Lock()
        self._connection: pika.BlockingConnection | None = None
        self._channel: BlockingChannel | None = None

    def publish(self, messages: Iterable[Outgoing]) -> None:
        """Publish in order and wait until each is stored. Raises `BrokerUnavailable`; then some may be."""
        with self._lock:
            try:
                channel = self._open()
                for message in messages:
                    channel.basic_publish(
                        message.exchange,
                        message.routing_key,
                        message.body,
                        pika.BasicProperties(
                            content_type=message.content_type,
                            delivery_mode=pika.DeliveryMode.Persistent,
                            message_id=message.message_id,
                            headers=dict(message.headers),
                        ),
                        mandatory=True,
                    )
            except (UnroutableError, NackError) as error:
                self._drop()  # a queue may have been lost: everything is declared again with the next connection
                raise BrokerUnavailable(f"RabbitMQ did not take a message ({type(error).__name__})") from None
            except (AMQPError, OSError) as error:
                self._drop()
                raise BrokerUnavailable(f"the connection broke ({type(error).__name__}: {error})") from None

    def ready(self, queue: str) -> int:
        """How many messages wait in `queue`. Raises `BrokerUnavailable`."""
        with self._lock:
            try:
                return int(self._open().queue_declare(queue, passive=True).method.message_count)
            except (AMQPError, OSError) as error:
                self._drop()
                raise BrokerUnavailable(f"the connection broke ({type(error).__name__}: {error})") from None

    def keep_alive(self) -> None:
        """Answer heartbeats; to be called every few seconds. Opens nothing, raises nothing."""
        with self._lock:
            if self._connection is not None:
                try:
                    self._connection.process_data_events(0)
                except (AMQPError, OSError) as error:
                    log.warning("publishing connection lost", error=type(error).__name__)
                    self._drop()

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _open(self) -> BlockingChannel:
        if self._channel is None or not self._channel.is_open:
            self._drop()
            self._connection = open_connection(self._urls, "kyb-workers publisher")
            topology.declare(self._connection)
            self._channel = self._connection.channel()
            self._channel.confirm_delivery()
        return self._channel

    def _drop(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None and connection.is_open:
            try:
                connection.close()
            except (AMQPError, OSError) as error:
                log.debug("closing the publishing connection failed", error=type(error).__name__)
