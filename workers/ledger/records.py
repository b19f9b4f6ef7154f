"""Rows of the ledger as typed values."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from messages.events import Status


def encode(value: object) -> str:
    """Return the value as the JSON text that the ledger stores."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def decode(text: str | None) -> Any:
    """Return the value of a JSON column; None for null."""
    return None if text is None else json.loads(text)


def to_datetime(seconds: float) -> datetime:
    """Return epoch seconds as an aware time, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)


@dataclass
class Job:
    """One job, as the ledger has it."""

    id: str
    command: str
    queue: str
    vendor: str | None
    source: str
    correlation_id: str
    traceparent: str | None
    tracestate: str | None
    span: str | None
    data: dict[str, Any]
    fingerprint: str
    status: Status
    turn: int
    begin_count: int
    fence: int
    due_at: float | None
    dispatched_at: float | None
    rate_limit: str | None
    delay_since: float | None
    delay_base: float | None
    delay_rate: float | None
    delay_accel: float | None
    deadline_at: float
    cancel_requested: bool
    attempt: int
    retried_by: str | None
    consecutive_failures: int
    sequence: int
    progressed_at: float | None
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    turns: int
    polls: int
    vendor_calls: int
    retries: int
    accepted_at: float
    updated_at: float
    ended_at: float | None
    restored_at: float | None

    @property
    def urgency(self) -> PollUrgency | None:
        """The urgency of the next turn, if that is a poll."""
        curve = self.delay_since, self.delay_base, self.delay_rate, self.delay_accel
        return (
            None
            if self.rate_limit is None
            else PollUrgency(self.rate_limit, *(each or 0.0 for each in curve))
        )

    @property
    def scheduled_for(self) -> float | None:
        """When the job may begin, in epoch seconds, if its command gave a time that is still to come; otherwise None."""
        not_begun = self.status is Status.ACCEPTED and not self.begin_count and not self.cancel_requested
        is_scheduled = not_begun and self.due_at is not None and self.due_at > self.accepted_at
        return self.due_at if is_scheduled else None

    @classmethod
    def from_row(cls, row: Row[Any]) -> Job:
        """Return the job of a row."""
        values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
        values["status"] = Status(values["status"])
        for column in ("data", "progress", "result", "error"):
            values[column] = decode(values[column])
        return cls(**values)


@dataclass
class Step:
    """One recorded step of a job.

    Attributes:
        state: `intended` (it may have happened), `open` (a checkpoint), `done`, or `void` (to be done again).
        generation: 1, plus one for each time the step was voided.
        last_progress_at: when its progress last changed.
        last_polled_at: when a poll last found it running.
        reported_share: the share that was done then or before, 0 to 1, if the vendor reported one.
        reported_at: when that share was first reported.
    """

    name: str
    kind: str
    state: str
    value: Any
    generation: int
    size: int | None
    polls: int
    last_progress_at: float | None
    started_at: float
    ended_at: float | None
    last_polled_at: float | None = None
    reported_share: float | None = None
    reported_at: float | None = None

    @classmethod
    def from_row(cls, row: Row[Any]) -> Step:
        """Return the step of a row."""
        values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
        del values["job_id"]
        values["value"] = decode(values["value"])
        return cls(**values)


@dataclass(frozen=True)
class DurationSample:
    """The duration of an earlier vendor job: an interval-censored sample, in seconds since its start.

    Attributes:
        ended: when a poll found it done.
        seen: when a poll last found it running, if known. The job ended between the two.
        size: rows, if known.
        reported_share: the share that was done, 0 to 1, as the vendor reported at about the last poll.
        reported_after: when the vendor reported it.
        began: when the job began, by a clock that all samples share.
    """

    ended: float
    seen: float | None = None
    size: int | None = None
    reported_share: float | None = None
    reported_after: float | None = None
    began: float = 0.0

    @property
    def after(self) -> float:
        """The start of the interval in which the job ended."""
        return self.ended if self.seen is None else min(max(self.seen, 0.0), self.ended)

    @property
    def middle(self) -> float:
        """About when the job ended: the geometric middle of the interval."""
        seen = self.after
        return max(math.sqrt(seen * self.ended) if seen > 0 else self.ended / 2, 1e-3)


@dataclass(frozen=True)
class DueTurn:
    """A turn that is due."""

    job_id: str
    command: str
    queue: str
    turn: int
    rate_limit: str | None = None


@dataclass(frozen=True)
class PollUrgency:
    """How urgent a poll is: its expected detection delay, w seconds after `since` (epoch seconds).

    The delay is `base` + `rate` w + `accel` w², in seconds (see `polling.policy.DelayCurve`). `rate_limit` names the calls
    that the poll counts among: vendor and class of operations.
    """

    rate_limit: str
    since: float
    base: float
    rate: float
    accel: float


@dataclass(frozen=True)
class StoredEvent:
    """An event of the outbox. `body` is the CloudEvent as it is published."""

    number: int
    id: str
    type: str
    body: str
