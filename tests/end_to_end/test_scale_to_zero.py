"""A worker of `kyb.control` alone dispatches the due turns of vendors whose workers are scaled to zero."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from tests.end_to_end.conftest import Upstream, Workers, connected
from tests.support.waiting import wait_until
from workers.ledger.database import Database

QUEUE = "kyb.data8"


@pytest.fixture
def ledger_url(postgres_url: str) -> str:
    database = Database(postgres_url)
    database.upgrade()
    database.close()
    return postgres_url


@pytest.fixture
def upstream(amqp_url: str, workers: Workers) -> Iterator[Upstream]:
    workers.start("--queues", QUEUE)
    with connected(amqp_url) as upstream:
        yield upstream


def test_due_turns_are_dispatched_when_the_vendors_workers_are_scaled_to_zero(
    workers: Workers, upstream: Upstream, sandbox: Sandbox, tmp_path: Path
) -> None:
    sandbox.state.job_seconds = 1.0
    (tmp_path / "companies.csv").write_text("name\nAcme\n")
    inputs = {"Companies": {"file": str(tmp_path / "companies.csv")}}
    upstream.command("job", "data8.start_job", workflow="Echo", inputs=inputs)
    upstream.await_events(lambda seen: any(e["type"].endswith(".progressed") for e in seen))
    workers.kill()

    everything = workers.environment
    vendors = ("CREDITSAFE", "DATA8", "SAYARI")
    workers.environment = {n: v for n, v in everything.items() if not any(vendor in n for vendor in vendors)}
    workers.start("--queues", "kyb.control")
    wait_until(lambda: upstream.count(QUEUE) == 1, seconds=40)  # KEDA reads this number
    upstream.channel.queue_purge(QUEUE)
    wait_until(lambda: upstream.count(QUEUE) == 1, seconds=40)  # the lost turn is dispatched again
    workers.environment = everything
    workers.start("--queues", QUEUE)
    upstream.await_events(lambda seen: seen[-1]["type"].endswith(".completed") if seen else False)
    assert set(sandbox.state.effects.values()) == {1}
    assert workers.stop() == [0, 0]
