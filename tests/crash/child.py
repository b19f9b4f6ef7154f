"""A worker process that dies, by SIGKILL, at the Nth boundary it crosses.

Boundaries are the points at which other systems observe something: before and after each ledger commit that
writes, each vendor call, each publish and each acknowledgement. The hooks are in the libraries, not in our code.
"""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from dramatiq.brokers.stub import StubBroker
from pika.channel import Channel
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.default import DefaultDialect

import workers.engine.worker
from workers.engine.admission import Admission
from workers.engine.worker import Worker
from workers.files.storage import Storage
from workers.observability.logs import configure
from workers.settings import LogSettings, load

#: The report's last line when the job has ended and the worker has stopped.
ENDED = "ended"
WRITES = ("INSERT", "UPDATE", "DELETE")


class Boundaries:
    """A counter of boundaries that kills the process at one of them."""

    def __init__(self, die_at: int | None, report: Path) -> None:
        self._die_at = die_at
        self._report = report
        self._numbers = itertools.count(1)
        self._guard = threading.Lock()

    def install(self) -> None:
        self._wrap(httpx.Client, "send", "vendor call")
        self._wrap(StubBroker, "enqueue", "publish")
        self._wrap(Channel, "basic_publish", "publish")
        self._wrap(Channel, "basic_ack", "ack")
        event.listen(Engine, "after_cursor_execute", _mark_writes)
        self._wrap(
            DefaultDialect,
            "do_commit",
            "ledger write",
            only_if=lambda _, dbapi: dbapi.info.pop("writes", False),
        )

    def cross(self, what: str) -> None:
        with self._guard:
            number = next(self._numbers)
            with self._report.open("a") as report:
                report.write(f"{number} {what}\n")
            if number == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def _wrap(
        self, owner: type, name: str, label: str, only_if: Callable[..., bool] = lambda *_: True
    ) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def crossing(*args: Any, **kwargs: Any) -> Any:
            if not only_if(*args[:2]):
                return original(*args, **kwargs)
            self.cross(f"before {label}")
            result = original(*args, **kwargs)
            self.cross(f"after {label}")
            return result

        setattr(owner, name, crossing)


def _mark_writes(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
    if statement.lstrip().upper().startswith(WRITES):
        connection.info["writes"] = True


def run(
    environment: dict[str, str], job_id: str, body: bytes | None, die_at: int | None, report: str
) -> None:
    """Serve until the job has ended and its events are published; submit `body` first if the broker is embedded."""
    os.environ.update(environment)
    configure(LogSettings(format="json", level="info"))
    workers.engine.worker.IDLE_WAKE_MILLISECONDS = 20
    settings = load()
    Boundaries(die_at, Path(report)).install()
    worker = Worker(settings)
    worker.start()
    if body is not None:
        storage = Storage(settings.storage.roots(), settings.storage.results)
        Admission(worker.ledger.jobs, storage, settings.polling.deadline).accept(
            body, None, claim_first_turn=False
        )
    deadline = time.monotonic() + 60
    while not _ended(worker, job_id):
        if time.monotonic() > deadline:
            sys.stderr.write(f"stuck: {worker.ledger.queries.job(job_id)}\n")
            os._exit(7)
        time.sleep(0.01)  # a ledger has no event to await
    worker.stop()
    with Path(report).open("a") as lines:
        lines.write(ENDED + "\n")
    os._exit(0)


def _ended(worker: Worker, job_id: str) -> bool:
    job = worker.ledger.queries.job(job_id)
    if job is None or not job.status.ended:
        return False
    with worker.ledger.database.read() as connection:
        return not worker.ledger.dispatch.unpublished_events(connection, 1)
