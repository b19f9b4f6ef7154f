"""One example of every message: for the AsyncAPI document, the docs and whoever tries the contract out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from messages.base import Command, File, Result, dump
from messages.control import CancelJob, ControlResult, RetryJob
from messages.creditsafe import (
    ImportFile,
    ImportFileResult,
    MatchingSummary,
    Portfolio,
    RunMatching,
    RunMatchingResult,
)
from messages.data8 import Input, StartJob, StartJobResult
from messages.envelope import Request
from messages.errors import Code, Error, FieldError
from messages.events import EventData, Outcome, Progress, Stats, Status, outcome_event
from messages.sayari import Entity, Project, ResolveEntities, ResolveEntitiesResult

BATCH = "customers-2026-08"
ACCEPTED_AT = datetime(2026, 8, 3, 9, 30, tzinfo=UTC)
_PORTFOLIO = "0b6d1a3e-5f7c-4a8e-9d21-6c3f0e8b7a54"


def commands() -> dict[str, dict[str, Any]]:
    """A CloudEvent of every command, by type."""
    return {
        command.type_: Request(_id(command), "/crm/onboarding", command, correlation_id=BATCH).event()
        for command, _ in _JOBS
    }


def events() -> dict[str, dict[str, Any]]:
    """A CloudEvent of every command and outcome, by type."""
    found = [_event(command, result, outcome) for command, result in _JOBS for outcome in Outcome]
    return {event["type"]: event for event in found}


def _id(command: Command) -> str:
    return f"{BATCH}.{command.type_.partition('.')[2]}"


def _event(command: Command, result: Result, outcome: Outcome) -> dict[str, Any]:
    job_id = _id(command)
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


def _file(job: str, name: str, media_type: str, records: int, bytes: int) -> File:
    return File(
        uri=f"file:///var/lib/kyb/results/{job}/{name}",
        media_type=media_type,
        records=records,
        bytes=bytes,
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )


_JOBS: list[tuple[Command, Result]] = [
    (
        ImportFile(
            file="file:///data/customers.csv",
            portfolio=Portfolio(name="Customers 2026-08", description="Active customers"),
        ),
        ImportFileResult(portfolio_id=_PORTFOLIO, records=48_211, parts=3),
    ),
    (
        RunMatching(portfolio_id=_PORTFOLIO),
        RunMatchingResult(
            portfolio_id=_PORTFOLIO,
            execution_id="7d0f4c2b-1e63-4b1d-8f5a-2a9c6e3d7b18",
            summary=MatchingSummary(total=48_211, matched=45_907, unmatched=2_304),
        ),
    ),
    (
        StartJob(
            workflow="Cleanse companies",
            name=BATCH,
            inputs={"Customers": Input(file="file:///data/customers.csv")},
            parameters={"Country": "GB"},
        ),
        StartJobResult(
            job_name=BATCH,
            statistics={"Customers": {"Read": 48_211}, "Cleansed": {"Written": 47_950}},
            outputs={"Cleansed": _file(f"{BATCH}.start_job", "Cleansed.csv", "text/csv", 47_950, 9_120_344)},
            output_filenames={"Cleansed": "cleansed.csv"},
        ),
    ),
    (
        ResolveEntities(
            entities=[Entity(name=["Example Trading Ltd"], country=["GBR"])],
            project=Project(label="Suppliers"),
        ),
        ResolveEntitiesResult(
            project_id="GNJWVL",
            uploaded=1,
            resolved=_file(f"{BATCH}.resolve_entities", "resolved.ndjson", "application/x-ndjson", 1, 2_871),
            unresolved=_file(f"{BATCH}.resolve_entities", "unresolved.ndjson", "application/x-ndjson", 0, 0),
        ),
    ),
    (CancelJob(job_id=f"{BATCH}.start_job"), ControlResult(job_id=f"{BATCH}.start_job", status="cancelled")),
    (RetryJob(job_id=f"{BATCH}.start_job"), ControlResult(job_id=f"{BATCH}.start_job", status="running")),
]
