"""Opening connections to RabbitMQ."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Iterator
from typing import TypeVar

import pika
from pika.exceptions import AMQPError, IncompatibleProtocolError

from workers.broker.tls import url_parameters

T = TypeVar("T")

#: One or several URLs, separated by `;`, or what gives those that hold now: it is asked at every connect.
Urls = str | Callable[[], str]

#: Seconds: a silent link is noticed after two of these.
HEARTBEAT_SECONDS = 30
#: Seconds that a publish may be blocked by a broker short of memory or disk before it fails.
BLOCKED_TIMEOUT_SECONDS = 10
#: Seconds to open a socket, and then to agree on AMQP.
CONNECT_TIMEOUT_SECONDS = 5


class BrokerUnavailable(Exception):
    """RabbitMQ cannot be reached or does not take messages just now."""


def reach(urls: Urls, name: str, use: Callable[[pika.URLParameters], T]) -> T:
    """What `use` makes of the first node that answers, tried in random order.

    Args:
        urls: `amqp://` or `amqps://`.
        name: shown for the connection in RabbitMQ's own tools.
        use: connects; raises `BrokerUnavailable` if it cannot.

    Raises:
        BrokerUnavailable: none answers.
    """
    listed = urls if isinstance(urls, str) else urls()
    nodes = [url.strip() for url in listed.split(";") if url.strip()]
    trouble = BrokerUnavailable("cannot reach RabbitMQ (no URL)")
    for url in random.sample(nodes, len(nodes)):
        parameters = url_parameters(url)
        parameters.heartbeat = HEARTBEAT_SECONDS
        parameters.blocked_connection_timeout = BLOCKED_TIMEOUT_SECONDS
        parameters.socket_timeout = CONNECT_TIMEOUT_SECONDS
        parameters.stack_timeout = 2 * CONNECT_TIMEOUT_SECONDS
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
        trouble = f"{parameters.host}:{parameters.port}: {reason(error, parameters)}"
        raise BrokerUnavailable(f"cannot reach RabbitMQ ({trouble})") from None


def open_connection(urls: Urls, name: str) -> pika.BlockingConnection:
    """Connect to one of the nodes; arguments and error as `reach`."""
    return reach(urls, name, connect)


def reason(error: BaseException, parameters: pika.ConnectionParameters) -> str:
    """What went wrong, in one line: pika wraps what TLS says of it, often more than once."""
    for found in _wrapped(error):
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {found.verify_message}"
        if isinstance(found, ssl.SSLError):
            return f"TLS: {found.reason or found}"
    if parameters.ssl_options is not None and isinstance(error, IncompatibleProtocolError):
        # With TLS 1.3 a client learns so, and no better, that its certificate is missing or not liked.
        return "it ended the connection after the TLS handshake: it wants a certfile, or another one"
    return type(error).__name__


def _wrapped(error: BaseException) -> Iterator[BaseException]:
    yield error
    inner = [error.__cause__, error.__context__, getattr(error, "exception", None), *error.args]
    for found in inner:
        if isinstance(found, BaseException):
            yield from _wrapped(found)
