"""The ledger's tables, the same on SQLite and PostgreSQL. Times are epoch seconds, JSON is text.

A change here needs a migration in `migrations/versions` with which workers of the previous version can still work.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

metadata = MetaData()

#: 64 bits everywhere. SQLite generates values only in a column of the type INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

#: One row per command. A job waits by `due_at` alone; `turn` is the next turn to be run.
job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("command", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("vendor", Text),
    Column("source", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("traceparent", Text),
    Column("tracestate", Text),
    Column("span", Text),  # of the last traced turn, as a traceparent: the next turn links to it
    Column("data", Text, nullable=False),
    Column(
        "fingerprint", Text, nullable=False
    ),  # of type and data: the same id with another fingerprint is a conflict
    Column("status", Text, nullable=False),
    Column("turn", Integer, nullable=False),
    Column(
        "begin_count", Integer, nullable=False, default=0
    ),  # how often this turn was begun without progress
    Column(
        "fence", Integer, nullable=False, default=0
    ),  # fencing token, raised by every take: only its holder may write
    Column("due_at", Float(53)),  # the timer; null while the turn is dispatched, or the job has ended
    Column("dispatched_at", Float(53)),  # when the turn was last published to the broker
    Column("rate_limit", Text),  # of a poll: which calls it counts among, ...
    Column("delay_since", Float(53)),  # ... and its delay w seconds after this time:
    Column("delay_base", Float(53)),  # this many seconds ...
    Column("delay_rate", Float(53)),  # ... plus this rate times w ...
    Column("delay_accel", Float(53)),  # ... plus this times w²
    Column("deadline_at", Float(53), nullable=False),
    Column("cancel_requested", Boolean, nullable=False, default=False),
    Column("attempt", Integer, nullable=False, default=1),  # 1, and one more with every job.retry
    Column("retried_by", Text),  # the job.retry that last took effect
    Column(
        "consecutive_failures", Integer, nullable=False, default=0
    ),  # failed attempts since the last success
    Column("sequence", Integer, nullable=False, default=0),  # sequence number of the last event
    Column("progressed_at", Float(53)),  # time of the last `progressed` event
    Column("progress", Text),
    Column("result", Text),
    Column("error", Text),
    Column("turns", Integer, nullable=False, default=0),
    Column("polls", Integer, nullable=False, default=0),
    Column("vendor_calls", Integer, nullable=False, default=0),
    Column("retries", Integer, nullable=False, default=0),
    Column("accepted_at", Float(53), nullable=False),
    Column("updated_at", Float(53), nullable=False),
    Column("ended_at", Float(53)),
    Column("restored_at", Float(53)),  # effects before this time may have been forgotten
    Index(
        "job_due",  # with the command, so that waiting jobs are counted from the index alone
        "due_at",
        "command",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("job_dispatched", "queue", "dispatched_at"),
    Index(
        "job_in_flight",  # dispatched turns, few among many
        "queue",
        "dispatched_at",
        "command",
        sqlite_where=text("due_at IS NULL AND ended_at IS NULL"),
        postgresql_where=text("due_at IS NULL AND ended_at IS NULL"),
    ),
    Index("job_accepted", "accepted_at"),
    Index("job_ended", "ended_at"),
)

#: What a job has done. An `intended` step without an end may have happened; `open` holds a checkpoint.
step = Table(
    "step",
    metadata,
    Column("job_id", Text, ForeignKey("job.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # effect, poll or transfer
    Column("state", Text, nullable=False),  # intended, open, done or void
    Column("generation", Integer, nullable=False, default=1),  # 1, and one more each time it was voided
    Column("value", Text),
    Column("size", Integer),  # rows, if known: durations are compared between jobs of similar size
    Column("polls", Integer, nullable=False, default=0),
    Column("last_progress_at", Float(53)),  # when its progress last changed
    Column(
        "last_polled_at", Float(53)
    ),  # of a poll: when the vendor job was last found running; it ended after that
    Column(
        "reported_share", Float(53)
    ),  # of a poll: the share that the vendor reported, 0 to 1, before it was almost all ...
    Column("reported_at", Float(53)),  # ... and when it was first reported
    Column("started_at", Float(53), nullable=False),
    Column("ended_at", Float(53)),
    Index("step_done", "kind", "name", "ended_at"),
)

#: The outbox, and the record of every event. Published in the order of `number`.
event = Table(
    "event",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("job_id", Text, nullable=False),
    Column("sequence", Integer),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("published_at", Float(53)),
    Index(
        "event_unpublished",
        "number",
        sqlite_where=text("published_at IS NULL"),
        postgresql_where=text("published_at IS NULL"),
    ),
    Index("event_job", "job_id"),
    sqlite_autoincrement=True,
)

#: When the ledger was restored from a backup, and until when commands may repeat forgotten ones.
recovery = Table(
    "recovery",
    metadata,
    Column("at", Float(53), primary_key=True),
    Column("until", Float(53), nullable=False),
)

#: Calls that count against a vendor's rate limit: one row each, none older than the window.
vendor_call = Table(
    "vendor_call",
    metadata,
    Column("vendor", Text, nullable=False),
    Column("kind", Text, nullable=False),  # the class of operations with its own limit
    Column("at", Float(53), nullable=False),
    Index("vendor_call_at", "vendor", "kind", "at"),
)

#: Until when a vendor that answered 429 must not be called.
vendor_pause = Table(
    "vendor_pause",
    metadata,
    Column("vendor", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("until", Float(53), nullable=False),
)
