"""A harness for turns with a worker's services, and the change of metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from sandbox import Sandbox
from sandbox.core import SandboxState
from workers.engine.client_factory import build_services
from workers.engine.run_limits import RunLimits
from workers.engine.turns import Turns
from workers.jobs.catalogue import JOBS
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.ledger.records import Job
from workers.observability import tracing
from workers.settings import load

LIMITS = RunLimits(
    min_delay=0.001, max_delay=0.01, stall_timeout=60.0, time_slice=15.0, effect_settle_seconds=0.0
)


class ServiceHarness:
    """Runs commands with the vendors' clients of a worker, in the test's own thread."""

    def __init__(self, sandbox: Sandbox, folder: Path, url: str) -> None:
        self.state = sandbox.state
        self.folder = folder
        self.ledger = Ledger(Database(url))
        tracing.trace_ledger_writes(self.ledger.database.engine)
        self.services = build_services(load(), self.ledger)
        self.turns = Turns(self.ledger.jobs, JOBS, self.services, LIMITS, 60.0)

    def close(self) -> None:
        self.services.close()
        self.ledger.database.close()

    def arrive(self, type: str, data: dict[str, Any], id: str = "job", **attributes: str) -> None:
        event = {"specversion": "1.0", "id": id, "source": "/tests", "type": type, "data": data, **attributes}
        self.turns.receive_command(json.dumps(event).encode())

    def run(self, type: str, data: dict[str, Any], id: str = "job", **attributes: str) -> Job:
        self.arrive(type, data, id, **attributes)
        for _ in range(200):
            job = self.job(id)
            if job.status.ended:
                return job
            self.turns.run_turn(id, job.turn)
        raise AssertionError(f"{id} has not ended after 200 turns")

    def job(self, id: str = "job") -> Job:
        job = self.ledger.queries.job(id)
        assert job is not None
        return job

    def companies(self) -> dict[str, Any]:
        """Return the data of a command that sends a file of two records to Data8."""
        path = self.folder / "companies.csv"
        path.write_text("name\nAcme\nBeispiel\n")
        return {"workflow": "Echo", "inputs": {"Companies": {"file": str(path)}}}


@pytest.fixture
def quick_sandbox() -> Iterator[Sandbox]:
    with Sandbox(state=SandboxState(job_seconds=0.05, queue_seconds=0)) as sandbox:
        yield sandbox


@pytest.fixture
def vendors(quick_sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Set the environment for the sandbox's vendors."""
    monkeypatch.chdir(tmp_path)
    for name, value in quick_sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KYB_STORAGE__INPUTS", str(tmp_path))
    monkeypatch.setenv("KYB_STORAGE__RESULTS", str(tmp_path / "results"))
    return quick_sandbox


@pytest.fixture
def harness(vendors: Sandbox, tmp_path: Path, sqlite_url: str) -> Iterator[ServiceHarness]:
    harness = ServiceHarness(vendors, tmp_path, sqlite_url)
    yield harness
    harness.close()


class MetricDelta:
    """The increase of the process's metrics since this object was made."""

    def __init__(self) -> None:
        self._before = self._now()

    def __call__(self, sample: str, **labels: str) -> float:
        key = (sample, tuple(sorted(labels.items())))
        return self._now().get(key, 0.0) - self._before.get(key, 0.0)

    def _now(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for metric in REGISTRY.collect()
            for sample in metric.samples
        }


@pytest.fixture
def counted() -> MetricDelta:
    return MetricDelta()
