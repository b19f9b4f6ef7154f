"""Redaction of secrets in log lines.

The code logs no secrets. Redaction is the second line of defence, for messages of libraries and vendors.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit

from pydantic import BaseModel, SecretStr

REPLACEMENT = "[redacted]"
#: Shorter values are not secrets, and would match many words.
SECRET_MIN_LENGTH = 4
#: Shorter pieces of Base64 would match too many harmless texts.
BASE64_MIN_LENGTH = 8

#: Keys whose values are redacted.
_SECRET_KEYS = re.compile(r"passw|secret|token|authorization|api_?key|cookie|credential", re.IGNORECASE)
#: Texts that look like credentials.
_CREDENTIAL_SHAPES = re.compile(
    r"(?P<kind>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}|(?P<user>://[^\s/:@]*:)[^\s/@]+(?=@)",
    re.IGNORECASE,
)


class Redactor:
    """A structlog processor that redacts the secrets that it has learned."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spellings: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, *secrets: str) -> None:
        """Redact these secrets from now on, plain and as encoded in URLs, forms, JSON and Base64."""
        with self._lock:
            self._spellings |= {spelling for secret in secrets for spelling in spellings(secret)}
            longest_first = sorted(self._spellings, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """Return the text without secrets."""
        if self._pattern is not None:
            text = self._pattern.sub(REPLACEMENT, text)
        return _CREDENTIAL_SHAPES.sub(lambda match: f"{match['kind'] or match['user']}{REPLACEMENT}", text)

    def __call__(self, _: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Redact all values of a log line, also nested ones."""
        for key, value in event.items():
            event[key] = self._value(key, value)
        return event

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, str):
            return REPLACEMENT if value and _SECRET_KEYS.search(key) else self.text(value)
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, bytes):
            return self._value(key, value.decode(errors="replace"))
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): self._value(f"{key}.{name}", inner) for name, inner in value.items()
            }
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._value(key, inner) for inner in value]
        return self._value(key, repr(value))


#: The redactor of this process. Loaded settings add their secrets.
REDACTOR = Redactor()


def spellings(secret: str) -> Iterator[str]:
    """Yield the encodings of a secret that a log line may contain."""
    if len(secret) < SECRET_MIN_LENGTH:
        return
    yield secret
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    raw = secret.encode()
    for offset in range(3):  # within a longer text, e.g. after the user name in HTTP Basic: at any offset
        whole = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        stable = whole[-(-8 * offset // 6) : 8 * (offset + len(raw)) // 6]
        if len(stable) >= BASE64_MIN_LENGTH:
            yield stable
            yield stable.replace("+", "-").replace("/", "_")


def secrets_in(model: BaseModel) -> Iterator[str]:
    """Yield the secrets of a model and its nested models; for a URL also its password."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from secrets_in(value)
        elif isinstance(value, SecretStr):
            yield from _parts(value.get_secret_value())


def _parts(secret: str) -> Iterator[str]:
    if "://" not in secret:
        yield secret
        return
    for url in secret.split(";"):
        netloc = urlsplit(url.strip()).netloc
        password = netloc.rpartition("@")[0].partition(":")[2]
        if password:
            yield from (url.strip(), password, unquote(password))
