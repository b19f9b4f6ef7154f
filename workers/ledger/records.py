"""What the ledger hands out: rows as typed values."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from messages.events import Status


def encode(value: object) -> str:
    """JSON as the ledger stores it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def decode(text: str | None) -> Any:
    """The value of a JSON column; None for null."""
    return None if text is None else json.loads(text)


def to_datetime(seconds: float) -> datetime:
    """Epoch seconds as an aware time, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)


@dataclass
class Job:
    """One job as it stands."""

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
        """How urgent its next turn is, if that looks at a vendor."""
        late = self.delay_since, self.delay_base, self.delay_rate, self.delay_accel
        return (
            None if self.rate_limit is None else PollUrgency(self.rate_limit, *(each or 0.0 for each in late))
        )

    @property
    def scheduled_for(self) -> float | None:
        """When it may begin, if its command said so and that is to come; None otherwise."""
        untouched = self.status is Status.ACCEPTED and not self.begin_count and not self.cancel_requested
        later = untouched and self.due_at is not None and self.due_at > self.accepted_at
        return self.due_at if later else None

    @classmethod
    def of(cls, row: Row[Any]) -> Job:
        """The job in a row of its table."""
        values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
        values["status"] = Status(values["status"])
        for column in ("data", "progress", "result", "error"):
            values[column] = decode(values[column])
        return cls(**values)


@dataclass
class Step:
    """One recorded piece of a job.

    Attributes:
        state: `intended` (perhaps done), `open` (a checkpoint), `done`, or `void` (to be done anew).
        generation: 1, and one more each time it was voided.
        last_progress_at: when its progress last moved.
        last_polled_at: when a poll was last seen running.
        reported_share: how much of it was done then or before, 0 to 1, if the vendor said so.
        reported_at: when that was first seen.
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
    def of(cls, row: Row[Any]) -> Step:
        """The step in a row of its table."""
        values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
        del values["job_id"]
        values["value"] = decode(values["value"])
        return cls(**values)


@dataclass(frozen=True)
class DurationSample:
    """An earlier wait, in seconds since it began.

    Attributes:
        ended: when it was found done.
        seen: when it was last seen running; None if that was not noted. It ended in between.
        size: rows, if known.
        reported_share: how much was done, 0 to 1, as the vendor said at about the last look.
        reported_after: when it said so.
        began: when it began, by a clock that all waits share.
    """

    ended: float
    seen: float | None = None
    size: int | None = None
    reported_share: float | None = None
    reported_after: float | None = None
    began: float = 0.0

    @property
    def after(self) -> float:
        """The time after which it ended."""
        return self.ended if self.seen is None else min(max(self.seen, 0.0), self.ended)

    @property
    def middle(self) -> float:
        """About when it ended."""
        seen = self.after
        return max(math.sqrt(seen * self.ended) if seen > 0 else self.ended / 2, 1e-3)


@dataclass(frozen=True)
class DueTurn:
    """A turn whose time has come."""

    job_id: str
    command: str
    queue: str
    turn: int
    rate_limit: str | None = None


@dataclass(frozen=True)
class PollUrgency:
    """How late a look at a vendor is: w seconds after `since` (epoch) `base` + `rate` w + `accel` w², in seconds.

    `rate_limit` names the calls that it counts among: vendor and class of operations. See `polling.DelayCurve`.
    """

    rate_limit: str
    since: float
    base: float
    rate: float
    accel: float


@dataclass(frozen=True)
class StoredEvent:
    """An event of the outbox; `body` is the CloudEvent as published."""

    number: int
    id: str
    type: str
    body: str
