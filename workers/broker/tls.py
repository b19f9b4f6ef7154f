"""Connection parameters from a URL, TLS included.

`amqps://` always verifies the certificate, against the system's authorities or `cacertfile`, and the host name. For
a client certificate, set `certfile` and `keyfile` (or one file with both):

    amqps://user:password@host:5671/vhost?cacertfile=/etc/kyb/ca.pem&certfile=/etc/kyb/cert.pem&keyfile=/etc/kyb/key.pem

These are the names of RabbitMQ's URI query parameters.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pika

T = TypeVar("T")

#: Query parameters with names of PEM files; pika would refuse them.
FILE_PARAMETERS = ("cacertfile", "certfile", "keyfile")


def url_parameters(url: str) -> pika.URLParameters:
    """Return pika's parameters for a URL. Raises `ValueError`, which does not repeat the URL, if it is invalid."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    files = {name: value for name, value in query if name in FILE_PARAMETERS}
    others = urlencode([(name, value) for name, value in query if name not in FILE_PARAMETERS])
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
    context = _load("cacertfile", lambda: ssl.create_default_context(cafile=files.get("cacertfile")))
    if "certfile" in files:
        # With an empty password OpenSSL does not prompt for the password of an encrypted key.
        load = partial(context.load_cert_chain, files["certfile"], files.get("keyfile"), password="")
        _load("certfile, keyfile", load)
    return context


def _load(parameter: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except OSError as error:  # ssl.SSLError is one
        why = "holds no such thing" if isinstance(error, ssl.SSLError) else error.strerror
        raise ValueError(f"{parameter}: cannot be used ({why})") from None
