"""The command line as its user meets it: arguments in; exit code, standard output and standard error out."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from sandbox import Sandbox
from workers.cli.main import main
from workers.engine.worker import Worker
from workers.observability import logs
from workers.settings import LogSettings, load

ROOT = Path(__file__).parents[3]

COMPANIES = "name,countryCode\nAcme Ltd,GB\nBeispiel GmbH,DE\nExemple SA,FR\n"


@dataclass
class Ended:
    """How a call of `kyb` ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Kyb = Callable[..., Ended]


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

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["kyb", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    yield run
    logging.getLogger().handlers = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """`kyb …` as a process of its own, killed at the end if it still runs."""
    child = subprocess.Popen(
        [sys.executable, "-m", "workers.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def until(stream: Any, text: str) -> str:
    """Read lines until one holds `text`; gives that line."""
    said = []
    for line in stream:
        if text in line:
            return str(line)
        said.append(line)
    pytest.fail(f"ended without {text!r}, but with:\n{''.join(said[-20:])}")


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Look again and again until it holds: for what another process or thread does without telling."""
    ends = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < ends, "it never came about"
        time.sleep(0.02)


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
