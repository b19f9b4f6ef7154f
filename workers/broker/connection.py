"""Connections to RabbitMQ."""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Iterator
from typing import TypeVar

import pika
from pika.exceptions import AMQPError, IncompatibleProtocolError

from workers.broker.tls import url_parameters

T = TypeVar("T")

#: One or several URLs, separated by `;`, or a function that returns them; it is called at each connect.
Urls = str | Callable[[], str]

#: A dead connection is noticed after two of these.
HEARTBEAT_SECONDS = 30
#: A publish fails after it was blocked for this time by a broker short of memory or disk.
BLOCKED_TIMEOUT_SECONDS = 10
#: To open a socket, and again for the AMQP handshake.
CONNECT_TIMEOUT_SECONDS = 5


class BrokerUnavailable(Exception):
    """RabbitMQ cannot be reached or does not accept messages at the moment."""


def connect_to_any(urls: Urls, name: str, connect_to: Callable[[pika.URLParameters], T]) -> T:
    """Return what `connect_to` returns for the first node that answers; the nodes are tried in random order.

    Args:
        urls: `amqp://` or `amqps://`.
        name: of the connection in RabbitMQ's tools.
        connect_to: connects to one node; raises `BrokerUnavailable` if it cannot.

    Raises:
        BrokerUnavailable: no node answers.
    """
    joined = urls if isinstance(urls, str) else urls()
    nodes = [url.strip() for url in joined.split(";") if url.strip()]
    last_error = BrokerUnavailable("cannot reach RabbitMQ (no URL)")
    for url in random.sample(nodes, len(nodes)):
        parameters = url_parameters(url)
        parameters.heartbeat = HEARTBEAT_SECONDS
        parameters.blocked_connection_timeout = BLOCKED_TIMEOUT_SECONDS
        parameters.socket_timeout = CONNECT_TIMEOUT_SECONDS
        parameters.stack_timeout = 2 * CONNECT_TIMEOUT_SECONDS
        parameters.client_properties = {"connection_name": name}
        try:
            return connect_to(parameters)
        except BrokerUnavailable as error:
            last_error = error
    raise last_error


def connect(parameters: pika.URLParameters) -> pika.BlockingConnection:
    """Connect to one node. Raises `BrokerUnavailable`."""
    try:
        return pika.BlockingConnection(parameters)
    except (AMQPError, OSError) as error:
        cause = f"{parameters.host}:{parameters.port}: {describe_error(error, parameters)}"
        raise BrokerUnavailable(f"cannot reach RabbitMQ ({cause})") from None


def open_connection(urls: Urls, name: str) -> pika.BlockingConnection:
    """Connect to one of the nodes; arguments and error as for `connect_to_any`."""
    return connect_to_any(urls, name, connect)


def describe_error(error: BaseException, parameters: pika.ConnectionParameters) -> str:
    """Return the cause of an error in one line. Pika wraps TLS errors, often more than once."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is refused: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or cause}"
    if parameters.ssl_options is not None and isinstance(error, IncompatibleProtocolError):
        # With TLS 1.3 this is all that a client learns when its certificate is missing or refused.
        return "it ended the connection after the TLS handshake: it wants a certfile, or another one"
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    yield error
    wrapped = [error.__cause__, error.__context__, getattr(error, "exception", None), *error.args]
    for inner in wrapped:
        if isinstance(inner, BaseException):
            yield from _causes(inner)
