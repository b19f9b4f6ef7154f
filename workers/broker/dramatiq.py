"""RabbitMQ and the embedded broker as Dramatiq brokers, and how an actor's end settles its message."""

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
from workers.broker.topology import dead
from workers.errors import Reject

dramatiq.set_encoder(CloudEventEncoder())


class Settlement(Middleware):
    """Decides by the way an actor ended what becomes of its message.

    Returned: acknowledged. `Reject`: dead-lettered with its reason. Anything else: delivered again, which
    RabbitMQ does a limited number of times.
    """

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - as Dramatiq calls it
        message: Any,
        *,
        result: Any = None,  # noqa: ARG002 - as Dramatiq calls it
        exception: BaseException | None = None,
    ) -> None:
        """Mark the message."""
        if exception is not None:
            message.fail()
            message.reason = str(exception) if isinstance(exception, Reject) else None


class UnackedTurns(Middleware):
    """The turns that this process was given and has not done with: they wait in no queue, and are not lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._since: dict[tuple[str, int], float] = {}

    def add(self, message: dramatiq.Message[Any]) -> None:
        """A message came; only those that are turns matter."""
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
        """It is done with, well or not."""
        with self._lock:
            self._since.pop((message.kwargs.get("job_id"), message.kwargs.get("turn")), None)

    def older_than(self, seconds: float) -> list[tuple[str, int]]:
        """Job and turn of those that came more than so many seconds ago."""
        before = time.monotonic() - seconds
        with self._lock:
            return [turn for turn, since in self._since.items() if since < before]


class RabbitMessage(MessageProxy):
    """A message and the delivery that brought it; `reason` says why it is dead-lettered, if it is."""

    def __init__(self, message: dramatiq.Message[Any], delivery: Delivery) -> None:
        super().__init__(message)
        self.delivery = delivery
        self.reason: str | None = None


class RabbitConsumer(Consumer):
    """One queue of the process's consuming connection."""

    def __init__(
        self, link: ConsumerLink, publisher: Publisher, in_hand: UnackedTurns, queue: str, timeout: float
    ) -> None:
        self._link = link
        self._publisher = publisher
        self._in_hand = in_hand
        self._queue = queue
        self._timeout = timeout

    def __next__(self) -> RabbitMessage | None:
        delivery = self._link.next(self._queue, self._timeout)
        if delivery is None:
            return None
        message: dramatiq.Message[Any] = dramatiq.Message.decode(delivery.body)
        if "body" in message.kwargs:
            message.kwargs["queue"] = self._queue
        self._in_hand.add(message)
        return RabbitMessage(message.copy(queue_name=self._queue), delivery)

    def ack(self, message: MessageProxy) -> None:
        """The message is done with."""
        self._link.acknowledge(_rabbit(message).delivery)

    def nack(self, message: MessageProxy) -> None:
        """Dead-letter the message with its reason, or have it delivered again if it has none."""
        failed = _rabbit(message)
        if failed.reason is None:
            self._link.requeue(failed.delivery)
            return
        headers = {**failed.delivery.headers, "x-kyb-reason": failed.reason}
        letter = OutboundMessage(
            "", dead(self._queue), failed.delivery.body, CLOUD_EVENT, failed.message_id, headers
        )
        try:
            self._publisher.publish([letter])
        except BrokerUnavailable:
            self._link.requeue(failed.delivery)
        else:
            self._link.acknowledge(failed.delivery)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Closing the connection hands unsettled messages back: nothing to do."""


class RabbitBroker(dramatiq.Broker):
    """RabbitMQ by the contract's topology.

    It enqueues nothing: turns are handed out by the dispatcher alone, from the ledger.
    """

    def __init__(self, urls: Urls, queues: list[str], prefetch: int, publisher: Publisher) -> None:
        self.unacked = UnackedTurns()
        super().__init__(middleware=[Settlement(), self.unacked])
        self.link = ConsumerLink(urls, queues, prefetch)
        self._publisher = publisher

    def declare_queue(self, queue_name: str) -> None:
        """Know the queue; RabbitMQ's topology is declared with every connection."""
        if queue_name not in self.queues:
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 1000) -> Consumer:  # noqa: ARG002 - the link has its own prefetch
        """A consumer of the queue; `timeout` in milliseconds."""
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        return RabbitConsumer(self.link, self._publisher, self.unacked, queue_name, timeout / 1000)


class EmbeddedBroker(StubBroker):
    """Dramatiq's broker in memory. It forgets everything with its process: the ledger does not."""

    def __init__(self) -> None:
        self.unacked = UnackedTurns()
        super().__init__(middleware=[self.unacked])


def _rabbit(message: MessageProxy) -> RabbitMessage:
    if not isinstance(message, RabbitMessage):
        msg = "not a message of this broker"
        raise TypeError(msg)
    return message
