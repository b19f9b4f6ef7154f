"""Opening connections to RabbitMQ."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

import pika
from pika.exceptions import AMQPError

T = TypeVar("T")

#: Seconds: a silent link is noticed after two of these.
HEARTBEAT = 30
#: Seconds that a publish may be blocked by a broker short of memory or disk before it fails.
BLOCKED_TIMEOUT = 10
#: Seconds to open a socket, and then to agree on AMQP.
CONNECT_TIMEOUT = 5


class BrokerUnavailable(Exception):
    """RabbitMQ cannot be reached or does not take messages just now."""


def reach(urls: str, name: str, use: Callable[[pika.URLParameters], T]) -> T:
    """What `use` makes of the first node that answers, tried in random order.

    Args:
        urls: one or several `amqp://` or `amqps://` URLs, separated by `;`.
        name: shown for the connection in RabbitMQ's own tools.
        use: connects; raises `BrokerUnavailable` if it cannot.

    Raises:
        BrokerUnavailable: none answers.
    """
    nodes = [url.strip() for url in urls.split(";") if url.strip()]
    trouble = BrokerUnavailable("cannot reach RabbitMQ (no URL)")
    for url in random.sample(nodes, len(nodes)):
        parameters = pika.URLParameters(url)
        parameters.heartbeat = HEARTBEAT
        parameters.blocked_connection_timeout = BLOCKED_TIMEOUT
        parameters.socket_timeout = CONNECT_TIMEOUT
        parameters.stack_timeout = 2 * CONNECT_TIMEOUT
        parameters.client_properties = {"connection_name": name}
        try:
            return use(parameters)
        except BrokerUnavailable as error:
            trouble = error
    raise trouble


def connect(parameters: pika.URLParameters) -> pika.BlockingConnection:
    """Connect to one node. Raises `BrokerUnavailable`."""
    try:
        return pika.BlockingConnection(parameters)
    except (AMQPError, OSError) as error:
        trouble = f"{parameters.host}:{parameters.port}: {type(error).__name__}"
        raise BrokerUnavailable(f"cannot reach RabbitMQ ({trouble})") from None


def open_connection(urls: str, name: str) -> pika.BlockingConnection:
    """Connect to one of the nodes; arguments and error as `reach`."""
    return reach(urls, name, connect)
