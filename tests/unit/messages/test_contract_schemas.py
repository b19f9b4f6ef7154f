from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from messages import examples
from messages.base import File, dump
from messages.catalogue import COMMANDS
from messages.envelope import InvalidCommand, Request, parse
from messages.errors import Code, Error
from messages.events import EventData, Outcome, Status, outcome_event
from messages.sayari import ResolveEntitiesResult
from messages.schemas import schemas
from tests.unit.messages.cases import BAD_EVENTS, DATA, event_of
from tests.unit.messages.strategies import requests

SCHEMAS = schemas()
COMMON = {"job_id", "command", "vendor", "status", "updated_at"}
JOB = COMMON | {"accepted_at"}
FIELDS = {
    Outcome.ACCEPTED: JOB,
    Outcome.PROGRESSED: JOB | {"progress"},
    Outcome.COMPLETED: JOB | {"result", "stats"},
    Outcome.FAILED: JOB | {"error", "stats"},
    Outcome.CANCELLED: JOB | {"stats"},
    Outcome.REJECTED: COMMON | {"error"},
}
EVENTS = examples.events()


def valid(event: dict[str, Any]) -> bool:
    schema = SCHEMAS.get(f"{event.get('type')}.json")
    return schema is not None and jsonschema.Draft202012Validator(schema).is_valid(event)


def test_every_message_has_a_schema() -> None:
    assert SCHEMAS.keys() == {f"{type_}.json" for type_ in COMMANDS} | {
        f"{type_}.{outcome}.json" for type_ in COMMANDS for outcome in Outcome
    }


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_valid_json_schema_2020_12(name: str) -> None:
    schema = json.loads(json.dumps(SCHEMAS[name]))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)


@given(requests)
def test_valid_command_satisfies_its_schema(request: Request) -> None:
    assert valid(request.event())


#: Only Python lets `$` match before a final line feed; the patterns of the schemas are ECMAScript's.
@pytest.mark.parametrize(("field", "event"), [case for case in BAD_EVENTS if case[1].get("id") != "a\n"])
def test_refused_command_does_not_satisfy_its_schema(field: str, event: dict[str, Any]) -> None:
    assert not valid(event)


plain = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | plain,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["id", "name", "label", "file", "dataset"]) | plain, inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.data())
def test_schema_and_parser_agree_on_any_data(data: st.DataObject) -> None:
    type_ = data.draw(st.sampled_from(sorted(COMMANDS)))
    fields = [field.alias or name for name, field in COMMANDS[type_].model_fields.items()]
    changes = data.draw(st.dictionaries(st.sampled_from(fields), values, min_size=1, max_size=2))
    event = event_of(type_, data=DATA[type_] | changes)
    try:
        parse(json.dumps(event).encode())
        accepted = True
    except InvalidCommand:
        accepted = False
    assert valid(event) is accepted


@pytest.mark.parametrize("type_", COMMANDS)
def test_smallest_command_satisfies_its_schema(type_: str) -> None:
    assert valid(event_of(type_, tenant="an extension attribute"))
    assert not valid(event_of(type_, data=DATA[type_] | {"unknown": 1}))


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_event_has_exactly_the_fields_of_its_outcome(event: dict[str, Any]) -> None:
    assert valid(event)
    outcome = Outcome(event["type"].rpartition(".")[2])
    assert event["data"].keys() == FIELDS[outcome]
    assert ("sequence" in event) is (outcome is not Outcome.REJECTED)
    for field in FIELDS[outcome]:
        assert not valid(event | {"data": {k: v for k, v in event["data"].items() if k != field}})
    assert not valid(event | {"data": event["data"] | {"unknown": 1}})
    assert not valid(event | {"data": event["data"] | {"command": "another.command"}})


@pytest.mark.parametrize("event", [*examples.commands().values(), *EVENTS.values()], ids=lambda e: e["type"])
def test_official_sdk_reads_every_message(event: dict[str, Any]) -> None:
    read = JSONFormat().read(None, json.dumps(event))
    assert read.get_id() == event["id"]
    assert read.get_type() == event["type"]
    assert read.get_source() == event["source"]
    assert read.get_data() == event["data"]
    assert read.get_extension("correlationid") == event["correlationid"]


def test_parser_reads_what_the_official_sdk_writes() -> None:
    for event in examples.commands().values():
        written = JSONFormat().write(JSONFormat().read(None, json.dumps(event)))
        assert parse(written).id == event["id"]


def test_failed_event_may_have_every_error_code() -> None:
    for code in Code:
        error = Error(code=code, message="m", retryable=code.retryable)
        event = EVENTS["data8.start_job.failed"]
        data = event["data"] | {"error": error.model_dump(mode="json", exclude_none=True)}
        assert valid(event | {"data": data})


def test_rejection_needs_details_when_a_failure_does_not() -> None:
    failed, rejected = EVENTS["job.retry.failed"], EVENTS["job.retry.rejected"]
    assert failed["data"]["error"].keys() == {
        "code",
        "message",
        "detail",
        "vendor_status",
        "step",
        "retryable",
    }
    assert not valid(rejected | {"data": rejected["data"] | {"error": failed["data"]["error"]}})
    without = {k: v for k, v in rejected["data"]["error"].items() if k != "detail"}
    assert not valid(rejected | {"data": rejected["data"] | {"error": without}})


def test_file_has_null_records_when_they_are_not_counted() -> None:
    file = File(uri="file:///r/x.pdf", media_type="application/pdf", records=None, bytes=1, sha256="0" * 64)
    result = ResolveEntitiesResult(project_id="p", uploaded=0, resolved=file, unresolved=file)
    example = EVENTS["sayari.resolve_entities.completed"]
    event = outcome_event(
        id="job-1.3",
        outcome=Outcome.COMPLETED,
        data=EventData.model_validate_json(json.dumps(example["data"] | {"result": dump(result)})),
        time=examples.ACCEPTED_AT,
        correlation_id="job-1",
        sequence=3,
    )
    assert event["data"]["result"]["resolved"]["records"] is None
    assert valid(event)


def test_event_has_null_vendor_when_its_command_has_no_single_vendor() -> None:
    assert EVENTS["job.cancel.accepted"]["data"]["vendor"] is None
    assert EVENTS["data8.start_job.accepted"]["data"]["vendor"] == "data8"


@pytest.mark.parametrize("outcome", ["accepted", "completed", "failed", "cancelled"])
def test_status_has_ended_when_the_outcome_is_final(outcome: str) -> None:
    assert Status(outcome).ended is Outcome(outcome).final
