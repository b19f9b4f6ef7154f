"""Any message becomes a job or is rejected; admission raises no other error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from messages.envelope import Request, id_of, read_json
from tests.support.turn_harness import TurnHarness
from tests.unit.messages.strategies import requests
from workers.errors import Reject

#: Values that fit no field: of all types and depths, and with characters that databases do not store.
odd = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(), max_size=20),
        st.sampled_from(
            ["\x00", "\ud800", "\U0001f4a9" * 300, "x" * 5_000, "../../etc/passwd", "%00", "1e999"]
        ),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def mutilated(draw: st.DrawFn) -> bytes:
    """Draw a valid command with one value replaced, removed or added."""
    event: Any = draw(requests).event()
    where: Any = event
    while True:
        key = draw(st.sampled_from(sorted(where) if isinstance(where, dict) else range(len(where))))
        inside = isinstance(where[key], dict | list) and where[key] and draw(st.booleans())
        if not inside:
            break
        where = where[key]
    match draw(st.sampled_from(["replace", "remove", "add"])):
        case "remove":
            del where[key]
        case "add" if isinstance(where, dict):
            where[draw(st.text(max_size=10))] = draw(odd)
        case _:
            where[key] = draw(odd)
    return json.dumps(event).encode()  # lone surrogates as escapes


@pytest.fixture(params=["sqlite", "postgresql"])
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TurnHarness]:
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    harness = TurnHarness(url, tmp_path, lambda _: {})
    yield harness
    harness.database.close()


def rejection_of(harness: TurnHarness, body: bytes) -> str | None:
    """Return the reason of the rejection, None if the command is accepted."""
    try:
        harness.turns.receive_command(body)
    except Reject as rejected:
        return str(rejected)
    return None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=mutilated())
@example(body=b"[" * 200_000)
@example(body=b'{"a":' * 100_000)
@example(body=b'{"specversion": "1.0", "id": ' + b"1" * 10_000 + b"}")
@example(body=b"\xff" * (2 << 20))
def test_admission_records_or_rejects_a_command_when_it_is_mutilated(
    harness: TurnHarness, body: bytes
) -> None:
    reason = rejection_of(harness, body)
    if reason is not None:
        assert 0 < len(reason) <= 500
    else:
        id_ = id_of(read_json(body))
        assert id_ is not None
        assert harness.job(id_).accepted_at > 0


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    request=requests, more=st.dictionaries(st.from_regex("[a-z0-9]{1,20}", fullmatch=True), odd, max_size=3)
)
def test_admission_accepts_unknown_extensions(
    harness: TurnHarness, request: Request, more: dict[str, Any]
) -> None:
    reason = rejection_of(harness, json.dumps(more | request.event()).encode())
    known = {"input_not_allowed", "id_conflict", "invalid_command"}
    assert reason is None or reason.partition(":")[0] in known
