"""Reading the stream `kyb.events.log`, where the events of the last seven days stay."""

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

#: Events on their way to us at once; a stream wants a limit.
PREFETCH = 200


class EventStream:
    """A reader of its own: others are not disturbed, nothing is taken away.

        with EventStream(urls, "next") as stream:
            body = stream.read(1.0)

    Args:
        urls: of RabbitMQ's nodes.
        start: `first`, `next` (what comes from now on), or a time; events a little older than it may come too.

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
            channel.basic_qos(prefetch_count=PREFETCH)
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
        # Whoever presses Ctrl-C does so amid pika's own work: it cannot be told to close, and ends with the process.
        interrupted = kind is not None and not issubclass(kind, Exception)
        if connection is not None and connection.is_open and not interrupted:
            connection.close()

    def read(self, timeout: float) -> bytes | None:
        """The next event's body; None if none comes for `timeout` seconds."""
        ends = time.monotonic() + timeout
        while not self._inbox:
            left = ends - time.monotonic()
            if left <= 0:
                return None
            if self._connection is None:
                raise BrokerUnavailable("the connection is closed")
            try:
                self._connection.process_data_events(time_limit=left)
            except (AMQPError, OSError) as error:
                raise BrokerUnavailable(f"the connection broke ({type(error).__name__})") from None
        return self._inbox.popleft()

    def _deliver(self, channel: BlockingChannel, method: Any, _: object, body: bytes) -> None:
        self._inbox.append(body)
        channel.basic_ack(method.delivery_tag)
