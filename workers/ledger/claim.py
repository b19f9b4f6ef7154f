"""A claim: the right of one turn of one job to write to the ledger.

Every write is one transaction that checks the claim's fencing token. Each take raises the token, so a worker that lost
its lock without noticing can no longer write: it gets `Fenced` and stops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Executable, Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from messages.errors import Error
from messages.events import Outcome, Progress, Status
from workers.ledger.database import Database, translated
from workers.ledger.outbox import EventPayload, append_event, job_stats
from workers.ledger.records import Job, PollUrgency, Step, encode
from workers.ledger.schema import job, step

#: Shortest time between two `progressed` events of a job.
PROGRESS_INTERVAL_SECONDS = 5.0

# Statements of every turn, built once: building one takes longer than running it. Parameters beyond the named ones are
# the columns to set.
_TAKE = (
    update(job)
    .where(job.c.id == bindparam("its_id"), job.c.turn == bindparam("its_turn"), job.c.ended_at.is_(None))
    .values(
        begin_count=job.c.begin_count + bindparam("more"),
        fence=job.c.fence + 1,
        due_at=None,
        updated_at=bindparam("now"),
    )
    .returning(job)
)
_STEPS = select(step).where(step.c.job_id == bindparam("its_id"))
_CHANGE = (
    update(job)
    .where(job.c.id == bindparam("its_id"), job.c.fence == bindparam("its_fence"), job.c.ended_at.is_(None))
    .returning(job.c.cancel_requested)
)


def _write_step(insert: Callable[[Table], postgresql.Insert | sqlite.Insert]) -> Executable:
    """Return the statement that inserts or updates a step with all its columns."""
    statement = insert(step)
    others = [column.name for column in step.columns if not column.primary_key]
    return statement.on_conflict_do_update(
        index_elements=["job_id", "name"], set_={name: statement.excluded[name] for name in others}
    )


_WRITE_STEP, _WRITE_STEP_SQLITE = _write_step(postgresql.insert), _write_step(sqlite.insert)


class TurnDeferred(Exception):
    """The turn must not begin now; nothing was written."""


class Fenced(Exception):
    """Another worker has begun this turn since: stop without a further write."""


@dataclass
class Claim:
    """The right to write this turn's progress. `job` and `steps` always show what is written."""

    database: Database
    connection: Connection
    job: Job
    steps: dict[str, Step]
    #: The rate limit of the turn's last vendor call: vendor and class of operations.
    last_rate_limit_key: str | None = None
    #: Rows of steps that the next write includes.
    pending_step_writes: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def take(
        cls,
        database: Database,
        connection: Connection,
        job_id: str,
        turn: int,
        admit: Callable[[int], bool] = lambda _: True,
        *,
        redelivered: bool = False,
    ) -> Claim | None:
        """Begin the turn; return None if the job is not at this turn, or has ended.

        Args:
            database: the ledger's.
            connection: the connection that holds the job's lock.
            job_id: the job.
            turn: number of the turn.
            admit: called with how often the turn was begun, this time included; returns whether it may begin now.
            redelivered: this process began the turn before, so it is not counted once more.

        Raises:
            TurnDeferred: `admit` returned false.
        """
        with translated(), connection.begin():
            row = connection.execute(
                _TAKE,
                {"its_id": job_id, "its_turn": turn, "more": 0 if redelivered else 1, "now": database.now()},
            ).one_or_none()
            if row is None:
                return None
            if not admit(row.begin_count):
                raise TurnDeferred(job_id)
            rows = connection.execute(_STEPS, {"its_id": job_id})
            return cls(
                database,
                connection,
                Job.from_row(row),
                {each.name: each for each in map(Step.from_row, rows)},
            )

    @property
    def now(self) -> float:
        """Epoch seconds by the ledger's clock."""
        return self.database.now()

    def intend(self, name: str) -> None:
        """Record the intent: the effect `name` is about to be done."""
        self._write_step(name, kind="effect", state="intended", value=None)

    def record_uncertain(self, name: str, before: float) -> Step:
        """Record that the effect `name` may have been done at any time before `before`."""
        self._write_step(name, kind="effect", state="intended", value=None, started_at=before)
        return self.steps[name]

    def record(self, name: str, kind: str, value: object) -> None:
        """Record that the step is done, with its result."""
        self._write_step(name, kind=kind, state="done", value=value)

    def record_poll_done(self, name: str, value: object) -> None:
        """Note that the poll is done, with its result; the next write of the turn records it.

        Every turn ends with a write. If the process dies before it, the vendor is polled once more.
        """
        self.pending_step_writes.append(self._step(name, kind="poll", state="done", value=value))

    def record_not_done(self, name: str) -> None:
        """Record that the intended effect certainly did not happen."""
        self._write_step(name, kind="effect", state="void", value=None)

    def void_transfers(self) -> None:
        """Void all transfers, so that they are repeated: each is a copy, or may be repeated piece by piece."""
        with translated(), self.connection.begin():
            for transfer in [step for step in self.steps.values() if step.kind == "transfer"]:
                self._upsert(transfer.name, kind="transfer", state="void", value=None)
            self._write_job({})

    def checkpoint(self, name: str, value: object, progress: Progress) -> None:
        """Record a checkpoint of the transfer, and publish its progress if that is due."""
        with translated(), self.connection.begin():
            self._upsert(name, kind="transfer", state="open", value=value)
            self._write_job({"begin_count": 0}, progress)

    def record_poll(
        self,
        name: str,
        *,
        size: int | None,
        value: object,
        polled: bool,
        reported: tuple[float, float] | None = None,
    ) -> None:
        """Note that the vendor job of the poll still runs, and what was seen; `suspend` writes it.

        Args:
            name: of the step.
            size: rows that the vendor works on, if known.
            value: what the poll showed, to be compared with the next one.
            polled: whether the vendor was polled.
            reported: the share that is done, 0 to 1, and when it was first reported (epoch seconds): kept for later jobs.
        """
        now = self.now
        known = self.steps.get(name)
        if known is None or known.state == "void":
            generation = 1 if known is None else known.generation
            known = Step(name, "poll", "open", None, generation, size, 0, now, now, None)
        if known.value != value:
            known.last_progress_at = now
        known.value = value
        known.polls += polled
        known.last_polled_at = now
        if reported is not None:
            known.reported_share, known.reported_at = reported
        self.steps[name] = known

    def suspend(
        self,
        due_at: float,
        progress: Progress | None,
        *,
        polled: str | None = None,
        urgency: PollUrgency | None = None,
    ) -> None:
        """End the turn; the next one is due at `due_at`.

        Args:
            due_at: epoch seconds.
            progress: progress to publish, if any.
            polled: the poll whose note is to be written.
            urgency: how urgent the next turn is, if it polls a vendor.
        """
        with translated(), self.connection.begin():
            if polled is not None:
                noted = self.steps[polled]
                self._upsert(polled, kind="poll", state="open", value=noted.value)
            columns = {
                "status": Status.RUNNING.value, "turn": self.job.turn + 1, "begin_count": 0, "due_at": due_at,
                "rate_limit": urgency.rate_limit if urgency else None,
                "delay_since": urgency.since if urgency else None,
                "delay_base": urgency.base if urgency else None,
                "delay_rate": urgency.rate if urgency else None,
                "delay_accel": urgency.accel if urgency else None,
            }  # fmt: skip
            self._write_job(columns | self._counters(), progress)

    def finish(
        self,
        outcome: Outcome,
        *,
        result: dict[str, Any] | None = None,
        error: Error | None = None,
        void: tuple[str, ...] = (),
    ) -> None:
        """End the job and publish its outcome; a retry repeats the steps named in `void`."""
        status = Status(outcome.value)
        now = self.now
        with translated(), self.connection.begin():
            for name in void:
                if name in self.steps:
                    self._upsert(name, kind=self.steps[name].kind, state="void", value=None)
            sequence = self.job.sequence + 1
            stored = encode(error.model_dump(mode="json", exclude_none=True)) if error is not None else None
            columns = {
                "status": status.value, "due_at": None, "ended_at": now, "sequence": sequence, "error": stored,
                "result": encode(result) if result is not None else None,
            }  # fmt: skip
            self._write_job(columns | self._counters())
            payload = EventPayload(
                outcome, status, result=result, error=error, stats=job_stats(self.job, now)
            )
            append_event(self.connection, self.job, payload, sequence, now)
        self.job.status = status

    def _write_step(
        self, name: str, *, kind: str, state: str, value: object, started_at: float | None = None
    ) -> None:
        with translated(), self.connection.begin():
            self._upsert(name, kind=kind, state=state, value=value, started_at=started_at)
            self._write_job({"begin_count": 0} if state == "done" else {})

    def _write_job(self, columns: Mapping[str, Any], progress: Progress | None = None) -> None:
        """Change the job's row, then publish its progress if that is due; only the holder of the fencing token may."""
        now = self.now
        columns = ({"begin_count": 0} if self.pending_step_writes else {}) | dict(columns)
        for step_row in self.pending_step_writes:
            self._write(step_row)
        self.pending_step_writes = []
        if self.job.span is not None:  # traced in this turn or before
            columns |= {"traceparent": self.job.traceparent, "span": self.job.span}
        publishes = progress is not None and (
            self.job.progressed_at is None or now - self.job.progressed_at >= PROGRESS_INTERVAL_SECONDS
        )
        if progress is not None:
            self.job.progress = progress.model_dump(mode="json", exclude_none=True)
            columns["progress"] = encode(self.job.progress)
        if publishes:
            self.job.progressed_at = now
            self.job.sequence += 1
            columns |= {"progressed_at": now, "sequence": self.job.sequence}
        row = self.connection.execute(
            _CHANGE, {"its_id": self.job.id, "its_fence": self.job.fence, "updated_at": now, **columns}
        ).one_or_none()
        if row is None:
            raise Fenced(self.job.id)
        self.job.cancel_requested = bool(row.cancel_requested)
        if publishes:
            payload = EventPayload(Outcome.PROGRESSED, Status.RUNNING, progress=progress)
            append_event(self.connection, self.job, payload, self.job.sequence, now)

    def _upsert(
        self, name: str, *, kind: str, state: str, value: object, started_at: float | None = None
    ) -> None:
        self._write(self._step(name, kind=kind, state=state, value=value, started_at=started_at))

    def _write(self, row: Mapping[str, Any]) -> None:
        self.connection.execute(_WRITE_STEP_SQLITE if self.database.sqlite else _WRITE_STEP, row)

    def _step(
        self, name: str, *, kind: str, state: str, value: object, started_at: float | None = None
    ) -> dict[str, Any]:
        """Update the step in the claim and return its new row."""
        now = self.now if started_at is None else started_at
        known = self.steps.get(name)
        restarted = known is None or known.state == "void"
        generation = (
            1 if known is None else known.generation + (1 if state == "void" and known.state == "done" else 0)
        )
        updated = Step(
            name=name, kind=kind, state=state, value=value, generation=generation,
            size=known.size if known else None, polls=known.polls if known else 0,
            last_progress_at=known.last_progress_at if known else None,
            started_at=now if known is None or restarted or state == "intended" else known.started_at,
            ended_at=now if state == "done" else None,
            last_polled_at=known.last_polled_at if known else None,
            reported_share=known.reported_share if known else None, reported_at=known.reported_at if known else None,
        )  # fmt: skip
        self.steps[name] = updated
        return {
            "job_id": self.job.id, "name": name,
            "kind": kind, "state": state, "generation": generation, "value": None if value is None else encode(value),
            "size": updated.size, "polls": updated.polls, "last_progress_at": updated.last_progress_at,
            "started_at": updated.started_at, "ended_at": updated.ended_at,
            "last_polled_at": updated.last_polled_at, "reported_share": updated.reported_share, "reported_at": updated.reported_at,
        }  # fmt: skip

    def _counters(self) -> dict[str, int]:
        self.job.turns += 1
        return {
            "turns": self.job.turns, "polls": self.job.polls, "vendor_calls": self.job.vendor_calls,
            "retries": self.job.retries, "consecutive_failures": self.job.consecutive_failures,
        }  # fmt: skip
