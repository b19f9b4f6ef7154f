from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from messages.base import BODY_LIMIT
from messages.catalogue import COMMANDS, QUEUES
from messages.data8 import StartJob
from messages.envelope import InvalidCommand, Request, parse
from messages.errors import Code
from tests.unit.messages.cases import BAD_EVENTS, DATA, FILE, event_of
from tests.unit.messages.strategies import requests

SECRET = "Ms Private Person"


def parse_event(event: object) -> Request:
    return parse(json.dumps(event).encode())


def refused(body: bytes) -> InvalidCommand:
    with pytest.raises(InvalidCommand) as raised:
        parse(body)
    return raised.value


@given(requests)
def test_parse_returns_the_published_request(request: Request) -> None:
    assert parse(json.dumps(request.event()).encode()) == request


@pytest.mark.parametrize("type_", COMMANDS)
def test_parse_accepts_the_smallest_command(type_: str) -> None:
    request = parse_event(event_of(type_))
    assert request.type == type_
    assert request.command.queue() in QUEUES


@pytest.mark.parametrize(
    "attributes",
    [
        {"time": "2026-08-03T09:30:00Z"},
        {"time": "2026-08-03T09:30:00.123456789+02:00"},
        {"datacontenttype": "application/json"},
        {"subject": "anything", "dataschema": "https://example.com/schema"},
        {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b"},
        {"myextension": 7, "another": {"of": "theirs"}},
        {"time": None, "correlationid": None},
        {"source": "https://crm.example.com/onboarding?tenant=1#batch"},
    ],
)
def test_parse_accepts_optional_attributes(attributes: dict[str, Any]) -> None:
    assert parse_event(event_of(**attributes)).id == "job-1"


def test_correlation_id_is_the_id_when_not_given() -> None:
    assert parse_event(event_of()).correlation_id == "job-1"
    assert parse_event(event_of(correlationid="batch 7")).correlation_id == "batch 7"


@pytest.mark.parametrize(("field", "event"), BAD_EVENTS)
def test_rejection_names_the_bad_field(field: str, event: dict[str, Any]) -> None:
    error = refused(json.dumps(event).encode())
    assert [detail.field for detail in error.details] == [field]
    assert error.code is Code.INVALID_COMMAND


def test_rejection_names_every_bad_field() -> None:
    error = refused(json.dumps(event_of(specversion="2", id="a b", data=7)).encode())
    assert {detail.field for detail in error.details} == {"specversion", "id", "data"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"[]",
        b'"text"',
        b"null",
        b"{",
        b"\xff\xfe{\x00}\x00",
        "{}".encode("utf-16"),
        b"\xef\xbb\xbf{}",
        b'{"data": NaN}',
        b'{"data": -Infinity}',
        b'{"id": "a", "id": "b"}',
        b'{"data": {"x": 1, "x": 2}}',
        b"[" * 500_000,
        b'{"data":' * 100_000,
        b'{"data": ' + b"9" * 5_000 + b"}",
        b" " * (BODY_LIMIT + 1),
    ],
    ids=lambda body: repr(body[:20]),
)
def test_rejection_names_no_field_when_the_body_is_not_an_event(body: bytes) -> None:
    error = refused(body)
    assert [detail.field for detail in error.details] == [""]
    assert error.id is None


def test_parse_accepts_a_body_as_large_as_the_limit() -> None:
    body = json.dumps(event_of()).encode()
    assert parse(body.ljust(BODY_LIMIT)).id == "job-1"


def test_rejection_names_the_unknown_field_when_it_is_nested_deeply() -> None:
    deep = b'{"file": "f", "portfolio": {"name": "n"}, "more": ' + b"[" * 500 + b"]" * 500 + b"}"
    body = json.dumps(event_of(data="DEEP")).encode().replace(b'"DEEP"', deep)
    assert [detail.field for detail in refused(body).details] == ["data.more"]


def test_rejection_has_the_ids_when_they_are_readable() -> None:
    error = refused(json.dumps(event_of(correlationid="batch 7", data={})).encode())
    assert (error.id, error.type, error.correlation_id) == ("job-1", "creditsafe.import_file", "batch 7")
    error = refused(json.dumps(event_of(id="a b", type="a b", correlationid="a\nb")).encode())
    assert (error.id, error.type, error.correlation_id) == (None, None, None)


def test_rejection_has_at_most_fifty_details() -> None:
    error = refused(json.dumps(event_of(**{f"BAD{n}": 1 for n in range(10_000)})).encode())
    assert len(error.details) == 50
    assert len(str(error)) < 10_000


@pytest.mark.parametrize(
    "event",
    [
        event_of(time=SECRET),
        event_of(time="2026-02-30T09:30:00Z"),
        event_of(type=SECRET),
        event_of(id=SECRET),
        event_of(data=SECRET),
        event_of(data=[SECRET]),
        event_of(data={"file": FILE, "portfolio": SECRET}),
        event_of(data={"file": FILE, "portfolio": {"id": SECRET, "name": SECRET}}),
        event_of(data={"file": FILE, "portfolio": {"name": SECRET * 100}}),
        event_of("sayari.resolve_entities", data={"entities": [{"name": SECRET}]}),
        event_of("sayari.resolve_entities", data={"entities": [{"name": [SECRET, 7]}]}),
        event_of("sayari.resolve_entities", data={"entities": [{"name": [SECRET], "date_of_birth": SECRET}]}),
        event_of("data8.start_job", data={"workflow": "w", "parameters": {"k": [SECRET]}}),
        event_of("data8.start_job", data={"workflow": "w", "name": f"{SECRET}?"}),
        event_of("job.cancel", data={"job_id": SECRET}),
    ],
)
def test_rejection_contains_no_value_of_the_command(event: dict[str, Any]) -> None:
    error = refused(json.dumps(event).encode())
    text = f"{error!r} {error.details} {''.join(traceback.format_exception(error))}"
    assert "Private" not in text
    assert "2026-02-30" not in text


def test_rejection_contains_no_text_around_a_syntax_error() -> None:
    assert "Private" not in str(refused(b'{"data": {"name": "Ms Private Person" oops}}'))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
attributes = ["specversion", "id", "source", "type", "time", "correlationid", "data", "tenant", "\ud800"]


def raises_nothing_else(parser: Callable[[bytes], Request], body: bytes) -> None:
    try:
        parser(body)
    except InvalidCommand as error:
        json.dumps([detail.model_dump() for detail in error.details], ensure_ascii=False).encode()


@given(st.dictionaries(st.sampled_from(attributes) | st.text(), json_values))
@example({"data": "\ud800", "id": "\ud800", "type": "\x00", "\x00": "\udfff"})
def test_parse_raises_only_invalid_command_for_any_json(changes: dict[str, Any]) -> None:
    raises_nothing_else(parse, json.dumps(event_of() | changes).encode())


@given(st.sampled_from(sorted(COMMANDS)), st.dictionaries(st.text(max_size=10), json_values))
@example("data8.start_job", {"inputs": {"\ud800": {"\ud800": 1}}, "\ud800": 1})
def test_parse_raises_only_invalid_command_for_any_data(type_: str, data: dict[str, Any]) -> None:
    raises_nothing_else(parse, json.dumps(event_of(type_, data=DATA[type_] | data)).encode())


@given(st.binary())
def test_parse_raises_only_invalid_command_for_any_bytes(body: bytes) -> None:
    raises_nothing_else(parse, body)


def test_inputs_are_the_files_of_all_slots() -> None:
    command = StartJob(workflow="w", inputs={"A": {"file": "a.csv"}, "B": {"dataset": "b"}})  # type: ignore[dict-item]
    assert list(command.inputs()) == [("inputs.A.file", "a.csv")]
