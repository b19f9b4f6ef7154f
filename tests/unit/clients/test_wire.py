from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.wire import RETRY_AFTER_MAX_SECONDS, error_message, header_value, retry_after


@given(st.text())
def test_header_value_is_printable_ascii_for_any_text(id: str) -> None:
    value = header_value(id)
    assert value.isascii()
    assert value.isprintable()
    assert value == value.strip()


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        ("inf", RETRY_AFTER_MAX_SECONDS, RETRY_AFTER_MAX_SECONDS),
        ("86400", RETRY_AFTER_MAX_SECONDS, RETRY_AFTER_MAX_SECONDS),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ],
)
def test_retry_after_returns_seconds_when_the_header_has_a_value(value: str, low: float, high: float) -> None:
    seconds = retry_after(httpx.Response(429, headers={"Retry-After": value}))
    assert seconds is not None
    assert low <= seconds <= high


def test_retry_after_returns_seconds_when_the_header_is_a_date() -> None:
    date = formatdate(time.time() + 90, usegmt=True)
    seconds = retry_after(httpx.Response(429, headers={"Retry-After": date}))
    assert seconds is not None
    assert 60 <= seconds <= 90


@pytest.mark.parametrize("value", ["", "nan", "soon", "Wed, 99 Oct 2015 07:28:00 GMT"])
def test_retry_after_returns_none_when_the_header_is_invalid(value: str) -> None:
    assert retry_after(httpx.Response(429, headers={"Retry-After": value})) is None


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126))
    | st.from_regex(
        r"(Mon, )?[0-9]{1,5} (Jan|x) -?[0-9]{1,6} [0-9]{1,3}:[0-9]{1,3}(:[0-9]{1,3})? (GMT|[+-][0-9]{1,6})",
        fullmatch=True,
    )
)
def test_retry_after_is_bounded_for_any_header(value: str) -> None:
    seconds = retry_after(httpx.Response(503, headers={"Retry-After": value}))
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_MAX_SECONDS


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "Access denied", "details": "sub expired"}, "Access denied; sub expired"),
        ({"error": "invalid_client"}, "invalid_client"),
        (
            {
                "type": "about:blank",
                "title": "Bad",
                "detail": "See errors",
                "errors": {"Name": ["is long", "is odd"]},
            },
            "Bad; See errors; Name: is long is odd",
        ),
        ({"messages": ["no such project", "no such project"]}, "no such project"),
        ({"record": {"name": "Jane"}}, None),
        (["Jane"], None),
        ("Jane", None),
    ],
)
def test_error_message_returns_only_known_members_of_the_body(body: Any, words: str | None) -> None:
    assert error_message(httpx.Response(400, json=body)) == words


def test_error_message_returns_none_when_the_body_is_not_json() -> None:
    assert error_message(httpx.Response(502, text="<html>Bad gateway</html>")) is None
