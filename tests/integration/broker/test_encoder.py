from __future__ import annotations

import json
from typing import Any

import dramatiq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from messages.base import BODY_LIMIT
from messages.catalogue import COMMANDS, QUEUES
from messages.envelope import Request
from tests.unit.messages.strategies import job_ids, requests
from workers.broker.encoder import REJECT, CloudEventEncoder, turn_message

ENCODER = CloudEventEncoder()
TURN = {"turn": 3, "job_id": "job-1", "type": "data8.start_job"}
types = st.sampled_from(sorted(COMMANDS))


def decoded(body: bytes) -> dramatiq.Message[None]:
    return dramatiq.Message(**ENCODER.decode(body))


@given(types, job_ids, st.integers(0, 2**31 - 1))
def test_encoder_decodes_the_turn_that_it_encoded(type_: str, job_id: str, turn: int) -> None:
    sent = turn_message(type_, job_id, turn)
    body = ENCODER.encode(sent.asdict())
    assert json.loads(body) == {"turn": turn, "job_id": job_id, "type": type_}
    got = decoded(body)
    assert got.actor_name == type_
    assert got.queue_name == COMMANDS[type_].queue()
    assert got.kwargs == {"job_id": job_id, "turn": turn}
    assert got.message_id == sent.message_id == f"{job_id}/{turn}"


@given(requests)
def test_encoder_keeps_a_command_unchanged(request: Request) -> None:
    body = json.dumps(request.event()).encode()
    got = decoded(body)
    assert got.actor_name == request.type
    assert got.queue_name == request.command.queue()
    assert got.kwargs == {"body": body}
    assert got.message_id == request.id
    assert ENCODER.encode(got.asdict()) == body


def test_encoder_writes_a_turn_as_small_json() -> None:
    body = ENCODER.encode(turn_message("data8.start_job", "job-1", 3).asdict())
    assert body == b'{"turn":3,"job_id":"job-1","type":"data8.start_job"}'


@pytest.mark.parametrize(
    "change",
    [
        {"turn": -1},
        {"turn": 2**31},
        {"turn": 1.0},
        {"turn": True},
        {"turn": "3"},
        {"job_id": "a/b"},
        {"job_id": 7},
        {"specversion": "1.0"},
        {"data": {}},
    ],
)
def test_encoder_decodes_a_command_when_a_turn_is_invalid(change: dict[str, Any]) -> None:
    got = decoded(json.dumps(TURN | change).encode())
    assert got.actor_name == "data8.start_job"
    assert got.kwargs.keys() == {"body"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"noise",
        b"\xff\xfe\xfd",
        b"[]",
        b"null",
        b"7",
        b'"data8.start_job"',
        b'{"type": "data8.unheard_of"}',
        b'{"type": ["data8.start_job"]}',
        b'{"type": "data8.start_job", "data": NaN}',
        b'{"type": "data8.start_job", "type": "job.cancel"}',
        b'{"type": "data8.start_job\\u0000"}',
        b'{"type": "\\ud800"}',
        b'{"type": "data8.start_job", "data": ' + b"[" * 200_000,
        b'{"type": "data8.start_job", "id": ' + b"9" * 5_000 + b"}",
        json.dumps({"type": "data8.start_job"}).encode("utf-16"),
        json.dumps(TURN).encode().ljust(BODY_LIMIT + 1),
        b"\x00" * 10_000_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_encoder_sends_noise_to_the_reject_actor(body: bytes) -> None:
    got = decoded(body)
    assert (got.actor_name, got.queue_name) == (REJECT, "kyb.control")
    assert got.kwargs == {"body": body}
    assert ENCODER.encode(got.asdict()) == body


def test_encoder_keeps_the_id_of_an_unknown_command() -> None:
    assert decoded(b'{"type": "data8.unheard_of", "id": "job-1"}').message_id == "job-1"


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.dictionaries(st.text(), st.text()).map(json.dumps).map(str.encode)
)
@example(b'{"id": "\\ud800", "type": "job.cancel"}')
def test_encoder_decodes_any_bytes(body: bytes) -> None:
    got = decoded(body)
    assert got.queue_name in QUEUES
    assert got.message_id
    assert got.kwargs["body"] == body


def test_message_shows_no_body_when_dramatiq_logs_it() -> None:
    body = b'{"type": "sayari.resolve_entities", "data": "Ms Private Person"}'
    assert str(decoded(body)) == f"sayari.resolve_entities(body=<{len(body)} bytes>)"
    assert "Private" not in repr(decoded(body))


@pytest.mark.parametrize("arguments", [{}, {"body": "text"}, {"turn": 1}, {"job_id": "a b", "turn": 1}])
def test_encoder_refuses_other_arguments(arguments: dict[str, Any]) -> None:
    message = turn_message("data8.start_job", "job-1", 1).copy(kwargs=arguments)
    with pytest.raises(ValueError, match="job_id"):
        ENCODER.encode(message.asdict())
