"""A reader of the stream `kyb.events.log`, which keeps events for seven days."""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime
from typing import Any, Literal, Self

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from workers.broker import topology
from workers.broker.connection import BrokerUnavailable, open_connection

#: Maximum number of unacked events; RabbitMQ requires a limit for streams.
PREFETCH_EVENTS = 200


class EventStream:
    """A reader of the stream. Reading removes nothing and does not affect other readers.

        with EventStream(urls, "next") as stream:
            body = stream.read(1.0)

    Args:
        urls: of RabbitMQ's nodes.
        start: `first`, `next` (new events only) or a time; slightly older events may be read too.

    Entering and reading raise `BrokerUnavailable`.
    """

    def __init__(self, urls: str, start: Literal["first", "next"] | datetime) -> None:
        self._urls = urls
        self._start = start
        self._inbox: deque[bytes] = deque()
        self._connection: pika.BlockingConnection | None = None

    def __enter__(self) -> Self:
        connection = self._connection = open_connection(self._urls, "kyb-workers events")
        try:
            topology.declare(connection)
            channel = connection.channel()
            channel.basic_qos(prefetch_count=PREFETCH_EVENTS)
            channel.basic_consume(
                topology.EVENT_LOG, self._deliver, arguments={"x-stream-offset": self._start}
            )
            channel.add_on_cancel_callback(lambda _: connection.close())
        except (AMQPError, OSError) as error:
            self.__exit__()
            raise BrokerUnavailable(f"the connection broke ({type(error).__name__})") from None
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        connection, self._connection = self._connection, None
        # Ctrl-C interrupts pika in the middle of its work: the connection cannot be closed, and ends with the process.
        interrupted = kind is not None and not issubclass(kind, Exception)
        if connection is not None and connection.is_open and not interrupted:
            connection.close()

    def read(self, timeout: float) -> bytes | None:
        """Return the body of the next event, None after `timeout` seconds without one."""
        ends_at = time.monotonic() + timeout
        while not self._inbox:
            remaining = ends_at - time.monotonic()
            if remaining <= 0:
                return None
            if self._connection is None:
                raise BrokerUnavailable("the connection is closed")
            try:
                self._connection.process_data_events(time_limit=remaining)
            except (AMQPError, OSError) as error:
                raise BrokerUnavailable(f"the connection broke ({type(error).__name__})") from None
        return self._inbox.popleft()

    def _deliver(self, channel: BlockingChannel, method: Any, _: object, body: bytes) -> None:
        self._inbox.append(body)
        channel.basic_ack(method.delivery_tag)
