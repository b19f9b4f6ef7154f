"""Sending a command the way the broker wants it, and watching what becomes of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from messages.envelope import InvalidCommand, Request
from messages.events import Outcome, Status
from workers.admission import Admission
from workers.cli.start import broker_urls, opened_ledger, storage_of
from workers.ledger.events import stats_of
from workers.ledger.ledger import Ledger
from workers.settings import Settings

#: Seconds between two looks into the ledger.
LOOK = 0.2


@dataclass(frozen=True)
class Standing:
    """Where a job stands; the members are those of an event's data."""

    job_id: str
    command: str
    status: Status
    progress: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    stats: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {name: value for name, value in vars(self).items() if value is not None}


def sent(settings: Settings, request: Request, *, watch: bool) -> Iterator[Standing]:
    """Send a command; gives where its job stands, again and again until it has ended, if `watch` is asked for.

    Without a broker a command that is rejected gives that standing at once. Raises `BrokerUnavailable` or
    `LedgerUnavailable`.
    """
    body = json.dumps(request.event(), ensure_ascii=False).encode()
    if settings.embedded:
        yield from _recorded(settings, request, body, watch=watch)
    else:
        yield from _published(settings, request, body, watch=watch)


def standing_in_ledger(ledger: Ledger, job_id: str) -> Standing | None:
    """Where a job stands by the ledger."""
    job = ledger.job(job_id)
    if job is None:
        return None
    stats = stats_of(job, job.ended_at if job.ended_at is not None else ledger.now())
    return Standing(
        job_id, job.command, job.status, job.progress, job.result, job.error, stats.model_dump(mode="json")
    )


def _recorded(settings: Settings, request: Request, body: bytes, *, watch: bool) -> Iterator[Standing]:
    storage = storage_of(settings)
    with opened_ledger(settings) as ledger:
        try:
            Admission(ledger, storage, settings.polling.deadline).accept(body, None, handed=False)
        except InvalidCommand as invalid:
            details = [{"field": d.field, "message": d.message} for d in invalid.details]
            error = {"code": invalid.code.value, "message": str(invalid), "detail": details}
            yield Standing(request.id, request.type, Status.REJECTED, error=error)
            return
        while watch:
            standing = standing_in_ledger(ledger, request.id)
            if standing is None:
                return
            yield standing
            if standing.status.ended:
                return
            time.sleep(LOOK)


def _published(settings: Settings, request: Request, body: bytes, *, watch: bool) -> Iterator[Standing]:
    from workers.broker import topology  # noqa: PLC0415 - the embedded broker does without pika
    from workers.broker.publisher import CLOUD_EVENT, Outgoing, Publisher  # noqa: PLC0415 - likewise
    from workers.broker.stream import EventStream  # noqa: PLC0415 - likewise

    urls = broker_urls(settings)
    publisher = Publisher(urls)
    outgoing = Outgoing(topology.COMMANDS, request.type, body, CLOUD_EVENT, request.id)
    try:
        if not watch:
            publisher.publish([outgoing])
            return
        with EventStream(urls, "next") as stream:  # before publishing: no event can be missed
            publisher.publish([outgoing])
            publisher.close()
            yield from _told(stream, request)
    finally:
        publisher.close()


def _told(stream: Any, request: Request) -> Iterator[Standing]:
    yield Standing(request.id, request.type, Status.ACCEPTED)
    while True:
        body = stream.read(LOOK)
        event = {} if body is None else json.loads(body)
        if event.get("subject") != request.id:
            continue
        data = event["data"]
        if data["command"] != request.type:  # the id is another job's: that one's events are not ours
            continue
        status = Status(data["status"])
        yield Standing(
            request.id, request.type, status,
            data.get("progress"), data.get("result"), data.get("error"), data.get("stats"),
        )  # fmt: skip
        if event["type"].rpartition(".")[2] == Outcome.REJECTED or status.ended:
            return
