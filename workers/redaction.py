"""Secrets kept out of the log: whatever a line would hold, known secrets and tokens are taken out of it.

Code takes care not to log any; this is the second line, for what a library or a vendor repeats.
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
#: Shorter ones are no secrets, and would be found in every other word.
SECRET_MIN_LENGTH = 4
#: A piece of Base64 that is shorter stands in too many innocent texts.
SHORTEST_BASE64 = 8

#: Keys whose values are never shown.
_KEYS = re.compile(r"passw|secret|token|authorization|api_?key|cookie|credential", re.IGNORECASE)
#: What looks like a credential, whoever it belongs to.
_SHAPES = re.compile(
    r"(?P<kind>\b(?:Bearer|Basic)\s+)[A-Za-z0-9._~+/=-]{8,}|(?P<user>://[^\s/:@]*:)[^\s/@]+(?=@)",
    re.IGNORECASE,
)


class Redactor:
    """A structlog processor; `learn` tells it what to look for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spelled: set[str] = set()
        self._known: re.Pattern[str] | None = None

    def learn(self, *secrets: str) -> None:
        """Take these out from now on, plain or as URLs, forms, JSON and Base64 spell them."""
        with self._lock:
            self._spelled |= {spelling for secret in secrets for spelling in spellings(secret)}
            longest_first = sorted(self._spelled, key=len, reverse=True)
            self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, words: str) -> str:
        """The words without secrets."""
        if self._known is not None:
            words = self._known.sub(REPLACEMENT, words)
        return _SHAPES.sub(lambda found: f"{found['kind'] or found['user']}{REPLACEMENT}", words)

    def __call__(self, _: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Redact a whole line, however deep its values are nested."""
        for key, value in event.items():
            event[key] = self._value(key, value)
        return event

    def _value(self, key: str, value: Any) -> Any:
        if isinstance(value, str):
            return REPLACEMENT if value and _KEYS.search(key) else self.text(value)
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


#: The one of this process. Settings tell it their secrets when they are loaded.
REDACTOR = Redactor()


def spellings(secret: str) -> Iterator[str]:
    """How a secret may be written."""
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
    for ahead in range(3):  # inside a longer text, e.g. behind the name in HTTP Basic: wherever it begins
        whole = base64.b64encode(b"\0" * ahead + raw).decode().rstrip("=")
        stable = whole[-(-8 * ahead // 6) : 8 * (ahead + len(raw)) // 6]
        if len(stable) >= SHORTEST_BASE64:
            yield stable
            yield stable.replace("+", "-").replace("/", "_")


def secrets_in(model: BaseModel) -> Iterator[str]:
    """Every secret of a model and of those within it; of a URL its password, too."""
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
