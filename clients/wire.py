"""Reading and writing of HTTP details: queries, header values, rewinding of bodies, error bodies."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, quote_plus

import httpx

Params = Mapping[str, Any]

#: A longer `Retry-After` is cut to this.
RETRY_AFTER_MAX_SECONDS = 3_600.0


def query(params: Params | None) -> list[tuple[str, str]] | None:
    """Return the query for httpx: without None, booleans as `true`/`false`, lists as repeated keys."""
    if params is None:
        return None
    return [
        (key, str(item).lower() if isinstance(item, bool) else str(item))
        for key, value in params.items()
        for item in (value if isinstance(value, (list, tuple)) else [value])
        if item is not None
    ]


def header_value(text: str) -> str:
    """Return a text as a header's value: unchanged if it is printable ASCII, else percent-encoded."""
    plain = text.isascii() and text.isprintable() and text == text.strip()
    return text if plain else quote(text, safe="", errors="replace")


def retry_after(response: httpx.Response) -> float | None:
    """Return the seconds of the `Retry-After` header (a number or an HTTP date); None without a valid one."""
    value = response.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_SECONDS) if seconds == seconds else None  # noqa: PLR0124 - NaN


def error_message(response: httpx.Response) -> str | None:
    """Return the vendor's message in an error body of one of three shapes, or None.

    Creditsafe `{message, details}` or `{error}`; Data8 problem details `{title, detail, errors}`;
    Sayari `{messages}`. Another body is not repeated, since it may hold anything.
    """
    try:
        body = response.json()
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    words: list[str] = []
    for key in ("message", "title", "error", "error_description", "detail", "details", "messages", "errors"):
        value = body.get(key)
        if isinstance(value, str):
            words.append(value)
        elif isinstance(value, list):
            words += [str(item) for item in value]
        elif isinstance(value, dict):
            words += [f"{field}: {' '.join(map(str, text)) if isinstance(text, list) else text}"
                      for field, text in value.items()]  # fmt: skip
    return "; ".join(dict.fromkeys(filter(None, words))) or None


def redacted(message: str, secrets: Collection[str]) -> str:
    """Replace every secret in the message, plain or percent-encoded, by `[redacted]`."""
    spelled = {spell(secret) for secret in secrets if secret for spell in (str, quote, quote_plus)}
    for secret in sorted(spelled, key=len, reverse=True):
        message = message.replace(secret, "[redacted]")
    return message


def rewind(request_kwargs: dict[str, Any]) -> bool:
    """Make a request request_kwargs a second time; False if its body was a stream that is used up."""
    parts = dict(request_kwargs.get("files") or {}).values()
    streams = [part[1] if isinstance(part, tuple) else part for part in parts]
    return all(_restart(stream) for stream in (request_kwargs.get("content"), *streams))


def _restart(body: Any) -> bool:
    if body is None or isinstance(body, (bytes, str)):
        return True
    if not (hasattr(body, "seekable") and body.seekable()):
        return False
    body.seek(0)
    return True


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of `url` as httpx reads them, since httpx sends the request."""
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port
