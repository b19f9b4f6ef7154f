"""One line per turn, and no secrets or messages of exceptions in any line."""

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
from tests.unit.observability.conftest import ServiceHarness
from workers.observability import logs
from workers.redaction import REDACTOR, REPLACEMENT, Redactor, secrets_in
from workers.settings import LogSettings, Settings, load

#: Characters that URLs, forms, JSON and Base64 encode.
SPECIAL_CHARACTERS = 'p"ss+w/rd ü\\%'


def settings_with_secrets() -> Settings:
    """Return settings in which each secret has a different value."""
    values: dict[str, Any] = {}
    for place in secret_places(Settings):
        inner = values
        for name in place[:-1]:
            inner = inner.setdefault(name, {})
        value = f"mark.{'.'.join(place)}-{SPECIAL_CHARACTERS}"
        if place[-1] == "broker_url":
            value = (
                f"amqp://kyb:{quote(value, safe='')}@b1:5672/v;amqps://kyb:{quote(value, safe='')}@b2:5672/v"
            )
        elif place[-1] == "ledger_url":
            value = f"postgresql://kyb:{quote(value, safe='')}@db/kyb"
        inner[place[-1]] = value
    values["creditsafe"]["username"] = "a-user"
    values["storage"]["s3"]["key"] = "a-user"
    for vendor in ("data8", "sayari"):
        values[vendor]["client_id"] = "a-user"
    return load(**values, _env_file=None)


def secret_places(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """Yield the path of each secret field of the model."""
    for name, field in model.model_fields.items():
        for inner in getattr(field.annotation, "__args__", (field.annotation,)):
            if inner is SecretStr:
                yield (name,)
            elif isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from ((name, *rest) for rest in secret_places(inner))


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """Capture the log at all levels."""
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    written = io.StringIO()
    logs.configure(LogSettings(format=request.param, level="debug"), written)
    yield written
    logging.getLogger().handlers = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


def test_redactor_removes_each_secret_of_the_settings_in_every_encoding(log: io.StringIO) -> None:
    loaded = settings_with_secrets()
    places = list(secret_places(Settings))
    assert len(places) >= 5
    secrets = {".".join(place): f"mark.{'.'.join(place)}-{SPECIAL_CHARACTERS}" for place in places}
    assert set(secrets.values()) <= set(secrets_in(loaded))
    ours, theirs = structlog.get_logger("kyb.test"), logging.getLogger("another.library")
    for secret in secrets.values():
        basic = base64.b64encode(f"a-user:{secret}".encode()).decode()
        for spelled in (
            secret,
            quote(secret),
            quote(secret, safe=""),
            quote_plus(secret),
            json.dumps(secret),
            basic,
        ):
            ours.info("line", text=f"<{spelled}>", deep={"list": [{"of": (spelled,)}]}, raw=spelled.encode())
            ours.warning(f"in the middle of {spelled} it")
            theirs.warning("an argument: %s", spelled)
            theirs.warning("extra", extra={"spelled": spelled})
    ours.info(
        "settings",
        broker=loaded.broker_url.get_secret_value(),
        ledger=loaded.ledger_url.get_secret_value(),
    )
    ours.info("objects", settings=loaded, secret=loaded.data8)
    text = log.getvalue()
    assert text.count(REPLACEMENT) > 50
    for name, secret in secrets.items():
        marks = (f"mark.{name}", base64.b64encode(f"a-user:{secret}".encode()).decode()[16:40])
        for mark in marks:
            assert mark not in text


def test_redactor_removes_tokens_and_values_of_secret_keys(log: io.StringIO) -> None:
    ours = structlog.get_logger("kyb.test")
    ours.info(
        "call", headers={"Authorization": "Bearer abc.def-123456", "X": "1"}, client_secret="hush", done=True
    )
    ours.info("Authorization: Basic c29tZWJvZHk6aHVzaA== was sent to amqp://kyb:hush@broker/")
    text = log.getvalue()
    for secret in ("abc.def", "hush", "c29tZWJv"):
        assert secret not in text
    assert "amqp://kyb:" in text


def test_log_omits_the_message_of_an_unexpected_exception(log: io.StringIO) -> None:
    def inner() -> None:
        raise ValueError("Zyxwv Personmark is no number")

    for logger in (structlog.get_logger("kyb.test"), logging.getLogger("another.library")):
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


def test_turn_logs_one_line_with_its_outcome(log: io.StringIO, harness: ServiceHarness) -> None:
    if log.getvalue():
        return
    harness.state.faults["data8.jobs.get"].append(Fault("status", status=503))
    turns = sum(
        harness.run("data8.start_job", data, id).turns
        for id, data in (("good", harness.companies()), ("bad", {"workflow": "nowhere"}))
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
def test_redactor_removes_any_learned_secret(secret: str, before: str, after: str) -> None:
    secret = f"{secret}!"  # so that the frame cannot contain it by chance
    redactor = Redactor()
    redactor.learn(secret)
    for spell in (str, quote, quote_plus):
        redacted = redactor.text(before + spell(secret) + after).replace(REPLACEMENT, "\ue000")
        assert spell(secret) not in redacted
    whole = base64.b64encode(f"{before}{secret}{after}".encode(errors="replace")).decode()
    if secret.isascii() and len(secret) >= 9:
        assert redactor.text(whole) != whole


def test_loaded_settings_are_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    load(data8={"client_id": "x", "client_secret": "never to be seen"}, _env_file=None)
    assert REDACTOR.text("it was never to be seen") == f"it was {REPLACEMENT}"
