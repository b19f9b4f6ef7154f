"""One connection for publishing, served by a thread of its own."""

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

#: Seconds until RabbitMQ must have answered. One that hangs would be noticed by its heartbeats much later. And where
#: the node that leads a queue dies with a message on its way, the node that we talk to may wait for ever to confirm it
#: (seen on 3.10, three nodes): work is to go on within 15 s even then.
CONFIRM_TIMEOUT_SECONDS = 8.0


@dataclass(frozen=True)
class OutboundMessage:
    """A message to publish; to a queue directly where `exchange` is empty."""

    exchange: str
    routing_key: str
    body: bytes
    content_type: str
    message_id: str | None = None
    headers: Mapping[str, object] = field(default_factory=dict)


class ConfirmingConnection:
    """A connection on which whole batches are sent and then waited for.

    RabbitMQ confirms many messages with one answer, so a batch takes hardly longer than a single message.
    Heartbeats are answered however idle the process is. One caller at a time; once broken it stays so.

    Args:
        parameters: of the node.

    Raises:
        BrokerUnavailable: as does every method but `close`.
    """

    def __init__(self, parameters: pika.URLParameters) -> None:
        self._guard = threading.Lock()
        self._trouble: str | None = None
        self._answer: Future[int] = Future()
        self._tags = count(1)
        self._unconfirmed: set[int] = set()
        self._refused: str | None = None
        self._publishing: Channel | None = None
        self._asking: Channel | None = None
        self._connection = pika.SelectConnection(
            parameters,
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._first_channel),
            on_open_error_callback=lambda _, error: self._break(error),
            on_close_callback=lambda _, error: self._break(error),
        )
        threading.Thread(target=self._serve, name="publisher", daemon=True).start()
        self._wait(self._answer)

    @property
    def broken(self) -> bool:
        """Whether it is of no use any more."""
        return self._trouble is not None

    def publish(self, batch: Sequence[OutboundMessage]) -> None:
        """Send messages in order and wait until RabbitMQ has stored every one of them."""
        if batch:
            self._ask(lambda: self._send(batch))

    def ready(self, queue: str) -> int:
        """How many messages wait in a queue."""
        return self._ask(lambda: self._count(queue))

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(BrokerUnavailable):
            self._ask(self._connection.close)

    # -- in the caller's thread -------------------------------------------------------------------------

    def _ask(self, question: Callable[[], None]) -> int:
        with self._guard:
            if self._trouble is not None:
                raise BrokerUnavailable(self._trouble)
            answer = self._answer = Future()
            self._connection.ioloop.add_callback_threadsafe(question)
        return self._wait(answer)

    def _wait(self, answer: Future[int]) -> int:
        try:
            return answer.result(CONFIRM_TIMEOUT_SECONDS)
        except TimeoutError:
            self._trouble = f"RabbitMQ has not answered for {CONFIRM_TIMEOUT_SECONDS:.0f} s"
            self._connection.ioloop.add_callback_threadsafe(self._connection.ioloop.stop)
            raise BrokerUnavailable(self._trouble) from None

    # -- in the connection's thread ---------------------------------------------------------------------

    def _serve(self) -> None:
        try:
            self._connection.ioloop.start()
        except Exception as error:
            log.exception("unhandled exception")
            self._break(error)
        finally:
            self._connection.ioloop.close()

    def _first_channel(self, channel: Channel) -> None:
        self._publishing = channel
        channel.add_on_close_callback(lambda _, error: self._break(error))
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(
            self._confirmed, lambda _: self._connection.channel(on_open_callback=self._second_channel)
        )

    def _second_channel(self, channel: Channel) -> None:
        self._asking = channel
        channel.add_on_close_callback(lambda _, error: self._break(error))
        self._tell(0)

    def _send(self, batch: Sequence[OutboundMessage]) -> None:
        if self._publishing is None or not self._publishing.is_open:
            return  # the answer is on its way: the connection breaks
        self._refused = None
        for message in batch:
            self._unconfirmed.add(next(self._tags))
            self._publishing.basic_publish(
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

    def _returned(self, _channel: Channel, method: pika.spec.Basic.Return, *_: object) -> None:
        self._refused = f"RabbitMQ has no queue for a message ({method.reply_text})"  # and confirms it next

    def _confirmed(self, frame: Method) -> None:
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        settled = {known for known in self._unconfirmed if known <= tag} if multiple else {tag}
        self._unconfirmed -= settled
        if isinstance(frame.method, pika.spec.Basic.Nack):
            self._refused = "RabbitMQ did not take a message"
        if not self._unconfirmed:
            if self._refused is None:
                self._tell(0)
            else:
                self._fail(self._refused)

    def _count(self, queue: str) -> None:
        if self._asking is not None and self._asking.is_open:
            self._asking.queue_declare(
                queue, passive=True, callback=lambda frame: self._tell(frame.method.message_count)
            )

    def _tell(self, value: int) -> None:
        if not self._answer.done():
            self._answer.set_result(value)

    def _fail(self, trouble: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(BrokerUnavailable(trouble))

    def _break(self, error: object) -> None:
        with self._guard:
            self._trouble = self._trouble or f"the connection broke ({type(error).__name__}: {error})"
        self._fail(self._trouble)
        if self._connection.is_closed:
            self._connection.ioloop.stop()
        elif not self._connection.is_closing:
            self._connection.close()
