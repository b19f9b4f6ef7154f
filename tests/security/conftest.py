"""A real `kyb worker` process with marked secrets, its log and its ledger."""

from __future__ import annotations

import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from sandbox.core import USERNAME
from tests.support.waiting import wait_until
from workers.engine.admission import Admission
from workers.files.storage import Storage
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.ledger.records import Job

ROOT = Path(__file__).parents[2]
#: With characters that URLs and forms encode.
SECRETS = {
    "KYB_CREDITSAFE__PASSWORD": "creditsafe+marked/secret",
    "KYB_DATA8__CLIENT_SECRET": "data8+marked/secret",
    "KYB_SAYARI__CLIENT_SECRET": "sayari+marked/secret",
}
TOKEN = "token-marked-secret"
#: A part that all secrets share in every encoding.
MARK = "marked"


@pytest.fixture
def marked_sandbox(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Simulators that accept the marked secrets and issue marked tokens."""
    monkeypatch.setattr("sandbox.creditsafe.access.PASSWORD", SECRETS["KYB_CREDITSAFE__PASSWORD"])
    monkeypatch.setattr("sandbox.data8.access.PASSWORD", SECRETS["KYB_DATA8__CLIENT_SECRET"])
    monkeypatch.setattr("sandbox.sayari.server.PASSWORD", SECRETS["KYB_SAYARI__CLIENT_SECRET"])
    monkeypatch.setattr(secrets, "token_urlsafe", lambda _=None: TOKEN)
    return sandbox


@dataclass
class Installation:
    """A worker process on its own ledger, and everything that it writes."""

    folder: Path
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(Database(self.environment["KYB_LEDGER_URL"]))
        self.ledger.database.upgrade()
        self.admission = Admission(
            self.ledger.jobs, Storage([str(self.folder)], str(self.folder / "results")), 600.0
        )

    def start(self) -> subprocess.Popen[bytes]:
        """Start a worker that logs at debug level to the file `log`."""
        with (self.folder / "log").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "workers.cli.main", "worker"],
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        self.processes.append(child)
        return child

    def submit(self, id: str, type: str, data: dict[str, Any]) -> None:
        """Record a command for the worker."""
        event = {"specversion": "1.0", "id": id, "source": "/tests", "type": type, "data": data}
        self.admission.accept(json.dumps(event).encode(), None, claim_first_turn=False)

    def ended(self, id: str, seconds: float = 40.0) -> Job:
        """Return the job once it has ended."""
        return wait_until(lambda: self._ended(id), seconds)

    def _ended(self, id: str) -> Job | None:
        job = self.ledger.queries.job(id)
        return job if job is not None and job.status.ended else None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def rows(self, *tables: str) -> str:
        """Return the rows of these tables, or of all, as SQL."""
        path = self.environment["KYB_LEDGER_URL"].removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as connection:
            lines = connection.iterdump()
            wanted = tuple(f'INSERT INTO "{table}"' for table in tables) or ("INSERT",)
            return "\n".join(line for line in lines if line.startswith(wanted))

    def stop(self) -> None:
        for child in self.processes:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                child.wait(20)
        self.ledger.database.close()


@pytest.fixture
def installation(tmp_path: Path, marked_sandbox: Sandbox) -> Iterator[Installation]:
    running = Installation(
        tmp_path,
        marked_sandbox.environment()
        | SECRETS
        | {f"KYB_{vendor}__TIMEOUT": "2" for vendor in ("CREDITSAFE", "DATA8", "SAYARI")}
        | {
            "KYB_LEDGER_URL": f"sqlite:///{tmp_path}/kyb.db",
            "KYB_STORAGE__INPUTS": str(tmp_path),
            "KYB_STORAGE__RESULTS": str(tmp_path / "results"),
            "KYB_POLLING__MIN_DELAY": "50ms",
            "KYB_POLLING__MAX_DELAY": "0.2",
            "KYB_HTTP__PORT": "0",
            "KYB_LOG__LEVEL": "debug",
            "KYB_LOG__FORMAT": "json",
        },
    )
    assert running.environment["KYB_DATA8__CLIENT_ID"] == USERNAME
    yield running
    running.stop()
