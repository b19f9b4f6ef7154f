"""Submission of commands to the broker or the ledger, and snapshots of their jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from messages.envelope import InvalidCommand, Request
from messages.events import Outcome, Status
from workers.cli.bootstrap import broker_urls, open_ledger, open_storage
from workers.ledger.ledger import Ledger
from workers.ledger.outbox import job_stats
from workers.settings import Settings

if TYPE_CHECKING:
    from workers.engine.admission import Admission

#: Time between two reads of the ledger.
POLL_INTERVAL_SECONDS = 0.2


@dataclass(frozen=True)
class JobSnapshot:
    """A job's status at one moment; the members are those of an event's data."""

    job_id: str
    command: str
    status: Status
    progress: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    stats: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """Return the members for `--json`."""
        return {name: value for name, value in vars(self).items() if value is not None}


#: Sends a command and yields snapshots of its job, until the job has ended if it is watched.
#: Without a broker, a rejected command yields its rejection at once.
Send = Callable[[Request], Iterator[JobSnapshot]]


@contextmanager
def sender(settings: Settings, *, watch: bool) -> Iterator[Send]:
    """Yield a function that sends commands, and watches their jobs if `watch` is set.

    Raises `BrokerUnavailable` or `LedgerUnavailable`.
    """
    if settings.embedded:
        from workers.engine.admission import Admission  # noqa: PLC0415 - it imports httpx and the clients

        storage = open_storage(settings)
        with open_ledger(settings) as ledger:
            admission = Admission(ledger.jobs, storage, settings.polling.deadline)
            yield lambda request: record_command(ledger, admission, request, watch=watch)
    else:
        with _to_broker(broker_urls(settings), watch=watch) as send:
            yield send


def job_in_ledger(ledger: Ledger, job_id: str) -> JobSnapshot | None:
    """Return a snapshot of a job in the ledger, or None."""
    job = ledger.queries.job(job_id)
    if job is None:
        return None
    stats = job_stats(job, job.ended_at if job.ended_at is not None else ledger.database.now())
    return JobSnapshot(
        job_id, job.command, job.status, job.progress, job.result, job.error, stats.model_dump(mode="json")
    )


def record_command(
    ledger: Ledger, admission: Admission, request: Request, *, watch: bool
) -> Iterator[JobSnapshot]:
    """Record a command in the ledger, from which a worker takes it."""
    try:
        admission.accept(encode_request(request), None, claim_first_turn=False)
    except InvalidCommand as invalid:
        details = [{"field": d.field, "message": d.message} for d in invalid.details]
        error = {"code": invalid.code.value, "message": str(invalid), "detail": details}
        yield JobSnapshot(request.id, request.type, Status.REJECTED, error=error)
        return
    while watch:
        snapshot = job_in_ledger(ledger, request.id)
        if snapshot is None:
            return
        yield snapshot
        if snapshot.status.ended:
            return
        time.sleep(POLL_INTERVAL_SECONDS)


def encode_request(request: Request) -> bytes:
    """Return the body of the message."""
    return json.dumps(request.event(), ensure_ascii=False).encode()


@contextmanager
def _to_broker(urls: str, *, watch: bool) -> Iterator[Send]:
    from workers.broker import topology  # noqa: PLC0415 - the embedded broker does without pika
    from workers.broker.event_stream import EventStream  # noqa: PLC0415 - likewise
    from workers.broker.publisher import CLOUD_EVENT, Publisher  # noqa: PLC0415 - likewise
    from workers.broker.publisher_connection import OutboundMessage  # noqa: PLC0415 - likewise

    with closing(Publisher(urls)) as publisher, ExitStack() as stack:
        # The stream is read from before publishing: no event can be missed.
        stream = stack.enter_context(EventStream(urls, "next")) if watch else None

        def send(request: Request) -> Iterator[JobSnapshot]:
            body = encode_request(request)
            publisher.publish(
                [OutboundMessage(topology.COMMANDS, request.type, body, CLOUD_EVENT, request.id)]
            )
            if stream is not None:
                publisher.close()  # nobody answers its heartbeats while the job is watched
                yield from _snapshots_from(stream, request)

        yield send


def _snapshots_from(stream: Any, request: Request) -> Iterator[JobSnapshot]:
    yield JobSnapshot(request.id, request.type, Status.ACCEPTED)
    while True:
        body = stream.read(POLL_INTERVAL_SECONDS)
        event = {} if body is None else json.loads(body)
        if event.get("subject") != request.id:
            continue
        data = event["data"]
        if data["command"] != request.type:  # the id is another job's: that one's events are not ours
            continue
        status = Status(data["status"])
        yield JobSnapshot(
            request.id, request.type, status,
            data.get("progress"), data.get("result"), data.get("error"), data.get("stats"),
        )  # fmt: skip
        if event["type"].rpartition(".")[2] == Outcome.REJECTED or status.ended:
            return
