"""Consuming all queues of a process over one connection, in one thread.

A delivery tag means something only on the channel that delivered it, and RabbitMQ counts anew on the next
one. So a delivery remembers its channel and is settled there or not at all: RabbitMQ delivers it again.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pika
import structlog
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ConnectionWrongStateError

from workers.broker import topology
from workers.broker.connection import BrokerUnavailable, Urls, open_connection
from workers.observe.health import CONSUMER_STUCK, PATIENCE
from workers.observe.pulse import Pulse

log = structlog.get_logger("kyb.broker")

#: Seconds between two attempts to connect.
RECONNECT_DELAY = 1.0
#: Seconds between two questions whether RabbitMQ still answers on a channel that consumes.
ASK = 2.0


@dataclass(frozen=True)
class Delivery:
    """A message as it came; `tag` counts on `channel` alone."""

    channel: BlockingChannel
    tag: int
    redelivered: bool
    headers: Mapping[str, object]
    body: bytes


class ConsumerLink:
    """One connection that consumes, kept up for as long as the process lives.

    Args:
        urls: of RabbitMQ's nodes.
        queues: to consume.
        prefetch: unsettled messages per queue.
    """

    def __init__(self, urls: Urls, queues: list[str], prefetch: int) -> None:
        self._urls = urls
        self._prefetch = prefetch
        self._inboxes: dict[str, queue.Queue[Delivery]] = {name: queue.Queue() for name in queues}
        self._stopping = threading.Event()
        self._connection: pika.BlockingConnection | None = None
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)
        #: Set while every queue is being consumed.
        self.up = threading.Event()
        #: Beats while RabbitMQ answers on every channel.
        self.answers = Pulse(ASK + PATIENCE)
        #: Beats with every round of the thread, RabbitMQ away or not.
        self.turning = Pulse(CONSUMER_STUCK)

    def start(self) -> None:
        """Begin; connecting goes on in the background until it works."""
        self._thread.start()

    def stop(self) -> None:
        """Close the connection: RabbitMQ hands what is not settled to somebody else."""
        self._stopping.set()
        self._call(lambda: None)
        self._thread.join()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def next(self, name: str, timeout: float) -> Delivery | None:
        """The next delivery from a queue; None after `timeout` seconds, or if its channel is gone."""
        try:
            delivery = self._inboxes[name].get(timeout=timeout)
        except queue.Empty:
            return None
        return delivery if delivery.channel.is_open else None

    def acknowledge(self, delivery: Delivery) -> None:
        """The message is done with."""
        self._settle(delivery, lambda: delivery.channel.basic_ack(delivery.tag))

    def requeue(self, delivery: Delivery) -> None:
        """Hand the message back; RabbitMQ counts that (`basic.nack` it would not, from 4.3 on)."""
        self._settle(delivery, lambda: delivery.channel.basic_reject(delivery.tag, requeue=True))

    def _settle(self, delivery: Delivery, settle: Callable[[], None]) -> None:
        def settle_there() -> None:
            if delivery.channel.is_open:
                settle()

        self._call(settle_there)

    def _call(self, function: Callable[[], None]) -> None:
        """Do something in the connection's thread; nothing if there is no connection."""
        connection = self._connection
        if connection is not None:
            try:
                connection.add_callback_threadsafe(function)
            except ConnectionWrongStateError:
                log.debug("the connection that delivered a message is gone: RabbitMQ delivers it again")

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.turning.beat()
            try:
                self._connection = open_connection(self._urls, "kyb-workers consumer")
                self._consume(self._connection)
            except (BrokerUnavailable, AMQPError, OSError) as error:
                log.warning("not consuming", error=str(error) or type(error).__name__)
            finally:
                self.up.clear()
                self.answers.stop()
                self._close()
            self._stopping.wait(RECONNECT_DELAY)

    def _consume(self, connection: pika.BlockingConnection) -> None:
        topology.declare(connection)
        channels = []
        for name in self._inboxes:
            channel = connection.channel()
            channel.basic_qos(prefetch_count=self._prefetch)
            channel.basic_consume(name, partial(self._deliver, name))
            channel.add_on_cancel_callback(lambda _: connection.close())  # e.g. the queue was deleted
            channels.append(channel)
        self.up.set()
        self.answers.beat()
        log.info("consuming", queues=list(self._inboxes))
        asked = time.monotonic()
        while not self._stopping.is_set():
            self.turning.beat()
            connection.process_data_events(time_limit=1.0)
            if time.monotonic() - asked >= ASK:
                asked = time.monotonic()
                self._ask(channels)

    def _ask(self, channels: list[BlockingChannel]) -> None:
        """Find out whether RabbitMQ still answers. Raises `AMQPError` where it closed a channel without a word.

        It is asked for what is so already: how many messages the channel takes.
        """
        for channel in channels:
            channel.basic_qos(prefetch_count=self._prefetch)
        self.answers.beat()

    def _deliver(
        self,
        name: str,
        channel: BlockingChannel,
        method: pika.spec.Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        delivery = Delivery(channel, method.delivery_tag, method.redelivered, properties.headers or {}, body)
        self._inboxes[name].put(delivery)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.is_open:
            try:
                connection.process_data_events(0)  # settlements that were asked for
                connection.close()
            except (AMQPError, OSError) as error:
                log.debug("closing the consuming connection failed", error=type(error).__name__)
