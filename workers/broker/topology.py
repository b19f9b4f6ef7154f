"""RabbitMQ's exchanges and queues, declared again by every worker after every connect.

Declaring is idempotent, and RabbitMQ 3.10 may forget a queue that was declared just before a crash.
"""

from __future__ import annotations

import pika
import structlog
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker

from messages.catalogue import QUEUES
from workers.broker.connection import BrokerUnavailable, connect

log = structlog.get_logger("kyb.broker")

COMMANDS = "kyb.commands"
EVENTS = "kyb.events"
EVENT_LOG = "kyb.events.log"
UNROUTABLE = "kyb.unroutable"

#: How long the stream keeps events.
EVENT_LOG_AGE = "7D"

#: Deliveries of one message that end in a dead worker before it is dead-lettered. The ledger gives a turn up
#: sooner (`workers.engine.turns.TAKE_LIMIT`), so that messages that merely stood beside a bad one stay clear of this.
DELIVERY_LIMIT = 20

#: Dead letters are never dropped: whoever looks at them delivers them, and RabbitMQ 4 counts that up to 20.
NO_LIMIT = 2_000_000_000

_QUORUM = {"x-queue-type": "quorum"}
_LETTERS = {**_QUORUM, "x-delivery-limit": NO_LIMIT}


def dead(queue: str) -> str:
    """The dead-letter queue of `queue`."""
    return f"{queue}.dead"


def declare_at(parameters: pika.URLParameters) -> None:
    """Declare everything at a node, over a connection for that alone. Raises `BrokerUnavailable`."""
    try:
        with connect(parameters) as connection:
            declare(connection)
    except (AMQPError, OSError) as error:
        raise BrokerUnavailable(f"the connection broke ({type(error).__name__}: {error})") from None


def declare(connection: pika.BlockingConnection) -> None:
    """Declare everything. Raises `pika.exceptions.AMQPError`.

    The event log comes last and may fail: a stream is not there for about a second after its node has
    started (RabbitMQ answers 404), and commands flow without it. Its binding outlasts that.
    """
    channel = connection.channel()
    _declare_commands(channel)
    channel.exchange_declare(EVENTS, "topic", durable=True)
    try:
        channel.queue_declare(
            EVENT_LOG, durable=True, arguments={"x-queue-type": "stream", "x-max-age": EVENT_LOG_AGE}
        )
        channel.queue_bind(EVENT_LOG, EVENTS, "#")
    except ChannelClosedByBroker as error:
        log.warning("event log unavailable", queue=EVENT_LOG, error=str(error))
    else:
        channel.close()


def _declare_commands(channel: BlockingChannel) -> None:
    channel.exchange_declare(UNROUTABLE, "fanout", durable=True)
    channel.queue_declare(UNROUTABLE, durable=True, arguments=_LETTERS)
    channel.queue_bind(UNROUTABLE, UNROUTABLE)

    channel.exchange_declare(COMMANDS, "topic", durable=True, arguments={"alternate-exchange": UNROUTABLE})
    for queue, key in QUEUES.items():
        channel.queue_declare(dead(queue), durable=True, arguments=_LETTERS)
        channel.queue_declare(
            queue,
            durable=True,
            arguments={
                **_QUORUM,
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": dead(queue),
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        channel.queue_bind(queue, COMMANDS, key)
