"""One turn of one job, as far as the ledger is concerned.

Every write is one transaction that names the claim's fence. A fence rises with every take, so a worker that
lost its hold without noticing cannot write any more: it gets `Fenced` and stops.
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

#: At most one `progressed` event in so many seconds.
PROGRESS_INTERVAL_SECONDS = 5.0

# Statements of every turn, built once: to build one takes longer than to run it. What is given beyond the named
# parameters are the columns to be set.
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
    """Writes all columns of a step, whether it is there or not."""
    statement = insert(step)
    others = [column.name for column in step.columns if not column.primary_key]
    return statement.on_conflict_do_update(
        index_elements=["job_id", "name"], set_={name: statement.excluded[name] for name in others}
    )


_WRITE_STEP, _WRITE_STEP_SQLITE = _write_step(postgresql.insert), _write_step(sqlite.insert)


class TurnDeferred(Exception):
    """The turn is not to be begun now; nothing was written."""


class Fenced(Exception):
    """Another worker has taken this turn since: stop without a further write."""


@dataclass
class Claim:
    """The right to write this turn's progress. `job` and `steps` follow what is written."""

    database: Database
    connection: Connection
    job: Job
    steps: dict[str, Step]
    #: What the last vendor call of the turn counted among: vendor and class of operations.
    last_rate_limit_key: str | None = None
    #: Rows of steps that the next write takes along.
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
        again: bool = False,
    ) -> Claim | None:
        """Begin the turn; None if the job is not at this turn, or has ended.

        `again`: the process that takes it began it before, so that it is not counted once more.

        Raises:
            PutOff: `admit`, asked with how often it was begun, this time included, says no.
        """
        with translated(), connection.begin():
            row = connection.execute(
                _TAKE,
                {"its_id": job_id, "its_turn": turn, "more": 0 if again else 1, "now": database.now()},
            ).one_or_none()
            if row is None:
                return None
            if not admit(row.begin_count):
                raise TurnDeferred(job_id)
            rows = connection.execute(_STEPS, {"its_id": job_id})
            return cls(database, connection, Job.of(row), {found.name: found for found in map(Step.of, rows)})

    @property
    def now(self) -> float:
        """Epoch seconds by the ledger's clock."""
        return self.database.now()

    # -- steps ------------------------------------------------------------------------------------------

    def intend(self, name: str) -> None:
        """Record that the effect `name` is about to be done."""
        self._write_step(name, kind="effect", state="intended", value=None)

    def record_uncertain(self, name: str, before: float) -> Step:
        """Record that the effect `name` may have been done at any time before `before`."""
        self._write_step(name, kind="effect", state="intended", value=None, started_at=before)
        return self.steps[name]

    def record(self, name: str, kind: str, value: object) -> None:
        """Record that `name` is done, and what came of it."""
        self._write_step(name, kind=kind, state="done", value=value)

    def record_poll_done(self, name: str, value: object) -> None:
        """Note that the poll `name` is done, and what came of it; the next write of the turn records it.

        Every turn ends with one. If the process dies before that, the vendor is asked once more.
        """
        self.pending_step_writes.append(self._step(name, kind="poll", state="done", value=value))

    def record_not_done(self, name: str) -> None:
        """Record that the intended effect `name` certainly did not happen."""
        self._write_step(name, kind="effect", state="void", value=None)

    def void_transfers(self) -> None:
        """Have all transfers done anew: each is the copy of something, or may be repeated piece by piece."""
        with translated(), self.connection.begin():
            for found in [step for step in self.steps.values() if step.kind == "transfer"]:
                self._upsert(found.name, kind="transfer", state="void", value=None)
            self._write_job({})

    def checkpoint(self, name: str, value: object, progress: Progress) -> None:
        """Record how far the transfer `name` has come, and tell so if it is time."""
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
        told: tuple[float, float] | None = None,
    ) -> None:
        """Note in the claim that the poll `name` waits and what was seen of it; `suspend` writes it.

        Args:
            name: of the step.
            size: rows at work, if known.
            value: what the look showed, to be compared with the next.
            polled: whether the vendor was polled.
            told: how much is done, 0 to 1, and when that was first seen: kept for later jobs.
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
        if told is not None:
            known.reported_share, known.reported_at = told
        self.steps[name] = known

    # -- the end of a turn ------------------------------------------------------------------------------

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
            progress: what to tell.
            polled: the poll whose `record_poll` is to be written.
            urgency: if the next turn looks at a vendor, how urgent that is.
        """
        with translated(), self.connection.begin():
            if polled is not None:
                found = self.steps[polled]
                self._upsert(polled, kind="poll", state="open", value=found.value)
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
        """End the job and tell so; steps named in `void` will be done anew by a retry."""
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
            news = EventPayload(outcome, status, result=result, error=error, stats=job_stats(self.job, now))
            append_event(self.connection, self.job, news, sequence, now)
        self.job.status = status

    # -- inside -----------------------------------------------------------------------------------------

    def _write_step(
        self, name: str, *, kind: str, state: str, value: object, started_at: float | None = None
    ) -> None:
        with translated(), self.connection.begin():
            self._upsert(name, kind=kind, state=state, value=value, started_at=started_at)
            self._write_job({"begin_count": 0} if state == "done" else {})

    def _write_job(self, columns: Mapping[str, Any], progress: Progress | None = None) -> None:
        """Change the job, then tell its progress if it is time for that: only the last taker may tell."""
        now = self.now
        columns = ({"begin_count": 0} if self.pending_step_writes else {}) | dict(columns)
        for found in self.pending_step_writes:
            self._write(found)
        self.pending_step_writes = []
        if self.job.span is not None:  # traced, now or before
            columns |= {"traceparent": self.job.traceparent, "span": self.job.span}
        tell = progress is not None and (
            self.job.progressed_at is None or now - self.job.progressed_at >= PROGRESS_INTERVAL_SECONDS
        )
        if progress is not None:
            self.job.progress = progress.model_dump(mode="json", exclude_none=True)
            columns["progress"] = encode(self.job.progress)
        if tell:
            self.job.progressed_at = now
            self.job.sequence += 1
            columns |= {"progressed_at": now, "sequence": self.job.sequence}
        row = self.connection.execute(
            _CHANGE, {"its_id": self.job.id, "its_fence": self.job.fence, "updated_at": now, **columns}
        ).one_or_none()
        if row is None:
            raise Fenced(self.job.id)
        self.job.cancel_requested = bool(row.cancel_requested)
        if tell:
            news = EventPayload(Outcome.PROGRESSED, Status.RUNNING, progress=progress)
            append_event(self.connection, self.job, news, self.job.sequence, now)

    def _upsert(
        self, name: str, *, kind: str, state: str, value: object, started_at: float | None = None
    ) -> None:
        self._write(self._step(name, kind=kind, state=state, value=value, started_at=started_at))

    def _write(self, row: Mapping[str, Any]) -> None:
        self.connection.execute(_WRITE_STEP_SQLITE if self.database.sqlite else _WRITE_STEP, row)

    def _step(
        self, name: str, *, kind: str, state: str, value: object, started_at: float | None = None
    ) -> dict[str, Any]:
        """The step's row as it is to be from now on; the claim has it so already."""
        now = self.now if started_at is None else started_at
        known = self.steps.get(name)
        anew = known is None or known.state == "void"
        generation = (
            1 if known is None else known.generation + (1 if state == "void" and known.state == "done" else 0)
        )
        found = Step(
            name=name, kind=kind, state=state, value=value, generation=generation,
            size=known.size if known else None, polls=known.polls if known else 0,
            last_progress_at=known.last_progress_at if known else None,
            started_at=now if known is None or anew or state == "intended" else known.started_at,
            ended_at=now if state == "done" else None,
            last_polled_at=known.last_polled_at if known else None,
            reported_share=known.reported_share if known else None, reported_at=known.reported_at if known else None,
        )  # fmt: skip
        self.steps[name] = found
        return {
            "job_id": self.job.id, "name": name,
            "kind": kind, "state": state, "generation": generation, "value": None if value is None else encode(value),
            "size": found.size, "polls": found.polls, "last_progress_at": found.last_progress_at,
            "started_at": found.started_at, "ended_at": found.ended_at,
            "last_polled_at": found.last_polled_at, "reported_share": found.reported_share, "reported_at": found.reported_at,
        }  # fmt: skip

    def _counters(self) -> dict[str, int]:
        self.job.turns += 1
        return {
            "turns": self.job.turns, "polls": self.job.polls, "vendor_calls": self.job.vendor_calls,
            "retries": self.job.retries, "consecutive_failures": self.job.consecutive_failures,
        }  # fmt: skip
