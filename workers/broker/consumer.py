"""Consuming all queues of a process over one connection, in one thread.

A delivery tag means something only on the channel that delivered it, and RabbitMQ counts anew on the next
one. So a delivery remembers its channel and is settled there or not at all: RabbitMQ delivers it again.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import pika
import structlog
from pika.channel import Channel

from workers.broker import topology
from workers.broker.connection import BrokerUnavailable, Urls, reach
from workers.observability.heartbeat import Heartbeat

log = structlog.get_logger("kyb.broker")

#: Seconds between two attempts to connect.
RECONNECT_DELAY_SECONDS = 1.0
#: Seconds between two questions whether RabbitMQ still answers on a channel that consumes.
PING_INTERVAL_SECONDS = 2.0
#: RabbitMQ counts as unavailable when a ping was not answered for this long.
ANSWER_TIMEOUT_SECONDS = 5.0
#: Whatever the consuming thread waits for ends sooner than this, by timeouts and heartbeats.
CONSUMER_STUCK_SECONDS = 300.0


@dataclass(frozen=True)
class Delivery:
    """A message as it came; `tag` counts on `channel` alone."""

    channel: Channel
    tag: int
    redelivered: bool
    headers: Mapping[str, object]
    body: bytes


class ConsumerLink:
    """One connection that consumes, kept up for as long as the process lives.

    Everything that is done on the connection is done in its thread, by callbacks: pika's blocking connection would
    cost several times as much for each acknowledgement.

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
        self._guard = threading.Lock()
        self._connection: pika.SelectConnection | None = None
        self._channels: list[Channel] = []
        #: Channels that have not answered the last question.
        self._silent: set[Channel] = set()
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)
        #: Set while every queue is being consumed.
        self.up = threading.Event()
        #: Beats while RabbitMQ answers on every channel.
        self.answers = Heartbeat(PING_INTERVAL_SECONDS + ANSWER_TIMEOUT_SECONDS)
        #: Beats with every round of the thread, RabbitMQ away or not.
        self.turning = Heartbeat(CONSUMER_STUCK_SECONDS)

    def start(self) -> None:
        """Begin; connecting goes on in the background until it works."""
        self._thread.start()

    def stop(self) -> None:
        """Close the connection: RabbitMQ hands what is not settled to somebody else."""
        self._stopping.set()
        self._call(self._close)
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
            if delivery.channel.is_open:  # or RabbitMQ delivers it again
                settle()

        self._call(settle_there)

    def _call(self, function: Callable[[], None]) -> None:
        """Do something in the connection's thread; nothing if there is no connection."""
        with self._guard:
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(function)

    # -- in the connection's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.turning.beat()
            try:
                connection = reach(self._urls, "kyb-workers consumer", self._dial)
            except BrokerUnavailable as error:
                log.warning("broker unavailable", error=str(error))
            else:
                self._serve(connection)
            self._stopping.wait(RECONNECT_DELAY_SECONDS)

    def _dial(self, parameters: pika.URLParameters) -> pika.SelectConnection:
        topology.declare_at(parameters)
        return pika.SelectConnection(
            parameters,
            on_open_callback=self._opened,
            on_open_error_callback=self._closed,
            on_close_callback=self._closed,
        )

    def _serve(self, connection: pika.SelectConnection) -> None:
        """Consume until the connection is closed."""
        self._channels, self._silent = [], set()
        with self._guard:
            self._connection = connection
        try:
            connection.ioloop.start()
        finally:
            self.up.clear()
            self.answers.stop()
            with self._guard:
                self._connection = None
            if connection.is_open:  # a callback failed: what is not settled is wanted elsewhere
                connection.close()
                connection.ioloop.start()
            connection.ioloop.close()

    def _opened(self, connection: pika.SelectConnection) -> None:
        if self._stopping.is_set():
            connection.close()
            return
        for name in self._inboxes:
            connection.channel(on_open_callback=partial(self._consume, name))

    def _consume(self, name: str, channel: Channel) -> None:
        channel.add_on_close_callback(lambda _, __: self._close())
        channel.add_on_cancel_callback(lambda _: self._close())  # e.g. the queue was deleted
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(name, partial(self._deliver, name), callback=lambda _: self._consuming(channel))

    def _consuming(self, channel: Channel) -> None:
        self._channels.append(channel)
        if len(self._channels) == len(self._inboxes):
            self.up.set()
            self.answers.beat()
            log.info("consuming", queues=list(self._inboxes))
            self._later()

    def _later(self) -> None:
        if self._connection is not None:
            self._connection.ioloop.call_later(PING_INTERVAL_SECONDS, self._ask)

    def _ask(self) -> None:
        """Find out whether RabbitMQ still answers; it closes the connection if it knows nothing of a channel.

        It is asked for what is so already: how many messages the channel takes.
        """
        self.turning.beat()
        if not self._silent:
            self._silent = {channel for channel in self._channels if channel.is_open}
            for channel in self._channels:
                if channel.is_open:
                    channel.basic_qos(
                        prefetch_count=self._prefetch, callback=partial(self._answered, channel)
                    )
        self._later()

    def _answered(self, channel: Channel, _: object) -> None:
        self._silent.discard(channel)
        if not self._silent:
            self.answers.beat()

    def _deliver(
        self,
        name: str,
        channel: Channel,
        method: pika.spec.Basic.Deliver,
        properties: pika.BasicProperties,
        body: bytes,
    ) -> None:
        delivery = Delivery(channel, method.delivery_tag, method.redelivered, properties.headers or {}, body)
        self._inboxes[name].put(delivery)

    def _close(self) -> None:
        """Close the connection, unless that is under way; one that is being opened closes when it is open."""
        if self._connection is not None and self._connection.is_open:
            self._connection.close()

    def _closed(self, connection: pika.SelectConnection, error: object) -> None:
        if not self._stopping.is_set():
            log.warning("broker unavailable", error=str(error) or type(error).__name__)
        connection.ioloop.stop()
