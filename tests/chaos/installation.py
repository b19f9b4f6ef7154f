"""An installation for one trial: RabbitMQ, PostgreSQL, the vendors' simulators and workers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from sandbox import Sandbox
from tests.support.waiting import wait_until
from tests.testbed.cluster import Cluster
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ

#: The kernel kills a worker when the trial's process ends, however that happens.
MAIN = "import ctypes, signal; ctypes.CDLL(None).prctl(1, signal.SIGKILL); from workers.cli.main import main; main()"
#: A job whose turn kills its process, as a defect in a C library or a lack of memory would.
POISON = """
import os, time
import workers.engine.worker
from workers.jobs.catalogue import JOBS
start_job = JOBS["data8.start_job"]
def start_or_die(command, run, tools):
    if run.job_id.startswith("poison"):
        time.sleep(0.1)
        os._exit(9)
    return start_job(command, run, tools)
JOBS["data8.start_job"] = start_or_die
"""


class Workers:
    """A fixed number of `kyb worker` processes; as with an orchestrator, a dead one is replaced.

    Args:
        environment: settings of all workers.
        log: file that all workers write to.
        count: number of workers.
        preamble: Python code that each worker runs first.
    """

    def __init__(self, environment: dict[str, str], log: Path, count: int = 2, preamble: str = "") -> None:
        self._environment = os.environ | environment
        self._code = f"{preamble}\n{MAIN}"
        self._launched = 0
        #: Further settings of every second worker.
        self.others: dict[str, str] = {}
        #: Folder of their code; None for this checkout.
        self.code: Path | None = None
        self._count = count
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(target=self._restart_dead_workers, name="supervisor", daemon=True)
        self.log = log
        self.running: list[subprocess.Popen[bytes]] = []
        self.deaths = 0

    def start(self) -> None:
        """Start all workers, wait until they serve, and replace dead ones from now on."""
        self._supervisor.start()
        wait_until(
            lambda: sum(line.get("event") == "serving" for line in self.lines()) >= self._count,
            60.0,
            lambda: f"the workers do not serve: {self.log}",
        )

    def kill_one(self, number: int) -> None:
        """Kill one worker (SIGKILL)."""
        with self._lock:
            if self.running:
                self.running[number % len(self.running)].kill()

    def kill_all(self) -> None:
        """Kill all workers at once (SIGKILL)."""
        with self._lock:
            for worker in self.running:
                worker.kill()

    def terminate_one(self, number: int) -> tuple[int, float]:
        """Stop one worker (SIGTERM), which is then replaced; return its exit code and the seconds it took."""
        with self._lock:
            worker = self.running.pop(number % len(self.running))
        return _stop(worker)

    def terminate_all(self) -> list[tuple[int, float]]:
        """Stop all workers (SIGTERM), which are then replaced; return exit codes and seconds."""
        with self._lock:
            ending, self.running = self.running, []
            for worker in ending:
                worker.send_signal(signal.SIGTERM)
            return [_stop(worker, signalled=True) for worker in ending]

    def close(self) -> None:
        """Kill all workers and replace none."""
        self._stopping.set()
        if self._supervisor.is_alive():
            self._supervisor.join()
        for worker in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the complete log lines of all workers."""
        written = self.log.read_text(errors="replace") if self.log.exists() else ""
        for line in written.splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict):
                    yield entry

    def _restart_dead_workers(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                alive = [worker for worker in self.running if worker.poll() is None]
                self.deaths += len(self.running) - len(alive)
                self.running = alive
                while len(self.running) < self._count:
                    self.running.append(self._launch())
            self._stopping.wait(0.1)

    def peak_memory(self) -> int:
        """Return the peak memory of the largest running worker, in MiB."""
        with self._lock:
            status = [Path(f"/proc/{worker.pid}/status").read_text() for worker in self.running]
        return max(int(re.search(r"VmHWM:\s+(\d+)", text)[1]) for text in status) // 1024  # type: ignore[index]

    def _launch(self) -> subprocess.Popen[bytes]:
        self._launched += 1
        environment = self._environment | (self.others if self._launched % 2 else {})
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", self._code, "worker"],
                env=environment,
                cwd=self.code,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


class Installation:
    """All parts of an installation, to be disturbed.

    Args:
        folder: of inputs, results and logs.
        rabbitmq: a running node or cluster; None for the embedded broker, SQLite and one worker.
        postgres: a running cluster.
        sandbox: the vendors' simulators.
    """

    def __init__(
        self,
        folder: Path,
        sandbox: Sandbox,
        rabbitmq: RabbitMQ | Cluster | None = None,
        postgres: Postgres | None = None,
    ) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self._rabbitmq = rabbitmq
        self._postgres = postgres
        self.embedded = rabbitmq is None
        self.amqp_url = "memory://"
        if rabbitmq is not None:
            self.amqp_url = rabbitmq.urls if isinstance(rabbitmq, Cluster) else rabbitmq.url
        self.ledger_url = postgres.fresh_url() if postgres else f"sqlite:///{folder}/kyb.db"
        self.settings: dict[str, str] = {}
        self.preamble = ""
        self._workers: Workers | None = None

    @property
    def rabbitmq(self) -> RabbitMQ:
        """The node, or one node of the cluster."""
        assert self._rabbitmq is not None
        return self._rabbitmq.nodes[0] if isinstance(self._rabbitmq, Cluster) else self._rabbitmq

    @property
    def cluster(self) -> Cluster:
        """The RabbitMQ cluster."""
        assert isinstance(self._rabbitmq, Cluster)
        return self._rabbitmq

    @property
    def postgres(self) -> Postgres:
        """The PostgreSQL cluster."""
        assert self._postgres is not None
        return self._postgres

    @property
    def workers(self) -> Workers:
        """The workers, created at first use and not started."""
        if self._workers is None:
            count = 1 if self.embedded else 2
            environment = self.environment() | self.settings
            self._workers = Workers(environment, self.folder / "workers.log", count, self.preamble)
        return self._workers

    def terminate_backends(self) -> None:
        """Terminate every connection to the ledger on PostgreSQL's side."""
        self.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kyb-workers'"
        )

    def sql(self, *statements: LiteralString) -> None:
        """Run statements as PostgreSQL's superuser."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def close(self) -> None:
        """Kill the workers and drop the ledger."""
        if self._workers is not None:
            self._workers.close()
        if self._postgres is not None:
            self._postgres.drop(self.ledger_url)

    def environment(self) -> dict[str, str]:
        """Return the settings of a worker."""
        timeouts = {f"KYB_{vendor}__TIMEOUT": "2" for vendor in ("CREDITSAFE", "DATA8", "SAYARI")}
        return self.sandbox.environment() | timeouts | {
            "KYB_BROKER_URL": self.amqp_url,
            "KYB_LEDGER_URL": self.ledger_url,
            "KYB_STORAGE__INPUTS": str(self.folder),
            "KYB_STORAGE__RESULTS": str(self.folder / "results"),
            "KYB_POLLING__MIN_DELAY": "0.2",
            "KYB_POLLING__MAX_DELAY": "1",
            "KYB_WORKER__THREADS": "4",
            "KYB_SAYARI__RATE": "100000/minute",
            "KYB_HTTP__PORT": "0",
            "KYB_LOG__FORMAT": "json",
        }  # fmt: skip


def _stop(worker: subprocess.Popen[bytes], *, signalled: bool = False) -> tuple[int, float]:
    began = time.monotonic()
    if not signalled:
        worker.send_signal(signal.SIGTERM)
    try:
        code = worker.wait(60)
    except subprocess.TimeoutExpired:
        worker.kill()
        code = worker.wait()
    return code, time.monotonic() - began
