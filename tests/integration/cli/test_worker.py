"""`kyb worker` as a process: probes, signals, and several processes under one supervisor."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import httpx
import pytest

from sandbox import Sandbox
from tests.support.cli import Kyb, kyb_process
from tests.support.waiting import wait_for_line, wait_until
from workers.cli.commands.worker import stop_event

CONTROL = ["submit", "job.cancel", "--job-id", "nowhere", "--wait", "--json"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_worker_serves_until_it_is_stopped(
    kyb: Kyb, vendors: Sandbox, number: signal.Signals, unused_port: int
) -> None:
    with kyb_process("worker", KYB_HTTP__PORT=str(unused_port)) as worker:
        line = wait_for_line(worker.stderr, '"serving"')
        assert "kyb.creditsafe" in line
        assert httpx.get(f"http://127.0.0.1:{unused_port}/livez").status_code == 200
        wait_until(lambda: httpx.get(f"http://127.0.0.1:{unused_port}/readyz").status_code == 200)
        assert kyb(*CONTROL).json["error"]["message"] == "there is no job nowhere"
        worker.send_signal(number)
        assert worker.wait(20) == 0
        assert worker.stdout is not None
        assert worker.stdout.read() == ""


def test_worker_warns_and_serves_control_when_no_vendor_is_configured(kyb: Kyb, home: Path) -> None:
    with kyb_process("worker", KYB_HTTP__PORT="0") as worker:
        wait_for_line(worker.stderr, "no vendor configured")
        assert kyb(*CONTROL).json["status"] == "failed"


def test_worker_exits_2_when_a_queue_cannot_be_served(kyb: Kyb, home: Path) -> None:
    ended = kyb("worker", "--queues", "kyb.control,kyb.data8")
    assert ended.code == 2
    assert ended.err.startswith("kyb: kyb.data8: not a queue this worker can serve")


def test_worker_exits_2_when_its_port_is_taken(vendors: Sandbox) -> None:
    with kyb_process("worker", KYB_HTTP__PORT=str(vendors.port)) as worker:
        assert worker.wait(20) == 2
        assert worker.stderr is not None
        assert "kyb: KYB_HTTP__HOST, KYB_HTTP__PORT: " in worker.stderr.read()


def test_worker_waits_when_the_broker_is_unavailable(home: Path) -> None:
    with kyb_process("worker", KYB_HTTP__PORT="0", KYB_BROKER_URL="amqp://127.0.0.1:1") as worker:
        wait_for_line(worker.stderr, "broker unavailable")
        wait_for_line(worker.stderr, "broker unavailable")
        worker.terminate()
        assert worker.wait(20) == 0


def test_worker_stops_when_the_signal_comes_at_the_worst_moment() -> None:
    """While the thread that it interrupts is about to wait, and has the lock of what it waits for."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        stopping = stop_event()
        with stopping._cond:  # type: ignore[attr-defined]
            signal.raise_signal(signal.SIGTERM)
        assert stopping.wait(20)
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)


def test_worker_exits_2_when_telemetry_settings_are_wrong(home: Path) -> None:
    """Said once by the parent of several processes, not by each of them for ever."""
    with kyb_process("worker", KYB_WORKER__PROCESSES="2", OTEL_TRACES_EXPORTER="nowhere") as worker:
        assert worker.wait(30) == 2
        assert worker.stderr is not None
        assert worker.stderr.read() == "kyb: OTEL_TRACES_EXPORTER: must be otlp, console or none\n"


def test_dead_child_is_replaced_and_its_siblings_continue(home: Path) -> None:
    with kyb_process("worker", KYB_HTTP__PORT="0", KYB_WORKER__PROCESSES="2") as supervisor:
        first, second = (_pid(wait_for_line(supervisor.stderr, "worker process started")) for _ in range(2))
        os.kill(first, signal.SIGKILL)
        assert _pid(wait_for_line(supervisor.stderr, "worker process exited")) == first
        third = _pid(wait_for_line(supervisor.stderr, "worker process started"))
        assert third not in {first, second}
        assert _lives(second)
        wait_for_line(supervisor.stderr, '"serving"')
        supervisor.terminate()
        assert supervisor.wait(20) == 0
        wait_until(lambda: not _lives(second) and not _lives(third))


def _pid(line: str) -> int:
    found = re.search(r'"pid": (\d+)', line)
    assert found is not None
    return int(found[1])


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
