"""The servers that all contenders share, and the installation of each contender on them."""

from __future__ import annotations

import os
import re
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.peers.contenders import APPS, ROOT, THREADS, Contender
from benchmarks.peers.processes import cpu_seconds, memory
from benchmarks.peers.vendor import Vendor
from clients.data8 import Data8
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ
from tests.testbed.server import Server

DATASET = "companies"
#: How often all contenders but ours poll.
POLL_INTERVAL_SECONDS = 1
#: The other contenders use an id with this in it as the name of the vendor job; to all others they add a random part.
PLAIN_NAMES = "xp"
#: How many times shorter than in production the vendor's jobs and all pauses are.
TIME_SCALE = 15
_COUNT = """
SELECT (
    SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
    WHERE dbid = d.oid AND query !~* '^(BEGIN|COMMIT|ROLLBACK|SET|SHOW|DEALLOCATE)'
), pg_stat_get_db_xact_commit(d.oid) FROM pg_database d WHERE datname = %s
"""


@dataclass(frozen=True)
class Usage:
    """Resources used so far: CPU seconds of workers, broker and database; messages, statements and commits."""

    workers: float
    broker: float
    database: float
    messages: int
    statements: int
    commits: int

    def since(self, before: Usage) -> Usage:
        """Return the usage since `before`."""
        return Usage(
            self.workers - before.workers, self.broker - before.broker, self.database - before.database,
            self.messages - before.messages, self.statements - before.statements, self.commits - before.commits,
        )  # fmt: skip


class Site:
    """RabbitMQ, PostgreSQL and the vendor."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.rabbitmq = RabbitMQ()
        self.postgres = Postgres()

    def start(self) -> None:
        """Start the servers, and count statements from now on."""
        self.rabbitmq.start()
        self.postgres.start()
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        self.postgres.restart()
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION pg_stat_statements")
        with closing(self._client()) as data8:
            data8.datasets.create(DATASET, {"name": 0})
            data8.datasets.update(DATASET, record_count=0)

    def start_jobs(self, names: list[str]) -> None:
        """Start jobs at the vendor directly."""
        with closing(self._client()) as data8:
            for name in names:
                data8.jobs.create(name, "Echo", input_datasets={"Companies": DATASET})

    def close(self) -> None:
        """Stop the servers."""
        self.rabbitmq.close()
        self.postgres.close()

    def _client(self) -> Data8:
        settings = self.vendor.environment()
        return Data8.connect(
            settings["KYB_DATA8__BASE_URL"], settings["KYB_DATA8__TOKEN_URL"], "sandbox", "sandbox"
        )


class Installation:
    """A contender's workers with a virtual host and a database of their own.

    Args:
        site: the servers.
        contender: whose workers they are.
    """

    def __init__(self, site: Site, contender: Contender) -> None:
        self._site = site
        self.contender = contender
        self.broker_url = site.rabbitmq.fresh_url()
        self.database_url = site.postgres.fresh_url()
        self._servers = [Server(f"{contender.key}-{n}") for n in range(len(contender.workers))]
        self.environment = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "PYTHONPATH": f"{ROOT}:{APPS}" if contender.ours else str(APPS),
            "PEER_BROKER": self.broker_url,
            "PEER_DATABASE": self.database_url,
            "PEER_DATA8": f"{site.vendor.url}/data8",
            "PEER_DATASET": DATASET,
            "PEER_INTERVAL": str(POLL_INTERVAL_SECONDS),
            "PEER_PLAIN_NAMES": PLAIN_NAMES,
        }
        if contender.ours:
            vendors = {
                key: value for key, value in site.vendor.environment().items() if key.startswith("KYB_DATA8")
            }
            self.environment |= vendors | {
                "KYB_BROKER_URL": self.broker_url,
                "KYB_LEDGER_URL": self.database_url,
                "KYB_WORKER__THREADS": str(THREADS),
                "KYB_HTTP__PORT": "0",
                "KYB_LOG__LEVEL": "warning",
                "KYB_STORAGE__RESULTS": str(self._servers[0].folder / "results"),
                "KYB_POLLING__MIN_DELAY": "0.1",
                "PEER_TIME_SCALE": str(TIME_SCALE),
            }
        self.environment |= dict(contender.settings)
        contender.prepare(self.environment)

    def start(self) -> None:
        """Start the workers."""
        for server, line in zip(self._servers, self.contender.workers, strict=True):
            server.launch(list(line), self.environment)

    def kill(self) -> None:
        """Kill all workers with SIGKILL."""
        for server in self._servers:
            server.kill()

    def close(self) -> None:
        """Stop the workers and drop their virtual host and database."""
        for server in self._servers:
            server.close()
        self._site.rabbitmq.drop(self.broker_url)
        self._site.postgres.drop(self.database_url)

    @property
    def folder(self) -> Path:
        """A folder for its files, which lasts until `close`."""
        return self._servers[0].folder

    def pids(self) -> list[int]:
        """Return the process ids of its workers."""
        return [server.pid for server in self._servers]

    def output_tail(self) -> str:
        """Return the end of the workers' output."""
        return "".join(
            server.output.read_text(errors="replace")[-3000:]
            for server in self._servers
            if server.output.exists()
        )

    def memory(self) -> float:
        """Return the memory of all workers, in MB."""
        return sum(memory(server.pid) for server in self._servers)

    def usage(self, *, counts_first: bool) -> Usage:
        """Return the usage so far. Counting takes CPU time, so it is done outside of the two readings of the clocks."""
        counts = self._counts() if counts_first else None
        cpu = (
            sum(cpu_seconds(server.pid) for server in self._servers),
            cpu_seconds(self._site.rabbitmq.pid),
            cpu_seconds(self._site.postgres.pid),
        )
        return Usage(*cpu, *(counts or self._counts()))

    def _counts(self) -> tuple[int, int, int]:
        """Return messages, statements and commits."""
        return self._messages(), *self._statements()

    def _messages(self) -> int:
        """Return how many messages RabbitMQ has received in all."""
        counters = self._site.rabbitmq.ctl("eval", "rabbit_global_counters:overview().")
        return sum(int(n) for n in re.findall(r"messages_received_total => (\d+)", counters))

    def _statements(self) -> tuple[int, int]:
        """Return the statements and commits in its database so far."""
        name = self.database_url.rpartition("/")[2]
        with psycopg.connect(self._site.postgres.url, autocommit=True) as connection:
            ((statements, commits),) = connection.execute(_COUNT, [name]).fetchall()
        return int(statements), int(commits)
