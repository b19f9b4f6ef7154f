"""A vendor and a worker as processes, and the resources that the worker uses while one job runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.waiting.process import cpu_seconds, resident
from messages.events import Status
from sandbox.core import PASSWORD, USERNAME
from tests.chaos.installation import MAIN
from workers.engine.admission import Admission
from workers.files.storage import Storage
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger

#: How often the worker's memory and its job are read.
SAMPLE_INTERVAL_SECONDS = 0.1


@dataclass(frozen=True)
class Run:
    """One job, or the same work by a baseline loop.

    Attributes:
        seconds: from start to end, without the wait for the vendor's job.
        cpu: CPU seconds.
        idle: memory before, in MB, where it was measured.
        memory: samples of the memory, in MB.
        steps: seconds of every step of the job.
        turns: of the job.
    """

    seconds: float
    cpu: float
    idle: float = 0.0
    memory: tuple[float, ...] = ()
    steps: dict[str, float] | None = None
    turns: int = 0

    @property
    def growth(self) -> float:
        """The largest growth of the memory, in MB."""
        return max(self.memory, default=0.0) - self.idle


@contextmanager
def vendor() -> Iterator[str]:
    """Start vendors in a process of their own; yield their URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.bulk.vendor", str(port)])  # noqa: S603 - ourselves
    try:
        _wait_until_listening(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def set_latency(url: str, seconds: float) -> None:
    """Make blocks, entities and pages take that long."""
    with urllib.request.urlopen(f"{url}/latency", data=str(seconds).encode()):  # noqa: S310 - our own
        pass


def run_baseline(loop: str, url: str, source: Path, concurrency: int) -> Run:
    """Run a baseline loop in a process of its own."""
    target = source.with_suffix(".baseline")
    command = [
        sys.executable,
        "-m",
        "benchmarks.bulk.baseline",
        loop,
        url,
        str(source),
        str(target),
        str(concurrency),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - ourselves
    target.unlink(missing_ok=True)
    return Run(**json.loads(done.stdout))


def checkpoint_interval(seconds: float) -> str:
    """Return the preamble of a worker with that interval between checkpoints."""
    return f"import workers.engine.context; workers.engine.context.CHECKPOINT_INTERVAL_SECONDS = {seconds}"


class Worker:
    """One `kyb worker` with embedded broker and ledger, for one job after the other.

    Args:
        folder: of inputs, results and ledger.
        url: of the vendors.
        concurrency: concurrent calls to each vendor.
        turn: the time slice, in seconds.
        preamble: Python code that runs before anything else.
    """

    def __init__(
        self, folder: Path, url: str, concurrency: int, turn: float = 15.0, preamble: str = ""
    ) -> None:
        self._folder = folder
        self._results = folder / "results"
        ledger_url = f"sqlite:///{folder}/kyb-{time.monotonic_ns()}.db"
        self._database = Database(ledger_url)
        self._database.upgrade()
        self._ledger = Ledger(self._database)
        self._admission = Admission(self._ledger.jobs, Storage([str(folder)], str(self._results)), 86_400.0)
        self._jobs = 0
        settings = {
            "KYB_LEDGER_URL": ledger_url, "KYB_STORAGE__INPUTS": str(folder), "KYB_WORKER__TURN": str(turn),
            "KYB_STORAGE__RESULTS": str(self._results), "KYB_HTTP__PORT": "0", "KYB_LOG__LEVEL": "warning",
            "KYB_CREDITSAFE__BASE_URL": f"{url}/creditsafe", "KYB_DATA8__BASE_URL": f"{url}/data8",
            "KYB_DATA8__TOKEN_URL": f"{url}/data8/connect/token", "KYB_SAYARI__BASE_URL": f"{url}/sayari",
            "KYB_CREDITSAFE__USERNAME": USERNAME, "KYB_CREDITSAFE__PASSWORD": PASSWORD,
            "KYB_POLLING__MIN_DELAY": "0.2", "KYB_POLLING__MAX_DELAY": "0.2", "KYB_SAYARI__RATE": "2000/second",
        }  # fmt: skip
        for name in ("DATA8", "SAYARI"):
            settings |= {f"KYB_{name}__CLIENT_ID": USERNAME, f"KYB_{name}__CLIENT_SECRET": PASSWORD}
        for name in ("DATA8", "SAYARI", "CREDITSAFE"):
            settings |= {f"KYB_{name}__CONCURRENCY": str(concurrency), f"KYB_{name}__TIMEOUT": "60"}
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-c", f"{preamble}\n{MAIN}", "worker"], env=os.environ | settings
        )

    def run(self, type: str, data: Mapping[str, object]) -> Run:
        """Run one job from its command to its end, and delete its results."""
        self._jobs += 1
        id = f"job-{self._jobs}"
        event = {"specversion": "1.0", "id": id, "source": "/benchmarks", "type": type, "data": data}
        pid = self._process.pid
        idle, cpu = resident(pid), cpu_seconds(pid)
        memory = []
        self._admission.accept(json.dumps(event).encode(), None, claim_first_turn=False)
        while not (job := self._ledger.queries.job(id)) or not job.status.ended:
            memory.append(resident(pid))
            time.sleep(SAMPLE_INTERVAL_SECONDS)
            if self._process.poll() is not None:
                raise RuntimeError("the worker has exited")
        if job.status is not Status.COMPLETED or job.ended_at is None:
            raise RuntimeError(f"the job has failed: {job.error}")
        cpu = cpu_seconds(pid) - cpu
        steps = self._ledger.queries.steps(id)
        durations = {
            step.name: (step.ended_at or 0.0) - (job.accepted_at if step.kind != "poll" else step.started_at)
            for step in steps
        }
        waited = sum(durations[step.name] for step in steps if step.kind == "poll")
        shutil.rmtree(self._results / id, ignore_errors=True)
        return Run(job.ended_at - job.accepted_at - waited, cpu, idle, tuple(memory), durations, job.turns)

    def close(self) -> None:
        """Kill the worker."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._database.close()


def _wait_until_listening(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the vendors have not started")
