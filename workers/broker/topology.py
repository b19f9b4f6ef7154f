"""RabbitMQ's exchanges and queues, which each worker declares after each connect.

Declaring is idempotent, and RabbitMQ 3.10 may lose a queue that was declared just before a crash.
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

#: Retention of the event stream.
EVENT_LOG_MAX_AGE = "7D"

#: RabbitMQ dead-letters a message after this number of deliveries that ended with a crash of the worker. The job of a
#: poison message fails sooner (`workers.engine.turns.BEGIN_LIMIT`), so messages that were merely delivered to the
#: same workers stay below this limit.
DELIVERY_LIMIT = 20

#: Dead letters are never dropped: browsing delivers them, and RabbitMQ 4 drops a message after 20 deliveries by default.
NO_DELIVERY_LIMIT = 2_000_000_000

_QUORUM_ARGUMENTS = {"x-queue-type": "quorum"}
_DEAD_LETTER_ARGUMENTS = {**_QUORUM_ARGUMENTS, "x-delivery-limit": NO_DELIVERY_LIMIT}


def dead_letter_queue(queue: str) -> str:
    """Return the name of the dead-letter queue of `queue`."""
    return f"{queue}.dead"


def declare_at(parameters: pika.URLParameters) -> None:
    """Declare the topology at a node, over a connection of its own. Raises `BrokerUnavailable`."""
    try:
        with connect(parameters) as connection:
            declare(connection)
    except (AMQPError, OSError) as error:
        raise BrokerUnavailable(f"the connection broke ({type(error).__name__}: {error})") from None


def declare(connection: pika.BlockingConnection) -> None:
    """Declare the topology. Raises `pika.exceptions.AMQPError`.

    The event log comes last and may fail: a stream is unavailable for about a second after the start of its node
    (RabbitMQ answers 404). Commands flow without it, and its binding is kept.
    """
    channel = connection.channel()
    _declare_commands(channel)
    channel.exchange_declare(EVENTS, "topic", durable=True)
    try:
        channel.queue_declare(
            EVENT_LOG, durable=True, arguments={"x-queue-type": "stream", "x-max-age": EVENT_LOG_MAX_AGE}
        )
        channel.queue_bind(EVENT_LOG, EVENTS, "#")
    except ChannelClosedByBroker as error:
        log.warning("event log unavailable", queue=EVENT_LOG, error=str(error))
    else:
        channel.close()


def _declare_commands(channel: BlockingChannel) -> None:
    channel.exchange_declare(UNROUTABLE, "fanout", durable=True)
    channel.queue_declare(UNROUTABLE, durable=True, arguments=_DEAD_LETTER_ARGUMENTS)
    channel.queue_bind(UNROUTABLE, UNROUTABLE)

    channel.exchange_declare(COMMANDS, "topic", durable=True, arguments={"alternate-exchange": UNROUTABLE})
    for queue, key in QUEUES.items():
        channel.queue_declare(dead_letter_queue(queue), durable=True, arguments=_DEAD_LETTER_ARGUMENTS)
        channel.queue_declare(
            queue,
            durable=True,
            arguments={
                **_QUORUM_ARGUMENTS,
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": dead_letter_queue(queue),
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        channel.queue_bind(queue, COMMANDS, key)
