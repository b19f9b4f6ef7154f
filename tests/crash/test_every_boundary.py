"""A worker is killed at boundaries of every command, and started again.

Each time: the job finishes, each effect happened once, there is one final event, the files are the same.
The tests try boundaries spread over the whole job, or all if `KYB_TEST_EVERY_BOUNDARY` is set (`make crash`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pika
import pytest

from sandbox import Sandbox
from tests.crash.child import ENDED, run
from tests.support.scenario import (
    Scenario,
    check_outcome,
    command_body,
    outcome_of,
    quick_sandbox,
    worker_environment,
)
from tests.support.scenarios import SCENARIOS
from tests.testbed.ledgers import ledger_at
from workers.broker import topology
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.ledger.records import Job

EVERY = bool(os.environ.get("KYB_TEST_EVERY_BOUNDARY"))
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["tests.crash.child", "httpcore"])
#: Starting a process also reaps ended ones, which must not happen during a join.
STARTING = threading.Lock()


@dataclass
class Trial:
    """One command, run to its end by workers of which the first may die."""

    scenario: Scenario
    folder: Path

    def play(self, die_at: int | None) -> tuple[bool, list[str], Sandbox, Ledger, Job]:
        """Return whether the first worker died, the boundaries that it crossed, and the final state."""
        self.folder.mkdir()
        report = self.folder / "boundaries"
        url = ledger_at(self.folder / "kyb.db")
        with quick_sandbox() as sandbox:
            body = command_body(self.scenario.type, "job:1", self.scenario.data(self.folder, sandbox))
            sandbox.state.effects.clear()
            settings = worker_environment(sandbox, self.folder, "memory://", url)
            code = start(settings, body, die_at, report)
            crossed = [line for line in report.read_text().splitlines() if line != ENDED]
            died = code == -signal.SIGKILL
            if died:
                code = start(settings, body, None, self.folder / "second")
            assert code == 0, f"the last worker ended with {code}"
            ledger = Ledger(Database(url))
            job = ledger.queries.job("job:1")
            assert job is not None
            return died, crossed, sandbox, ledger, job


def start(
    settings: dict[str, str], body: bytes | None, die_at: int | None, report: Path, job_id: str = "job:1"
) -> int:
    """Run a worker process to its end and return its exit code.

    The code comes from the report: a fork server may pass on the exit code of another thread's child.
    """
    child = FORK.Process(target=run, args=(settings, job_id, body, die_at, str(report)))
    with STARTING:
        child.start()
    wait([child.sentinel])
    with STARTING:
        child.join()
    last = report.read_text().splitlines()[-1] if report.exists() else ""
    if last == ENDED:
        return 0
    return -signal.SIGKILL if die_at is not None and last.startswith(f"{die_at} ") else child.exitcode or 1


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as executor:
        yield executor


@pytest.mark.timeout(1800 if EVERY else 300)
@pytest.mark.parametrize("type_", SCENARIOS)
def test_embedded_worker_completes_the_job_when_killed_at_a_boundary(
    type_: str, tmp_path: Path, pool: ThreadPoolExecutor
) -> None:
    scenario = SCENARIOS[type_]
    _, crossed, sandbox, ledger, job = Trial(scenario, tmp_path / "undisturbed").play(None)
    expected = outcome_of(scenario, job)
    check_outcome(scenario, sandbox, ledger, job, expected)
    assert job.status == "completed"

    def disturbed(die_at: int) -> str | None:
        died, boundaries, sandbox, ledger, job = Trial(scenario, tmp_path / str(die_at)).play(die_at)
        try:
            check_outcome(scenario, sandbox, ledger, job, expected)
        except AssertionError as error:
            return f"killed at {boundaries[-1]}: {error}"
        # the number of polls varies slightly, so the last boundaries may not exist
        return None if died or die_at > 0.8 * len(crossed) else f"boundary {die_at} was not reached"

    stride = 1 if EVERY else scenario.stride
    points = range(min(stride, len(crossed)), len(crossed) + 1, stride)
    failures = [failure for failure in pool.map(disturbed, points) if failure]
    assert not failures, "\n".join(failures)


@pytest.mark.timeout(1800 if EVERY else 300)
def test_distributed_worker_completes_the_job_when_killed_at_a_boundary(
    tmp_path: Path, amqp_url: str, postgres_url: str
) -> None:
    """The same on real parts, where turns and events are published and acknowledged too."""
    scenario = SCENARIOS["data8.start_job"]
    database = Database(postgres_url)
    database.upgrade()
    ledger = Ledger(database)
    connection = pika.BlockingConnection(pika.URLParameters(amqp_url))
    topology.declare(connection)
    channel = connection.channel()
    with quick_sandbox() as sandbox:
        settings = worker_environment(sandbox, tmp_path, amqp_url, postgres_url)
        data = scenario.data(tmp_path, sandbox)
        expected: dict[str, Any] = {}
        died, die_at = True, 0
        while died:
            die_at += 1 if EVERY or die_at == 0 else 9
            job_id, report = f"job-{die_at}", tmp_path / f"boundaries-{die_at}"
            body = command_body(scenario.type, job_id, data)
            properties = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
            channel.basic_publish(topology.COMMANDS, scenario.type, body, properties, mandatory=True)
            code = start(settings, None, die_at if die_at > 1 else None, report, job_id)
            died = code == -signal.SIGKILL
            if died:
                code = start(settings, None, None, tmp_path / f"second-{die_at}", job_id)
            assert code == 0, f"the last worker ended with {code}"
            job = ledger.queries.job(job_id)
            assert job is not None
            expected = expected or outcome_of(scenario, job)
            check_outcome(scenario, sandbox, ledger, job, expected)
            connection.process_data_events(0)
            died = died or die_at == 1
        assert die_at > 60
    connection.close()
    database.close()
