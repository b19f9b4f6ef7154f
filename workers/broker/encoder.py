"""Dramatiq's view of what travels: commands from outside, hand-offs of turns from ourselves.

A turn is handed off as `{"turn": 3, "job_id": "…", "type": "data8.start_job"}`; the job itself stays in
the ledger.
"""

from __future__ import annotations

import time
import uuid
from typing import Annotated, Any

import dramatiq
from dramatiq.encoder import MessageData
from pydantic import Field, ValidationError

from messages.base import BODY_LIMIT, JobId, Model
from messages.catalogue import COMMANDS
from messages.envelope import id_of, read_json, type_of

#: The actor that gets everything that is neither a turn nor a command that we know.
REJECT = "reject"


class Body(bytes):
    """A body as it came. Dramatiq logs the arguments of actors, and a body may hold personal data."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


class TurnMessage(Model):
    """The hand-off of one turn of a job."""

    turn: Annotated[int, Field(ge=0, lt=2**31)]
    job_id: JobId
    type: str


class CloudEventEncoder(dramatiq.Encoder):
    """Gives each message the actor named like its type.

    A turn has the keyword arguments `job_id` and `turn`; a command, or anything for the actor `reject`,
    has `body`: the bytes as they came, since `messages.envelope.parse` alone judges them.
    """

    def encode(self, data: MessageData) -> bytes:
        """The body to publish. Raises `ValueError` for arguments that are neither a turn's nor a command's."""
        match data["kwargs"]:
            case {"job_id": job_id, "turn": turn}:
                return (
                    TurnMessage(turn=turn, job_id=job_id, type=data["actor_name"]).model_dump_json().encode()
                )
            case {"body": bytes(body)}:
                return body
        raise ValueError(f"{data['actor_name']}: the arguments must be job_id and turn, or body")

    def decode(self, data: bytes) -> MessageData:
        """What to run for a body. Never raises: noise is for the actor `reject`."""
        event = _readable(data)
        type_ = type_of(event)
        if type_ not in COMMANDS:
            return _message(REJECT, "kyb.control", {"body": Body(data)}, id_of(event))
        try:
            turn = TurnMessage.model_validate(event)
        except ValidationError:
            return _message(type_, COMMANDS[type_].queue(), {"body": Body(data)}, id_of(event))
        return turn_message(type_, turn.job_id, turn.turn).asdict()


def turn_message(type: str, job_id: str, turn: int) -> dramatiq.Message[None]:
    """The hand-off of one turn of a job of the command `type`, to be enqueued."""
    arguments = {"job_id": job_id, "turn": turn}
    return dramatiq.Message(**_message(type, COMMANDS[type].queue(), arguments, f"{job_id}/{turn}"))


def _readable(body: bytes) -> object:
    if len(body) > BODY_LIMIT:
        return None
    try:
        return read_json(body)
    except ValueError:
        return None


def _message(actor: str, queue: str, kwargs: dict[str, Any], message_id: str | None) -> MessageData:
    return {
        "queue_name": queue,
        "actor_name": actor,
        "args": (),
        "kwargs": kwargs,
        "options": {},
        "message_id": message_id or str(uuid.uuid4()),
        "message_timestamp": int(time.time() * 1000),
    }
