"""One line a turn, and in no line a secret or what an exception says."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from sandbox.core import Fault
from tests.unit.observability.conftest import Floor
from workers.observability import logs
from workers.redaction import REDACTOR, REPLACEMENT, Redactor, secrets_in
from workers.settings import LogSettings, Settings, load

#: With what URLs, forms, JSON and Base64 spell otherwise.
NASTY = 'p"ss+w/rd ü\\%'


def nasty_settings() -> Settings:
    """Settings in which every secret there is has a value of its own."""
    given: dict[str, Any] = {}
    for place in secret_places(Settings):
        inner = given
        for name in place[:-1]:
            inner = inner.setdefault(name, {})
        value = f"mark.{'.'.join(place)}-{NASTY}"
        if place[-1] == "broker_url":
            value = (
                f"amqp://kyb:{quote(value, safe='')}@b1:5672/v;amqps://kyb:{quote(value, safe='')}@b2:5672/v"
            )
        elif place[-1] == "ledger_url":
            value = f"postgresql://kyb:{quote(value, safe='')}@db/kyb"
        inner[place[-1]] = value
    given["creditsafe"]["username"] = "somebody"
    given["storage"]["s3"]["key"] = "somebody"
    for vendor in ("data8", "sayari"):
        given[vendor]["client_id"] = "somebody"
    return load(**given, _env_file=None)


def secret_places(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """The path of every secret, by the model's own types: a new one is found, too."""
    for name, field in model.model_fields.items():
        for inner in getattr(field.annotation, "__args__", (field.annotation,)):
            if inner is SecretStr:
                yield (name,)
            elif isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from ((name, *rest) for rest in secret_places(inner))


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """All that is logged at any level."""
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    written = io.StringIO()
    logs.configure(LogSettings(format=request.param, level="debug"), written)
    yield written
    logging.getLogger().handlers = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


def test_every_secret_of_the_settings_however_it_is_spelled(log: io.StringIO) -> None:
    found = nasty_settings()
    places = list(secret_places(Settings))
    assert len(places) >= 5
    secrets = {".".join(place): f"mark.{'.'.join(place)}-{NASTY}" for place in places}
    assert set(secrets.values()) <= set(secrets_in(found))
    ours, theirs = structlog.get_logger("kyb.test"), logging.getLogger("somebody.else")
    for secret in secrets.values():
        basic = base64.b64encode(f"somebody:{secret}".encode()).decode()
        for spelled in (
            secret,
            quote(secret),
            quote(secret, safe=""),
            quote_plus(secret),
            json.dumps(secret),
            basic,
        ):
            ours.info("line", said=f"<{spelled}>", deep={"list": [{"of": (spelled,)}]}, raw=spelled.encode())
            ours.warning(f"in the middle of {spelled} it")
            theirs.warning("an argument: %s", spelled)
            theirs.warning("extra", extra={"spelled": spelled})
    ours.info(
        "settings",
        broker=found.broker_url.get_secret_value(),
        ledger=found.ledger_url.get_secret_value(),
    )
    ours.info("objects", settings=found, secret=found.data8)
    text = log.getvalue()
    assert text.count(REPLACEMENT) > 50
    for name, secret in secrets.items():
        marks = (f"mark.{name}", base64.b64encode(f"somebody:{secret}".encode()).decode()[16:40])
        for mark in marks:
            assert mark not in text


def test_tokens_and_keys_that_say_what_they_hold(log: io.StringIO) -> None:
    ours = structlog.get_logger("kyb.test")
    ours.info(
        "call", headers={"Authorization": "Bearer abc.def-123456", "X": "1"}, client_secret="hush", done=True
    )
    ours.info("Authorization: Basic c29tZWJvZHk6aHVzaA== was sent to amqp://kyb:hush@broker/")
    text = log.getvalue()
    for secret in ("abc.def", "hush", "c29tZWJv"):
        assert secret not in text
    assert "amqp://kyb:" in text


def test_what_an_exception_says_is_not_repeated(log: io.StringIO) -> None:
    """Of ours and of others, alone, chained and in groups: type and place are enough."""

    def inner() -> None:
        raise ValueError("Zyxwv Personmark is no number")

    for logger in (structlog.get_logger("kyb.test"), logging.getLogger("somebody.else")):
        try:
            try:
                inner()
            except ValueError as cause:
                raise ExceptionGroup("Personmark", [KeyError("Personmark")]) from cause
        except ExceptionGroup:
            logger.exception("unhandled exception")
    text = log.getvalue()
    assert "Personmark" not in text
    assert text.count("builtins.ValueError") == 2
    assert text.count("builtins.KeyError") == 2
    assert text.count("in inner") == 2
    assert "test_logs.py" in text


def test_one_line_that_matters_for_every_turn(log: io.StringIO, floor: Floor) -> None:
    if log.getvalue():
        return
    floor.state.faults["data8.jobs.get"].append(Fault("status", status=503))
    turns = sum(
        floor.run("data8.start_job", data, id).turns
        for id, data in (("good", floor.companies()), ("bad", {"workflow": "nowhere"}))
    )
    lines = [line for line in log.getvalue().splitlines() if "debug" not in line]
    assert len(lines) == turns > 4
    if lines[0].startswith("{"):
        for line in map(json.loads, lines):
            assert line.keys() >= {
                "event",
                "job_id",
                "command",
                "correlation_id",
                "vendor",
                "turn",
                "timestamp",
            }


@settings(deadline=None)
@given(st.text(min_size=4, max_size=40), st.text(max_size=10), st.text(max_size=10))
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    secret = f"{secret}!"  # so that no chance piece of the frame is the whole of it
    redactor = Redactor()
    redactor.learn(secret)
    for spell in (str, quote, quote_plus):
        left = redactor.text(before + spell(secret) + after).replace(REPLACEMENT, "\ue000")
        assert spell(secret) not in left
    whole = base64.b64encode(f"{before}{secret}{after}".encode(errors="replace")).decode()
    if secret.isascii() and len(secret) >= 9:
        assert redactor.text(whole) != whole


def test_a_process_keeps_its_secrets_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    load(data8={"client_id": "x", "client_secret": "never to be seen"}, _env_file=None)
    assert REDACTOR.text("it was never to be seen") == f"it was {REPLACEMENT}"
