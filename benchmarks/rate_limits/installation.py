"""The product's workers with RabbitMQ and PostgreSQL, and a vendor that counts their calls."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Lock

from sqlalchemy import insert

from benchmarks.rate_limits.vendor import CountingVendor
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
#: Alembic runs in one thread at a time.
_upgrading = Lock()


def prepare(vendor: CountingVendor) -> None:
    """Create the dataset that all jobs use."""
    with closing(client(vendor)) as data8:
        data8.datasets.create(DATASET, {"name": 0})
        data8.datasets.update(DATASET, record_count=0)


def client(vendor: CountingVendor) -> Data8:
    """Return a client without a rate limit."""
    return Data8.connect(f"{vendor.url}/data8", f"{vendor.url}/data8/connect/token", "sandbox", "sandbox")


class Installation:
    """Worker processes with a virtual host and a database of their own.

    Args:
        rabbitmq: the node.
        postgres: the cluster.
        vendor: the only vendor.
        workers: how many processes.
        rate: the rate limit that they share.
        factor: how many times shorter than in production the vendor's jobs are.
    """

    def __init__(
        self,
        rabbitmq: RabbitMQ,
        postgres: Postgres,
        vendor: CountingVendor,
        workers: int,
        rate: Rate,
        factor: float,
    ) -> None:
        self._rabbitmq, self._postgres = rabbitmq, postgres
        self._broker_url, self._ledger_url = rabbitmq.fresh_url(), postgres.fresh_url()
        self._servers = [Server(f"rate-limits-{n}") for n in range(workers)]
        vendor_settings = {
            key: value for key, value in vendor.environment().items() if key.startswith("KYB_DATA8")
        }
        self._environment = vendor_settings | {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "BENCHMARK_DATASET": DATASET,
            "BENCHMARK_TIME_SCALE": str(factor),
            "KYB_BROKER_URL": self._broker_url,
            "KYB_LEDGER_URL": self._ledger_url,
            "KYB_DATA8__RATE": f"{rate.calls}/{rate.seconds:g}s",
            "KYB_HTTP__PORT": "0",
            "KYB_LOG__LEVEL": "warning",
            "KYB_STORAGE__RESULTS": str(self._servers[0].folder / "results"),
            "KYB_POLLING__MIN_DELAY": str(1 / factor),
            "KYB_POLLING__MAX_DELAY": str(300 / factor),
        }
        with _upgrading, closing(Database(self._ledger_url)) as database:
            database.upgrade()
        self._publisher = Publisher(self._broker_url)

    def start(self) -> None:
        """Start the workers."""
        for server in self._servers:
            server.launch(
                [sys.executable, "-m", "benchmarks.rate_limits.worker", "worker"], self._environment
            )

    def send(self, ids: Iterable[str]) -> None:
        """Publish commands."""
        self._publisher.publish(
            OutboundMessage("kyb.commands", COMMAND, json.dumps(_command(id)).encode(), CLOUD_EVENT)
            for id in ids
        )

    def remember(self, samples: Sequence[DurationSample]) -> None:
        """Insert waits of earlier jobs, in seconds of this benchmark, as if they had just ended."""
        with closing(Database(self._ledger_url)) as database:
            ledger = Ledger(database)
            origin = ledger.database.now() - max(each.began + each.ended for each in samples)
            jobs = [_job_row(f"past-{n}", origin + each.began + each.ended) for n, each in enumerate(samples)]
            steps = [_step_row(f"past-{n}", origin + each.began, each) for n, each in enumerate(samples)]
            with database.write() as connection:
                connection.execute(insert(job), jobs)
                connection.execute(insert(step), steps)

    def output(self) -> str:
        """Return the end of the workers' output."""
        written = [server.output for server in self._servers if server.output.exists()]
        return "".join(output.read_text(errors="replace")[-2_000:] for output in written)

    def close(self) -> None:
        """Stop the workers and drop their virtual host and database."""
        for server in self._servers:
            server.close()
        self._publisher.close()
        self._rabbitmq.drop(self._broker_url)
        self._postgres.drop(self._ledger_url)


def _command(id: str) -> dict[str, object]:
    data = {"workflow": "Echo", "name": id}
    return {"specversion": "1.0", "id": id, "source": "/benchmarks", "type": COMMAND, "data": data}


def _job_row(id: str, at: float) -> dict[str, object]:
    return {
        "id": id, "command": COMMAND, "queue": "kyb.data8", "vendor": "data8", "source": "/benchmarks",
        "correlation_id": id, "data": "{}", "fingerprint": "", "status": Status.COMPLETED.value, "turn": 3,
        "sequence": 2, "deadline_at": at + 86_400, "accepted_at": at, "updated_at": at, "ended_at": at,
    }  # fmt: skip


def _step_row(id: str, began: float, sample: DurationSample) -> dict[str, object]:
    return {
        "job_id": id, "name": "finish", "kind": "poll", "state": "done", "polls": 1, "started_at": began,
        "last_polled_at": began + sample.after, "ended_at": began + sample.ended,
    }  # fmt: skip
