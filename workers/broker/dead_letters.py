"""Dead letters: browse, redrive and delete them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from messages.catalogue import QUEUES
from messages.envelope import id_of, read_json, type_of
from workers.broker import topology
from workers.broker.connection import BrokerUnavailable, open_connection
from workers.broker.publisher import Publisher
from workers.broker.publisher_connection import OutboundMessage

#: All dead-letter queues.
DEAD_LETTER_QUEUES = (*map(topology.dead_letter_queue, QUEUES), topology.UNROUTABLE)

#: Prefixes of the headers that dead-lettering added; a redrive removes them.
_DEAD_LETTER_HEADERS = ("x-kyb-reason", "x-death", "x-delivery-count", "x-first-death-", "x-last-death-")


@dataclass(frozen=True)
class DeadLetter:
    """One dead letter.

    Attributes:
        queue: the dead-letter queue.
        tag: of its delivery, on the browsing channel.
        routing_key: of its last publication.
    """

    queue: str
    tag: int
    routing_key: str
    content_type: str
    message_id: str | None
    headers: dict[str, Any]
    body: bytes = field(repr=False)

    @property
    def event(self) -> dict[str, Any]:
        """The JSON object in the body; empty if there is none."""
        try:
            value = read_json(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def job_id(self) -> str | None:
        """The job of the command or turn, if that can be read."""
        event = self.event
        return id_of({"id": event["job_id"]}) if "turn" in event and "job_id" in event else id_of(event)

    @property
    def type(self) -> str | None:
        """The command's type, if that can be read."""
        return type_of(self.event)

    @property
    def reason(self) -> str:
        """Why the message was dead-lettered: our reason, otherwise RabbitMQ's."""
        deaths = self.headers.get("x-death") or [{}]
        unroutable = "no queue takes it" if self.queue == topology.UNROUTABLE else ""
        return str(self.headers.get("x-kyb-reason") or unroutable or deaths[0].get("reason") or "unknown")

    def to_redrive(self) -> OutboundMessage | None:
        """Return the message to publish again, None if it would be dead-lettered again."""
        headers = {
            name: value for name, value in self.headers.items() if not name.startswith(_DEAD_LETTER_HEADERS)
        }
        if self.queue != topology.UNROUTABLE:
            exchange, key = "", self.queue.removesuffix(topology.dead_letter_queue(""))
        elif any(self.routing_key.split(".")[0] == binding.split(".")[0] for binding in QUEUES.values()):
            exchange, key = topology.COMMANDS, self.routing_key
        else:
            return None
        return OutboundMessage(exchange, key, self.body, self.content_type, self.message_id, headers)


class DeadLetterQueues:
    """The dead-letter queues of a broker.

        with DeadLetterQueues(urls) as queues, queues.browse("kyb.data8.dead", 100) as (channel, letters):
            for letter in letters: …

    All methods raise `BrokerUnavailable`.
    """

    def __init__(self, urls: str) -> None:
        self._publisher = Publisher(urls)
        self._urls = urls

    def __enter__(self) -> Self:
        self._connection: pika.BlockingConnection = open_connection(self._urls, "kyb-workers dead letters")
        with self._channel():
            topology.declare(self._connection)
        return self

    def __exit__(self, *_: object) -> None:
        self._publisher.close()
        if self._connection.is_open:
            self._connection.close()

    def count(self, queue: str) -> int:
        """Return how many letters are in `queue`, without those that are being browsed."""
        with self._channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)

    @contextmanager
    def browse(self, queue: str, limit: int) -> Iterator[tuple[BlockingChannel, Iterator[DeadLetter]]]:
        """Provide the first `limit` letters of `queue`. Letters that are not settled stay in the queue."""
        with self._channel() as channel:
            yield channel, self._letters(channel, queue, limit)

    def redrive(self, channel: BlockingChannel, letter: DeadLetter) -> bool:
        """Return a letter to its queue. Return False, and do nothing, if no queue takes it."""
        message = letter.to_redrive()
        if message is None:
            return False
        self._publisher.publish([message])
        # If this acknowledgement is lost, the letter may be redriven twice: the turn number fences the second one.
        channel.basic_ack(letter.tag)
        return True

    def _letters(self, channel: BlockingChannel, queue: str, limit: int) -> Iterator[DeadLetter]:
        for _ in range(limit):
            method, properties, body = channel.basic_get(queue)
            if method is None:
                return
            yield DeadLetter(
                queue,
                method.delivery_tag,
                method.routing_key,
                properties.content_type or "",
                properties.message_id,
                dict(properties.headers or {}),
                body,
            )

    @contextmanager
    def _channel(self) -> Iterator[BlockingChannel]:
        try:
            channel = self._connection.channel()
            yield channel
            channel.close()
        except (AMQPError, OSError) as error:
            raise BrokerUnavailable(f"the connection broke ({type(error).__name__})") from None


def describe(letter: DeadLetter) -> dict[str, Any]:
    """Return what may be shown of a letter: none of the command's data."""
    headers = json.loads(json.dumps(letter.headers, default=str))
    return {
        "queue": letter.queue,
        "job_id": letter.job_id,
        "type": letter.type,
        "turn": letter.event.get("turn") if letter.type is not None else None,
        "reason": letter.reason,
        "routing_key": letter.routing_key,
        "bytes": len(letter.body),
        "delivery_count": headers.get("x-delivery-count", 0),
        "deaths": headers.get("x-death", []),
    }
