"""Tests of compose.yaml: its schema, and its commands and settings on real RabbitMQ and PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deployment.k8s.settings_checks import unknown
from tests.testbed.server import free_port
from workers.cli.main import COMMANDS
from workers.engine.supervisor import KILL_MARGIN_SECONDS
from workers.settings import parse_duration

COMPOSE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "kyb-workers" in service["image"]}

#: The keys of the Compose Specification that compose.yaml uses; any other is a typing error.
KEYS = {
    "build", "cap_drop", "command", "depends_on", "deploy", "environment", "healthcheck", "image", "ports", "profiles",
    "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip


def test_compose_file_is_valid_when_parsed() -> None:
    assert set(COMPOSE) == {"name", "x-kyb", "x-settings", "services", "volumes"}
    for name, service in SERVICES.items():
        assert set(service) <= KEYS, name
        assert service["image"].partition(":")[2] not in {"", "latest"}, name
        for other, condition in service.get("depends_on", {}).items():
            awaited = SERVICES[other]
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in awaited, f"{name} waits for the health of {other}"
            else:
                assert condition["condition"] == "service_completed_successfully"
                assert "restart" not in awaited
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"], name
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name} is reachable from outside"
        check = service.get("healthcheck", {})
        assert check.get("test", ["CMD"])[0] == "CMD"
        if "python3" in check.get("test", []):
            compile(check["test"][3], name, "exec")


@pytest.mark.parametrize("name", OURS)
def test_service_is_locked_down_and_its_settings_are_valid_when_it_runs_kyb(name: str) -> None:
    service = OURS[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["command"][0] in COMMANDS
    assert list(unknown(service.get("environment", {}))) == []
    grace = float(str(parse_duration(service.get("stop_grace_period", "10s"))))
    assert name != "worker" or grace > 30 + KILL_MARGIN_SECONDS


@pytest.fixture
def environment(amqp_url: str, empty_postgres_url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of compose.yaml with other hosts and ports."""
    settings: dict[str, str] = dict(COMPOSE["x-settings"])
    port = str(free_port())
    moved = {
        "KYB_BROKER_URL": amqp_url,
        "KYB_LEDGER_URL": empty_postgres_url,
        "KYB_STORAGE__RESULTS": str(tmp_path),
        "KYB_HTTP__PORT": str(free_port()),
    }
    return (
        {k: v.replace("sandbox:8080", f"localhost:{port}") for k, v in settings.items()}
        | moved
        | {"PORT": port}
    )


def call(service: str, port: str) -> list[str]:
    command = [word.replace("8080", port) for word in SERVICES[service]["command"]]
    if service == "sandbox":
        command[-1] = "localhost"
    return [sys.executable, "-c", "from workers.cli.main import main; main()", *command]


@contextlib.contextmanager
def process(service: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(call(service, environment["PORT"]), env=os.environ | environment) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.mark.long
def test_job_completes_when_run_with_the_compose_settings(environment: dict[str, str]) -> None:
    def once(service: str) -> str:
        done = subprocess.run(
            call(service, environment["PORT"]),
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert once("migration") == "the ledger is ready\n"
    with process("sandbox", environment) as sandbox, process("worker", environment) as worker:
        assert '"uploaded": 1' in once("submit")
        ready = httpx.get(f"http://127.0.0.1:{environment['KYB_HTTP__PORT']}/readyz", trust_env=False)
        assert ready.status_code == 200
        worker.terminate()
        assert worker.wait(40) == 0
        sandbox.terminate()
        assert sandbox.wait(10) == 0
