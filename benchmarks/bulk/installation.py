"""A vendor and a worker as processes, and what the worker uses while one job runs."""

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

#: Seconds between two looks at the worker.
LOOK = 0.1


@dataclass(frozen=True)
class Run:
    """One job, or the same work by a bare loop.

    Attributes:
        seconds: from its start to its end, without the wait for the vendor's job.
        cpu: processor seconds.
        idle: memory before, in MB, where it was watched.
        memory: memory at every look, in MB.
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
    def grown(self) -> float:
        """By how many MB memory grew at most."""
        return max(self.memory, default=0.0) - self.idle


@contextmanager
def vendor() -> Iterator[str]:
    """The URL of vendors in a process of their own."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.bulk.vendor", str(port)])  # noqa: S603 - ourselves
    try:
        _until_it_listens(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def latency(url: str, seconds: float) -> None:
    """Let every block of Data8's take so long."""
    with urllib.request.urlopen(f"{url}/latency", data=str(seconds).encode()):  # noqa: S310 - our own
        pass


def bare(loop: str, url: str, source: Path, at_once: int) -> Run:
    """The same work by a bare loop, in a process of its own."""
    target = source.with_suffix(".bare")
    command = [
        sys.executable,
        "-m",
        "benchmarks.bulk.loops",
        loop,
        url,
        str(source),
        str(target),
        str(at_once),
    ]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 - ourselves
    target.unlink(missing_ok=True)
    return Run(**json.loads(done.stdout))


def checkpoints_each(seconds: float) -> str:
    """What a worker does first whose checkpoints come so often."""
    return f"import workers.engine.context; workers.engine.context.CHECKPOINT_INTERVAL = {seconds}"


class Worker:
    """One `kyb worker` with embedded broker and ledger, for jobs one after the other.

    Args:
        folder: of inputs, results and ledger.
        url: of the vendors.
        at_once: calls at once to each vendor.
        turn: seconds of the longest slice.
        preamble: Python run before anything else.
    """

    def __init__(self, folder: Path, url: str, at_once: int, turn: float = 15.0, preamble: str = "") -> None:
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
            settings |= {f"KYB_{name}__CONCURRENCY": str(at_once), f"KYB_{name}__TIMEOUT": "60"}
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            [sys.executable, "-c", f"{preamble}\n{MAIN}", "worker"], env=os.environ | settings
        )

    def run(self, type: str, data: Mapping[str, object]) -> Run:
        """One job from its command to its end; its results are thrown away."""
        self._jobs += 1
        id = f"job-{self._jobs}"
        event = {"specversion": "1.0", "id": id, "source": "/benchmarks", "type": type, "data": data}
        pid = self._process.pid
        idle, cpu = resident(pid), cpu_seconds(pid)
        memory = []
        self._admission.accept(json.dumps(event).encode(), None, handed=False)
        while not (job := self._ledger.queries.job(id)) or not job.status.ended:
            memory.append(resident(pid))
            time.sleep(LOOK)
            if self._process.poll() is not None:
                raise RuntimeError("the worker has ended")
        if job.status is not Status.COMPLETED or job.ended_at is None:
            raise RuntimeError(f"the job has failed: {job.error}")
        cpu = cpu_seconds(pid) - cpu
        steps = self._ledger.queries.steps(id)
        took = {
            step.name: (step.ended_at or 0.0) - (job.accepted_at if step.kind != "poll" else step.started_at)
            for step in steps
        }
        waited = sum(took[step.name] for step in steps if step.kind == "poll")
        shutil.rmtree(self._results / id, ignore_errors=True)
        return Run(job.ended_at - job.accepted_at - waited, cpu, idle, tuple(memory), took, job.turns)

    def close(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._database.close()


def _until_it_listens(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError("the vendors have not started")
