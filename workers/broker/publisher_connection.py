"""The publishing connection with publisher confirms, which runs in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count

import pika
import structlog
from pika.channel import Channel
from pika.frame import Method

from workers.broker.connection import BrokerUnavailable

log = structlog.get_logger("kyb.broker")

#: RabbitMQ must answer within this time. Heartbeats would notice a broker that hangs much later. And when the leader
#: node of a queue dies during a publish, the connected node may never confirm the message (seen on 3.10 with three
#: nodes): work must continue within 15 s even then.
CONFIRM_TIMEOUT_SECONDS = 8.0


@dataclass(frozen=True)
class OutboundMessage:
    """A message to publish; directly to a queue if `exchange` is empty."""

    exchange: str
    routing_key: str
    body: bytes
    content_type: str
    message_id: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)


class ConfirmingConnection:
    """A connection that publishes whole batches and waits for their confirms.

    RabbitMQ confirms many messages with one answer, so a batch takes hardly longer than a single message. The thread
    answers heartbeats while the process is idle. It serves one caller at a time. A broken connection stays broken.

    Args:
        parameters: of the node.

    Raises:
        BrokerUnavailable: by the constructor and by every method but `close`.
    """

    def __init__(self, parameters: pika.URLParameters) -> None:
        self._lock = threading.Lock()
        self._error: str | None = None
        self._result: Future[int] = Future()
        self._tags = count(1)
        self._unconfirmed: set[int] = set()
        self._rejection: str | None = None
        self._publish_channel: Channel | None = None
        self._query_channel: Channel | None = None
        self._connection = pika.SelectConnection(
            parameters,
            on_open_callback=lambda connection: connection.channel(
                on_open_callback=self._open_publish_channel
            ),
            on_open_error_callback=lambda _, error: self._break(error),
            on_close_callback=lambda _, error: self._break(error),
        )
        threading.Thread(target=self._serve, name="publisher", daemon=True).start()
        self._wait(self._result)

    @property
    def broken(self) -> bool:
        """Whether the connection can no longer be used."""
        return self._error is not None

    def publish(self, batch: Sequence[OutboundMessage]) -> None:
        """Publish messages in order and wait until RabbitMQ has stored all of them."""
        if batch:
            self._call(lambda: self._send(batch))

    def queue_depth(self, queue: str) -> int:
        """Return how many messages are ready in a queue."""
        return self._call(lambda: self._declare_passively(queue))

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(BrokerUnavailable):
            self._call(self._connection.close)

    # -- in the caller's thread -------------------------------------------------------------------------

    def _call(self, function: Callable[[], None]) -> int:
        with self._lock:
            if self._error is not None:
                raise BrokerUnavailable(self._error)
            result = self._result = Future()
            self._connection.ioloop.add_callback_threadsafe(function)
        return self._wait(result)

    def _wait(self, result: Future[int]) -> int:
        try:
            return result.result(CONFIRM_TIMEOUT_SECONDS)
        except TimeoutError:
            self._error = f"RabbitMQ has not answered for {CONFIRM_TIMEOUT_SECONDS:.0f} s"
            self._connection.ioloop.add_callback_threadsafe(self._connection.ioloop.stop)
            raise BrokerUnavailable(self._error) from None

    # -- in the connection's thread ---------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            self._connection.ioloop.start()
        except Exception as error:
            log.exception("unhandled exception")
            self._break(error)
        finally:
            self._connection.ioloop.close()

    def _open_publish_channel(self, channel: Channel) -> None:
        self._publish_channel = channel
        channel.add_on_close_callback(lambda _, error: self._break(error))
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(
            self._on_confirm, lambda _: self._connection.channel(on_open_callback=self._open_query_channel)
        )

    def _open_query_channel(self, channel: Channel) -> None:
        self._query_channel = channel
        channel.add_on_close_callback(lambda _, error: self._break(error))
        self._resolve(0)

    def _send(self, batch: Sequence[OutboundMessage]) -> None:
        if self._publish_channel is None or not self._publish_channel.is_open:
            return  # the connection is breaking, and `_break` answers the caller
        self._rejection = None
        for message in batch:
            self._unconfirmed.add(next(self._tags))
            self._publish_channel.basic_publish(
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

    def _on_return(self, _channel: Channel, method: pika.spec.Basic.Return, *_: object) -> None:
        self._rejection = (
            f"RabbitMQ has no queue for a message ({method.reply_text})"  # RabbitMQ confirms it next
        )

    def _on_confirm(self, frame: Method) -> None:
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        settled = {sent for sent in self._unconfirmed if sent <= tag} if multiple else {tag}
        self._unconfirmed -= settled
        if isinstance(frame.method, pika.spec.Basic.Nack):
            self._rejection = "RabbitMQ did not take a message"
        if not self._unconfirmed:
            if self._rejection is None:
                self._resolve(0)
            else:
                self._fail(self._rejection)

    def _declare_passively(self, queue: str) -> None:
        if self._query_channel is not None and self._query_channel.is_open:
            self._query_channel.queue_declare(
                queue, passive=True, callback=lambda frame: self._resolve(frame.method.message_count)
            )

    def _resolve(self, value: int) -> None:
        if not self._result.done():
            self._result.set_result(value)

    def _fail(self, message: str) -> None:
        if not self._result.done():
            self._result.set_exception(BrokerUnavailable(message))

    def _break(self, error: object) -> None:
        with self._lock:
            self._error = self._error or f"the connection broke ({type(error).__name__}: {error})"
        self._fail(self._error)
        if self._connection.is_closed:
            self._connection.ioloop.stop()
        elif not self._connection.is_closing:
            self._connection.close()
