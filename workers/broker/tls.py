"""Connection parameters from a URL, TLS included.

`amqps://` is always verified: the certificate by the system's authorities or by `cacertfile`, and the name of the
host. A broker that asks for a client certificate gets `certfile` with `keyfile` (or one file with both):

    amqps://user:password@host:5671/vhost?cacertfile=/etc/kyb/ca.pem&certfile=/etc/kyb/cert.pem&keyfile=/etc/kyb/key.pem

The names are those of RabbitMQ's own URI query parameters.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pika

T = TypeVar("T")

#: Query parameters that are ours, all names of PEM files; pika would refuse them.
FILES = ("cacertfile", "certfile", "keyfile")


def url_parameters(url: str) -> pika.URLParameters:
    """What pika needs to connect. Raises `ValueError`, without the URL, for one that cannot be used."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    files = {name: value for name, value in query if name in FILES}
    others = urlencode([(name, value) for name, value in query if name not in FILES])
    try:
        parameters = pika.URLParameters(urlunsplit(parts._replace(query=others)))
    except (ValueError, TypeError):  # pika's TypeError: a user without a password
        raise ValueError("must look like amqp://user:password@host:5672/vhost") from None
    if parts.scheme == "amqps":
        parameters.ssl_options = pika.SSLOptions(_context(files), parameters.host)
    elif files:
        raise ValueError(f"{', '.join(files)}: only for amqps://")
    return parameters


def _context(files: dict[str, str]) -> ssl.SSLContext:
    if "keyfile" in files and "certfile" not in files:
        raise ValueError("keyfile: needs certfile beside it")
    context = _loaded("cacertfile", lambda: ssl.create_default_context(cafile=files.get("cacertfile")))
    if "certfile" in files:
        # An empty password: for a key that is encrypted OpenSSL would ask on the terminal.
        load = partial(context.load_cert_chain, files["certfile"], files.get("keyfile"), password="")
        _loaded("certfile, keyfile", load)
    return context


def _loaded(what: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except OSError as error:  # ssl.SSLError is one
        why = "holds no such thing" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"{what}: cannot be used ({why})") from None
