"""An example of every message, built from `Command.example`: for the contract's files and the tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from messages.base import Command, Result, dump
from messages.catalogue import COMMANDS
from messages.envelope import Request
from messages.errors import Code, Error, FieldError
from messages.events import EventData, Outcome, Progress, Stats, Status, outcome_event
from messages.example_values import BATCH

ACCEPTED_AT = datetime(2026, 8, 3, 9, 30, tzinfo=UTC)


def commands() -> dict[str, dict[str, Any]]:
    """Return a CloudEvent of every command, by type."""
    return {type_: _command_event(command.example()[0]) for type_, command in COMMANDS.items()}


def events() -> dict[str, dict[str, Any]]:
    """Return a CloudEvent of every command and outcome, by type."""
    all_events = [
        _outcome_event(*command.example(), outcome) for command in COMMANDS.values() for outcome in Outcome
    ]
    return {event["type"]: event for event in all_events}


def _command_event(command: Command) -> dict[str, Any]:
    return Request(_example_id(command), "/crm/onboarding", command, correlation_id=BATCH).event()


def _example_id(command: Command) -> str:
    return f"{BATCH}.{command.type_.partition('.')[2]}"


def _outcome_event(command: Command, result: Result, outcome: Outcome) -> dict[str, Any]:
    job_id = _example_id(command)
    number, seconds = {Outcome.ACCEPTED: (1, 0), Outcome.PROGRESSED: (2, 60)}.get(outcome, (3, 412))
    time = ACCEPTED_AT + timedelta(seconds=seconds)
    rejected = outcome is Outcome.REJECTED
    return outcome_event(
        id=f"{job_id}.rejected.5f0c1d" if rejected else f"{job_id}.{number}",
        outcome=outcome,
        data=EventData(
            job_id=job_id,
            command=command.type_,
            vendor=command.vendor(),
            status=Status.RUNNING if outcome is Outcome.PROGRESSED else Status(outcome),
            accepted_at=None if rejected else ACCEPTED_AT,
            updated_at=time,
            progress=_PROGRESS if outcome is Outcome.PROGRESSED else None,
            result=dump(result) if outcome is Outcome.COMPLETED else None,
            error=_ERRORS.get(outcome),
            stats=_STATS if outcome.final else None,
        ),
        time=time,
        correlation_id=BATCH,
        sequence=None if rejected else number,
    )


_PROGRESS = Progress(
    step="finish", percent=40, done=19_284, total=48_211, eta=ACCEPTED_AT + timedelta(seconds=400)
)
_STATS = Stats(turns=9, polls=7, vendor_calls=12, retries=1, seconds=412.5)
_ERRORS = {
    Outcome.FAILED: Error(
        code=Code.VENDOR_REJECTED,
        message="the vendor refused the request",
        detail="Not found",
        vendor_status=404,
        step="start",
        retryable=False,
    ),
    Outcome.REJECTED: Error(
        code=Code.INVALID_COMMAND,
        message="data.file: Field required",
        detail=[FieldError(field="data.file", message="Field required")],
        retryable=False,
    ),
}
