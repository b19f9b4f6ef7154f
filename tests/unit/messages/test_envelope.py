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


def parsed(event: object) -> Request:
    return parse(json.dumps(event).encode())


def refused(body: bytes) -> InvalidCommand:
    with pytest.raises(InvalidCommand) as raised:
        parse(body)
    return raised.value


@given(requests)
def test_what_is_published_is_what_is_parsed(request: Request) -> None:
    assert parse(json.dumps(request.event()).encode()) == request


@pytest.mark.parametrize("type_", COMMANDS)
def test_every_command_needs_no_more_than_its_required_fields(type_: str) -> None:
    request = parsed(event_of(type_))
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
def test_optional_attributes_are_allowed(attributes: dict[str, Any]) -> None:
    assert parsed(event_of(**attributes)).id == "job-1"


def test_the_correlation_id_is_the_id_unless_given() -> None:
    assert parsed(event_of()).correlation_id == "job-1"
    assert parsed(event_of(correlationid="batch 7")).correlation_id == "batch 7"


@pytest.mark.parametrize(("field", "event"), BAD_EVENTS)
def test_the_one_bad_field_is_named(field: str, event: dict[str, Any]) -> None:
    error = refused(json.dumps(event).encode())
    assert [detail.field for detail in error.details] == [field]
    assert error.code is Code.INVALID_COMMAND


def test_every_bad_field_is_named() -> None:
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
def test_what_is_no_event_at_all_is_refused_as_a_whole(body: bytes) -> None:
    error = refused(body)
    assert [detail.field for detail in error.details] == [""]
    assert error.id is None


def test_a_body_may_be_as_large_as_the_limit() -> None:
    body = json.dumps(event_of()).encode()
    assert parse(body.ljust(BODY_LIMIT)).id == "job-1"


def test_data_nested_deeply_is_refused_where_it_is_unknown() -> None:
    deep = b'{"file": "f", "portfolio": {"name": "n"}, "more": ' + b"[" * 500 + b"]" * 500 + b"}"
    body = json.dumps(event_of(data="DEEP")).encode().replace(b'"DEEP"', deep)
    assert [detail.field for detail in refused(body).details] == ["data.more"]


def test_a_rejection_carries_what_could_be_read() -> None:
    error = refused(json.dumps(event_of(correlationid="batch 7", data={})).encode())
    assert (error.id, error.type, error.correlation_id) == ("job-1", "creditsafe.import_file", "batch 7")
    error = refused(json.dumps(event_of(id="a b", type="a b", correlationid="a\nb")).encode())
    assert (error.id, error.type, error.correlation_id) == (None, None, None)


def test_the_details_are_bounded() -> None:
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
def test_a_rejection_repeats_no_value(event: dict[str, Any]) -> None:
    error = refused(json.dumps(event).encode())
    told = f"{error!r} {error.details} {''.join(traceback.format_exception(error))}"
    assert "Private" not in told
    assert "2026-02-30" not in told


def test_text_around_a_syntax_error_is_not_repeated() -> None:
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
def test_any_json_is_a_command_or_refused(changes: dict[str, Any]) -> None:
    raises_nothing_else(parse, json.dumps(event_of() | changes).encode())


@given(st.sampled_from(sorted(COMMANDS)), st.dictionaries(st.text(max_size=10), json_values))
@example("data8.start_job", {"inputs": {"\ud800": {"\ud800": 1}}, "\ud800": 1})
def test_any_data_is_a_command_or_refused(type_: str, data: dict[str, Any]) -> None:
    raises_nothing_else(parse, json.dumps(event_of(type_, data=DATA[type_] | data)).encode())


@given(st.binary())
def test_any_bytes_are_a_command_or_refused(body: bytes) -> None:
    raises_nothing_else(parse, body)


def test_a_job_names_the_files_that_it_reads() -> None:
    command = StartJob(workflow="w", inputs={"A": {"file": "a.csv"}, "B": {"dataset": "b"}})  # type: ignore[dict-item]
    assert list(command.inputs()) == [("inputs.A.file", "a.csv")]
