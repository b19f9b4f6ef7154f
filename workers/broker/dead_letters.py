"""Dead letters: looking at them without losing them, sending them back, throwing them away."""

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

#: Where letters lie.
DEAD_LETTER_QUEUES = (*map(topology.dead, QUEUES), topology.UNROUTABLE)

#: What dead-lettering added to a message; it leaves again with the letter.
_MARKS = ("x-kyb-reason", "x-death", "x-delivery-count", "x-first-death-", "x-last-death-")


@dataclass(frozen=True)
class DeadLetter:
    """One dead letter.

    Attributes:
        queue: where it lies.
        tag: of its delivery, on the channel that is looking.
        routing_key: that it was published with last.
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
        """The JSON object in the body; empty if it holds none."""
        try:
            found = read_json(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def job_id(self) -> str | None:
        """The job that it is about, if that can be read: of a command, or of a turn."""
        event = self.event
        return id_of({"id": event["job_id"]}) if "turn" in event and "job_id" in event else id_of(event)

    @property
    def type(self) -> str | None:
        """The command's type, if that can be read."""
        return type_of(self.event)

    @property
    def reason(self) -> str:
        """Why it lies here, by our own word or else by RabbitMQ's."""
        deaths = self.headers.get("x-death") or [{}]
        unroutable = "no queue takes it" if self.queue == topology.UNROUTABLE else ""
        return str(self.headers.get("x-kyb-reason") or unroutable or deaths[0].get("reason") or "unknown")

    def to_redrive(self) -> OutboundMessage | None:
        """The message as it was, on its way back; None where it would land here again."""
        headers = {name: value for name, value in self.headers.items() if not name.startswith(_MARKS)}
        if self.queue != topology.UNROUTABLE:
            exchange, key = "", self.queue.removesuffix(topology.dead(""))
        elif any(self.routing_key.split(".")[0] == binding.split(".")[0] for binding in QUEUES.values()):
            exchange, key = topology.COMMANDS, self.routing_key
        else:
            return None
        return OutboundMessage(exchange, key, self.body, self.content_type, self.message_id, headers)


class DeadLetterQueues:
    """The dead letters of a broker.

        with Letters(urls) as letters, letters.opened("kyb.data8.dead") as (channel, found):
            for letter in found: …

    All raise `BrokerUnavailable`.
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
        """How many letters lie in `queue`, those that somebody is looking at left out."""
        with self._channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)

    @contextmanager
    def browse(self, queue: str, limit: int) -> Iterator[tuple[BlockingChannel, Iterator[DeadLetter]]]:
        """The first `limit` letters of `queue`; those that are not settled stay where they are."""
        with self._channel() as channel:
            yield channel, self._letters(channel, queue, limit)

    def redrive(self, channel: BlockingChannel, letter: DeadLetter) -> bool:
        """Send a letter back to where it came from; False, and nothing done, where no queue takes it."""
        outgoing = letter.to_redrive()
        if outgoing is None:
            return False
        self._publisher.publish([outgoing])
        channel.basic_ack(
            letter.tag
        )  # if this is lost the letter is sent once more: the turn number fences it
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
    """What may be shown of a letter: nothing of the command's data."""
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
