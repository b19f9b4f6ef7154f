"""The command line as its user meets it: arguments in; exit code, standard output and standard error out."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from sandbox import Sandbox
from tests.support.cli import COMPANIES, CliResult, Kyb
from workers.cli.main import main
from workers.engine.worker import Worker
from workers.observability import logs
from workers.settings import LogSettings, load


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, and no settings but a ledger in it."""
    for name in [name for name in os.environ if name.startswith("KYB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KYB_LEDGER_URL", f"sqlite:///{tmp_path}/kyb.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def kyb(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Kyb]:
    """`kyb …` in this process."""
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level

    def run(*arguments: str) -> CliResult:
        monkeypatch.setattr(sys, "argv", ["kyb", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return CliResult(int(ended.value.code or 0), captured.out, captured.err)

    yield run
    logging.getLogger().handlers = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def vendors(home: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Settings for the simulators, quick polls, and a file `companies.csv` that may be read."""
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KYB_POLLING__MIN_DELAY", "50ms")
    monkeypatch.setenv("KYB_POLLING__MAX_DELAY", "0.1")
    monkeypatch.setenv("KYB_HTTP__PORT", "0")
    (home / "companies.csv").write_text(COMPANIES)
    return sandbox


@pytest.fixture
def worker(vendors: Sandbox, kyb: Kyb) -> Iterator[Worker]:
    """A worker of the embedded broker on the test's ledger."""
    logs.configure(LogSettings(level="error"))
    worker = Worker(load())
    worker.ledger.database.upgrade()
    worker.start()
    yield worker
    worker.stop()


@pytest.fixture
def unused_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
