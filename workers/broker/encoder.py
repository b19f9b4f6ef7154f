"""Dramatiq's encoder: commands are CloudEvents, turns are small messages of our own.

A turn is the message `{"turn": 3, "job_id": "…", "type": "data8.start_job"}`; the job stays in the ledger.
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

#: The actor for messages that are neither turns nor known commands.
REJECT = "reject"


class Body(bytes):
    """An unchanged body, hidden in logs: Dramatiq logs arguments, and a body may hold personal data."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


class TurnMessage(Model):
    """The message for one turn of a job."""

    turn: Annotated[int, Field(ge=0, lt=2**31)]
    job_id: JobId
    type: str


class CloudEventEncoder(dramatiq.Encoder):
    """Maps each message to the actor named like its type.

    A turn has the keyword arguments `job_id` and `turn`. A command, and each message for the actor `reject`, has
    `body`, the unchanged bytes, because only `messages.envelope.parse` validates them.
    """

    def encode(self, data: MessageData) -> bytes:
        """Return the body to publish. Raises `ValueError` for arguments of neither a turn nor a command."""
        match data["kwargs"]:
            case {"job_id": job_id, "turn": turn}:
                return (
                    TurnMessage(turn=turn, job_id=job_id, type=data["actor_name"]).model_dump_json().encode()
                )
            case {"body": bytes(body)}:
                return body
        raise ValueError(f"{data['actor_name']}: the arguments must be job_id and turn, or body")

    def decode(self, data: bytes) -> MessageData:
        """Return the actor and arguments for a body. Never raises: invalid bodies go to the actor `reject`."""
        event = _parse_json(data)
        type_ = type_of(event)
        if type_ not in COMMANDS:
            return _message(REJECT, "kyb.control", {"body": Body(data)}, id_of(event))
        try:
            turn = TurnMessage.model_validate(event)
        except ValidationError:
            return _message(type_, COMMANDS[type_].queue(), {"body": Body(data)}, id_of(event))
        return turn_message(type_, turn.job_id, turn.turn).asdict()


def turn_message(type: str, job_id: str, turn: int) -> dramatiq.Message[None]:
    """Return the message for one turn of a job of the command `type`."""
    arguments = {"job_id": job_id, "turn": turn}
    return dramatiq.Message(**_message(type, COMMANDS[type].queue(), arguments, f"{job_id}/{turn}"))


def _parse_json(body: bytes) -> object:
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
