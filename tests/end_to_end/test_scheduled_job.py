"""A scheduled command waits in the ledger alone, so the broker and the workers may lose their state."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Upstream, Workers, connect
from tests.testbed.rabbitmq import RabbitMQ, Vhosts


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_scheduled_job_runs_when_rabbitmq_loses_its_data_and_the_worker_dies(
    upstream: Upstream, workers: Workers, virtual_hosts: RabbitMQ | Vhosts, amqp_url: str, tmp_path: Path
) -> None:
    (tmp_path / "companies.csv").write_text("name\r\nNestlé S.A.\r\n")
    begin = datetime.now(UTC) + timedelta(seconds=6)
    command = {
        "specversion": "1.0",
        "id": "later",
        "source": "/crm",
        "type": "data8.start_job",
        "notbefore": begin.isoformat(),
        "data": {"workflow": "Echo", "inputs": {"A": {"file": str(tmp_path / "companies.csv")}}},
    }
    upstream.publish(json.dumps(command).encode(), "data8.start_job")
    [accepted] = upstream.await_events(lambda events: len(events) == 1)
    assert accepted["type"] == "data8.start_job.accepted"
    assert upstream.count("kyb.data8") == 0

    upstream.connection.close()
    workers.kill()
    virtual_hosts.empty(amqp_url)
    workers.start()
    upstream = connect(amqp_url)
    upstream.publish(json.dumps(command).encode(), "data8.start_job")  # changes nothing
    events = upstream.await_events(lambda events: any(e["type"].endswith(".completed") for e in events))
    upstream.connection.close()

    later = [event for event in events if event["subject"] == "later" and event["id"] != accepted["id"]]
    assert all(datetime.fromisoformat(event["time"]) >= begin - timedelta(milliseconds=1) for event in later)
