"""Unacked turns: they are in no queue, and the dispatcher must not take them for lost."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sandbox import Sandbox
from sandbox.core import Fault
from tests.support.scenario import worker_environment
from tests.support.vendor_setup import COMPANIES
from workers.engine import dispatcher
from workers.engine.admission import Admission
from workers.engine.worker import Worker
from workers.files.storage import Storage
from workers.settings import load

JOBS = 3


@pytest.mark.parametrize("broker", ["rabbitmq", "embedded"])
def test_dispatcher_requeues_no_turn_when_a_worker_has_it_unacked(
    broker: str,
    request: pytest.FixtureRequest,
    sqlite_url: str,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one thread, three jobs and a slow vendor, two turns stay unacked for longer than `LOST_AFTER_SECONDS`."""
    url = "memory://" if broker == "embedded" else request.getfixturevalue("amqp_url")
    settings = worker_environment(sandbox, tmp_path, url, sqlite_url)
    for name, value in settings.items() | {("KYB_WORKER__THREADS", "1"), ("KYB_DATA8__TIMEOUT", "30")}:
        monkeypatch.setenv(name, value)
    for name, seconds in {
        "LEADER_RETRY_SECONDS": 0.05,
        "REQUEUE_INTERVAL_SECONDS": 0.1,
        "LOST_AFTER_SECONDS": 0.5,
    }.items():
        monkeypatch.setattr(dispatcher, name, seconds)
    sandbox.state.faults["data8.jobs.create"].append(Fault("slow", times=JOBS, seconds=1.0))
    worker = Worker(load())
    worker.ledger.database.upgrade()
    admission = Admission(worker.ledger.jobs, Storage([str(tmp_path)], str(tmp_path / "results")), 60.0)
    (tmp_path / "companies.csv").write_bytes(COMPANIES)
    data = {"workflow": "Echo", "inputs": {"Companies": {"file": str(tmp_path / "companies.csv")}}}
    for n in range(JOBS):
        event = {"specversion": "1.0", "id": f"job-{n}", "source": "/tests", "type": "data8.start_job"}
        admission.accept(json.dumps(event | {"data": data}).encode(), None, claim_first_turn=False)
    with capture_logs() as logs:
        worker.start()
        deadline = time.monotonic() + 60
        while not all(job.status.ended for job in worker.ledger.queries.jobs()):
            assert time.monotonic() < deadline
            time.sleep(0.05)  # a ledger has no event to await
        worker.stop()
    assert [log for log in logs if log["event"] == "lost turns requeued"] == []
    assert {job.status for job in worker.ledger.queries.jobs()} == {"completed"}
