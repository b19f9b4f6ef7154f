"""The product's workers with RabbitMQ and PostgreSQL, at a vendor that is watched."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock

from sqlalchemy import insert

from benchmarks.budget.vendor import Counting
from clients.data8 import Data8
from messages.events import Status
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ
from tests.testbed.server import Server
from workers.broker.publisher import CLOUD_EVENT, Publisher
from workers.broker.publisher_connection import OutboundMessage
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.ledger.records import DurationSample
from workers.ledger.schema import job, step
from workers.settings import Rate

ROOT = Path(__file__).parents[2]
DATASET = "companies"
COMMAND = "data8.start_job"
#: Alembic bears one thread at a time.
_upgrading = Lock()


def prepare(vendor: Counting) -> None:
    """Make the dataset that all jobs work on."""
    with closing(client(vendor)) as data8:
        data8.datasets.create(DATASET, {"name": 0})
        data8.datasets.update(DATASET, record_count=0)


def client(vendor: Counting) -> Data8:
    """A client without a budget."""
    return Data8.connect(f"{vendor.url}/data8", f"{vendor.url}/data8/connect/token", "sandbox", "sandbox")


class Installation:
    """Workers, each a process of its own, with a virtual host and a database of their own.

    Args:
        rabbitmq: the node.
        postgres: the cluster.
        vendor: the only vendor.
        workers: how many processes.
        rate: the budget that they share.
        shorter: how many times shorter than in earnest the vendor's jobs are.
    """

    def __init__(
        self,
        rabbitmq: RabbitMQ,
        postgres: Postgres,
        vendor: Counting,
        workers: int,
        rate: Rate,
        shorter: float,
    ) -> None:
        self._rabbitmq, self._postgres = rabbitmq, postgres
        self._broker_url, self._ledger_url = rabbitmq.fresh_url(), postgres.fresh_url()
        self._servers = [Server(f"budget-{n}") for n in range(workers)]
        given = {key: value for key, value in vendor.environment().items() if key.startswith("KYB_DATA8")}
        self._environment = given | {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "BUDGET_DATASET": DATASET,
            "BUDGET_SHORTER": str(shorter),
            "KYB_BROKER_URL": self._broker_url,
            "KYB_LEDGER_URL": self._ledger_url,
            "KYB_DATA8__RATE": f"{rate.calls}/{rate.seconds:g}s",
            "KYB_HTTP__PORT": "0",
            "KYB_LOG__LEVEL": "warning",
            "KYB_STORAGE__RESULTS": str(self._servers[0].folder / "results"),
            "KYB_POLLING__MIN_DELAY": str(1 / shorter),
            "KYB_POLLING__MAX_DELAY": str(300 / shorter),
        }
        with _upgrading, closing(Database(self._ledger_url)) as database:
            database.upgrade()
        self._publisher = Publisher(self._broker_url)

    def start(self) -> None:
        """Start the workers."""
        for server in self._servers:
            server.launch([sys.executable, "-m", "benchmarks.budget.worker", "worker"], self._environment)

    def send(self, ids: Iterable[str]) -> None:
        """Publish commands."""
        self._publisher.publish(
            OutboundMessage("kyb.commands", COMMAND, json.dumps(_command(id)).encode(), CLOUD_EVENT)
            for id in ids
        )

    def remember(self, pasts: Sequence[DurationSample]) -> None:
        """Put waits of earlier jobs, in seconds as they are here, into the ledger as if they had just ended."""
        with closing(Database(self._ledger_url)) as database:
            ledger = Ledger(database)
            late = ledger.database.now() - max(past.began + past.ended for past in pasts)
            jobs = [_ended(f"past-{n}", late + past.began + past.ended) for n, past in enumerate(pasts)]
            steps = [_waited(f"past-{n}", late + past.began, past) for n, past in enumerate(pasts)]
            with database.write() as connection:
                connection.execute(insert(job), jobs)
                connection.execute(insert(step), steps)

    def complaints(self) -> str:
        """The last of what the workers wrote."""
        written = [server.output for server in self._servers if server.output.exists()]
        return "".join(output.read_text(errors="replace")[-2_000:] for output in written)

    def close(self) -> None:
        """End them and forget all that they left."""
        for server in self._servers:
            server.close()
        self._publisher.close()
        self._rabbitmq.drop(self._broker_url)
        self._postgres.drop(self._ledger_url)


def _command(id: str) -> dict[str, object]:
    data = {"workflow": "Echo", "name": id}
    return {"specversion": "1.0", "id": id, "source": "/benchmarks", "type": COMMAND, "data": data}


def _ended(id: str, at: float) -> dict[str, object]:
    return {
        "id": id, "command": COMMAND, "queue": "kyb.data8", "vendor": "data8", "source": "/benchmarks",
        "correlation_id": id, "data": "{}", "fingerprint": "", "status": Status.COMPLETED.value, "turn": 3,
        "sequence": 2, "deadline_at": at + 86_400, "accepted_at": at, "updated_at": at, "ended_at": at,
    }  # fmt: skip


def _waited(id: str, began: float, past: DurationSample) -> dict[str, object]:
    return {
        "job_id": id, "name": "finish", "kind": "poll", "state": "done", "polls": 1, "started_at": began,
        "last_polled_at": began + past.after, "ended_at": began + past.ended,
    }  # fmt: skip
