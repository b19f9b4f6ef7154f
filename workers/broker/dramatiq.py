"""Dramatiq brokers for RabbitMQ and for one process, and the settlement of messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

import dramatiq
from dramatiq.broker import Consumer, MessageProxy
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import QueueNotFound
from dramatiq.middleware import Middleware

from workers.broker.connection import BrokerUnavailable, Urls
from workers.broker.consumer import ConsumerLink, Delivery
from workers.broker.encoder import CloudEventEncoder
from workers.broker.publisher import CLOUD_EVENT, Publisher
from workers.broker.publisher_connection import OutboundMessage
from workers.broker.topology import dead_letter_queue
from workers.errors import Reject

dramatiq.set_encoder(CloudEventEncoder())


class Settlement(Middleware):
    """Settles a message by how its actor ended.

    After a return it is acknowledged, after `Reject` dead-lettered with its reason, after any other exception
    requeued. RabbitMQ redelivers a message a limited number of times.
    """

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - as Dramatiq calls it
        message: Any,
        *,
        result: Any = None,  # noqa: ARG002 - as Dramatiq calls it
        exception: BaseException | None = None,
    ) -> None:
        """Mark the message as failed if its actor raised."""
        if exception is not None:
            message.fail()
            message.reason = str(exception) if isinstance(exception, Reject) else None


class UnackedTurns(Middleware):
    """The turns that this process has received and not settled: they are in no queue, and not lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[tuple[str, int], float] = {}

    def add(self, message: dramatiq.Message[Any]) -> None:
        """Note a received message if it is a turn."""
        if "turn" in message.kwargs:
            with self._lock:
                self._since[message.kwargs["job_id"], message.kwargs["turn"]] = time.monotonic()

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - as Dramatiq calls it
        message: Any,
        *,
        result: Any = None,  # noqa: ARG002 - as Dramatiq calls it
        exception: BaseException | None = None,  # noqa: ARG002 - as Dramatiq calls it
    ) -> None:
        """Forget the message, which is settled now."""
        with self._lock:
            self._since.pop((message.kwargs.get("job_id"), message.kwargs.get("turn")), None)

    def older_than(self, seconds: float) -> list[tuple[str, int]]:
        """Return job id and turn of those received more than `seconds` ago."""
        before = time.monotonic() - seconds
        with self._lock:
            return [turn for turn, since in self._since.items() if since < before]


class RabbitMessage(MessageProxy):
    """A message and its delivery; `reason` is set if it is to be dead-lettered."""

    def __init__(self, message: dramatiq.Message[Any], delivery: Delivery) -> None:
        super().__init__(message)
        self.delivery = delivery
        self.reason: str | None = None


class RabbitConsumer(Consumer):
    """The consumer of one queue, over the consuming connection of the process."""

    def __init__(
        self, link: ConsumerLink, publisher: Publisher, unacked: UnackedTurns, queue: str, timeout: float
    ) -> None:
        self._link = link
        self._publisher = publisher
        self._unacked = unacked
        self._queue = queue
        self._timeout = timeout

    def __next__(self) -> RabbitMessage | None:
        delivery = self._link.receive(self._queue, self._timeout)
        if delivery is None:
            return None
        message: dramatiq.Message[Any] = dramatiq.Message.decode(delivery.body)
        if "body" in message.kwargs:
            message.kwargs["queue"] = self._queue
        self._unacked.add(message)
        return RabbitMessage(message.copy(queue_name=self._queue), delivery)

    def ack(self, message: MessageProxy) -> None:
        """Acknowledge the message."""
        self._link.acknowledge(_rabbit(message).delivery)

    def nack(self, message: MessageProxy) -> None:
        """Dead-letter the message if it has a reason, otherwise requeue it."""
        failed = _rabbit(message)
        if failed.reason is None:
            self._link.requeue(failed.delivery)
            return
        headers = {**failed.delivery.headers, "x-kyb-reason": failed.reason}
        letter = OutboundMessage(
            "", dead_letter_queue(self._queue), failed.delivery.body, CLOUD_EVENT, failed.message_id, headers
        )
        try:
            self._publisher.publish([letter])
        except BrokerUnavailable:
            self._link.requeue(failed.delivery)
        else:
            self._link.acknowledge(failed.delivery)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Do nothing: RabbitMQ requeues unacked messages when the connection closes."""


class RabbitBroker(dramatiq.Broker):
    """RabbitMQ with the contract's topology.

    It does not enqueue: only the dispatcher dispatches turns, from the ledger.
    """

    def __init__(self, urls: Urls, queues: list[str], prefetch: int, publisher: Publisher) -> None:
        self.unacked = UnackedTurns()
        super().__init__(middleware=[Settlement(), self.unacked])
        self.link = ConsumerLink(urls, queues, prefetch)
        self._publisher = publisher

    def declare_queue(self, queue_name: str) -> None:
        """Register the queue with Dramatiq; the topology is declared at each connect."""
        if queue_name not in self.queues:
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 1000) -> Consumer:  # noqa: ARG002 - the link has its own prefetch
        """Return a consumer of the queue; `timeout` in milliseconds."""
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        return RabbitConsumer(self.link, self._publisher, self.unacked, queue_name, timeout / 1000)


class EmbeddedBroker(StubBroker):
    """Dramatiq's broker in memory. Its queues end with the process; the turns stay in the ledger."""

    def __init__(self) -> None:
        self.unacked = UnackedTurns()
        super().__init__(middleware=[self.unacked])


def _rabbit(message: MessageProxy) -> RabbitMessage:
    if not isinstance(message, RabbitMessage):
        msg = "not a message of this broker"
        raise TypeError(msg)
    return message
