"""The consuming connection of a process: one connection and one thread for all queues.

A delivery tag is valid only on the channel that delivered it. A delivery therefore keeps its channel and is settled
there or not at all; in that case RabbitMQ delivers it again.
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
from workers.broker.connection import BrokerUnavailable, Urls, connect_to_any
from workers.observability.heartbeat import Heartbeat

log = structlog.get_logger("kyb.broker")

#: Interval between two attempts to connect.
RECONNECT_DELAY_SECONDS = 1.0
#: Interval between two pings on each consuming channel.
PING_INTERVAL_SECONDS = 2.0
#: RabbitMQ counts as unavailable when a ping was not answered for this time.
ANSWER_TIMEOUT_SECONDS = 5.0
#: The consuming thread is stuck after this time: all its waits end sooner, by timeouts and heartbeats.
CONSUMER_STUCK_SECONDS = 300.0


@dataclass(frozen=True)
class Delivery:
    """A message as delivered; `tag` is valid only on `channel`."""

    channel: Channel
    tag: int
    redelivered: bool
    headers: Mapping[str, object]
    body: bytes


class ConsumerLink:
    """The consuming connection, which reconnects for the life of the process.

    The connection is used only in its own thread, by callbacks: with pika's blocking connection each acknowledgement
    takes several times as long.

    Args:
        urls: of RabbitMQ's nodes.
        queues: to consume.
        prefetch: maximum number of unacked messages per queue.
    """

    def __init__(self, urls: Urls, queues: list[str], prefetch: int) -> None:
        self._urls = urls
        self._prefetch = prefetch
        self._inboxes: dict[str, queue.Queue[Delivery]] = {name: queue.Queue() for name in queues}
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._connection: pika.SelectConnection | None = None
        self._channels: list[Channel] = []
        #: Channels that have not answered the last ping.
        self._unanswered: set[Channel] = set()
        self._thread = threading.Thread(target=self._run, name="consumer", daemon=True)
        #: Set while every queue is being consumed.
        self.consuming = threading.Event()
        #: Beats while RabbitMQ answers on every channel.
        self.broker_heartbeat = Heartbeat(PING_INTERVAL_SECONDS + ANSWER_TIMEOUT_SECONDS)
        #: Beats while the thread runs, whether RabbitMQ is available or not.
        self.thread_heartbeat = Heartbeat(CONSUMER_STUCK_SECONDS)

    def start(self) -> None:
        """Start the thread, which connects in the background until it succeeds."""
        self._thread.start()

    def stop(self) -> None:
        """Close the connection: RabbitMQ redelivers the unacked messages to other consumers."""
        self._stopping.set()
        self._call_in_thread(self._close)
        self._thread.join()

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def receive(self, queue_name: str, timeout: float) -> Delivery | None:
        """Return the next delivery from a queue, None after `timeout` seconds or if its channel is closed."""
        try:
            delivery = self._inboxes[queue_name].get(timeout=timeout)
        except queue.Empty:
            return None
        return delivery if delivery.channel.is_open else None

    def acknowledge(self, delivery: Delivery) -> None:
        """Acknowledge the message."""
        self._settle(delivery, lambda: delivery.channel.basic_ack(delivery.tag))

    def requeue(self, delivery: Delivery) -> None:
        """Requeue the message. RabbitMQ counts a `basic.reject`; from 4.3 on it does not count a `basic.nack`."""
        self._settle(delivery, lambda: delivery.channel.basic_reject(delivery.tag, requeue=True))

    def _settle(self, delivery: Delivery, settle: Callable[[], None]) -> None:
        def settle_if_open() -> None:
            if delivery.channel.is_open:  # otherwise RabbitMQ delivers it again
                settle()

        self._call_in_thread(settle_if_open)

    def _call_in_thread(self, function: Callable[[], None]) -> None:
        """Call the function in the connection's thread; do nothing if there is no connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(function)

    # -- in the connection's thread ---------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.thread_heartbeat.beat()
            try:
                connection = connect_to_any(self._urls, "kyb-workers consumer", self._connect)
            except BrokerUnavailable as error:
                log.warning("broker unavailable", error=str(error))
            else:
                self._serve(connection)
            self._stopping.wait(RECONNECT_DELAY_SECONDS)

    def _connect(self, parameters: pika.URLParameters) -> pika.SelectConnection:
        topology.declare_at(parameters)
        return pika.SelectConnection(
            parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_close,
            on_close_callback=self._on_close,
        )

    def _serve(self, connection: pika.SelectConnection) -> None:
        """Consume until the connection is closed."""
        self._channels, self._unanswered = [], set()
        with self._lock:
            self._connection = connection
        try:
            connection.ioloop.start()
        finally:
            self.consuming.clear()
            self.broker_heartbeat.stop()
            with self._lock:
                self._connection = None
            if connection.is_open:  # a callback failed: let RabbitMQ redeliver the unacked messages
                connection.close()
                connection.ioloop.start()
            connection.ioloop.close()

    def _on_open(self, connection: pika.SelectConnection) -> None:
        if self._stopping.is_set():
            connection.close()
            return
        for name in self._inboxes:
            connection.channel(on_open_callback=partial(self._consume, name))

    def _consume(self, name: str, channel: Channel) -> None:
        channel.add_on_close_callback(lambda _, __: self._close())
        channel.add_on_cancel_callback(lambda _: self._close())  # e.g. the queue was deleted
        channel.basic_qos(prefetch_count=self._prefetch)
        channel.basic_consume(
            name, partial(self._deliver, name), callback=lambda _: self._on_consuming(channel)
        )

    def _on_consuming(self, channel: Channel) -> None:
        self._channels.append(channel)
        if len(self._channels) == len(self._inboxes):
            self.consuming.set()
            self.broker_heartbeat.beat()
            log.info("consuming", queues=list(self._inboxes))
            self._schedule_ping()

    def _schedule_ping(self) -> None:
        if self._connection is not None:
            self._connection.ioloop.call_later(PING_INTERVAL_SECONDS, self._ping)

    def _ping(self) -> None:
        """Ping each channel with a `basic.qos` that changes nothing.

        RabbitMQ closes the connection if it no longer knows the channel.
        """
        self.thread_heartbeat.beat()
        if not self._unanswered:
            self._unanswered = {channel for channel in self._channels if channel.is_open}
            for channel in self._channels:
                if channel.is_open:
                    channel.basic_qos(
                        prefetch_count=self._prefetch, callback=partial(self._on_ping_answered, channel)
                    )
        self._schedule_ping()

    def _on_ping_answered(self, channel: Channel, _: object) -> None:
        self._unanswered.discard(channel)
        if not self._unanswered:
            self.broker_heartbeat.beat()

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
        """Close the connection if it is open; one that is being opened closes in `_on_open`."""
        if self._connection is not None and self._connection.is_open:
            self._connection.close()

    def _on_close(self, connection: pika.SelectConnection, error: object) -> None:
        if not self._stopping.is_set():
            log.warning("broker unavailable", error=str(error) or type(error).__name__)
        connection.ioloop.stop()
