"""Takes commands and drives their turns by hand, at the vendors' simulators: no broker, no threads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from clients.creditsafe import Creditsafe
from clients.data8 import Data8
from clients.sayari import Sayari
from messages.errors import Code
from messages.events import Status
from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME, Fault
from workers.engine.registry import Services
from workers.engine.run_limits import RunLimits
from workers.engine.turns import Turns
from workers.files.storage import Storage
from workers.jobs.catalogue import JOBS
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.ledger.records import Job

LIMITS = RunLimits(
    min_delay=0.001, max_delay=0.01, stall_timeout=60.0, time_slice=15.0, effect_settle_seconds=0.0
)


class SandboxHarness:
    """`run` sends a command and takes turns until its job has ended.

    Args:
        sandbox: the simulators, with jobs that take no time.
        folder: where inputs lie; results go below `results`.
        url: of the ledger, whose tables are there.
    """

    def __init__(self, sandbox: Sandbox, folder: Path, url: str) -> None:
        self.folder = folder
        self.state = sandbox.state
        self.creditsafe = Creditsafe.connect(f"{sandbox.url}/creditsafe", USERNAME, PASSWORD, timeout=5)
        self.data8 = Data8.connect(
            f"{sandbox.url}/data8", f"{sandbox.url}/data8/connect/token", USERNAME, PASSWORD, timeout=5
        )
        self.sayari = Sayari.connect(f"{sandbox.url}/sayari", USERNAME, PASSWORD, timeout=5)
        self._database = Database(url)
        self.ledger = Ledger(self._database)
        self._services = Services(
            Storage([str(folder)], str(folder / "results")),
            self.ledger,
            60.0,
            creditsafe_client=self.creditsafe,
            data8_client=self.data8,
            sayari_client=self.sayari,
        )
        self.limit(LIMITS)

    def limit(self, limits: RunLimits) -> None:
        self._turns = Turns(self.ledger.jobs, JOBS, self._services, limits, 60.0)

    def close(self) -> None:
        self._services.close()
        self._database.close()

    def file(self, content: str | bytes, name: str = "companies.csv") -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def run(self, type: str, id: str = "job", turns: int = 200, **data: Any) -> Job:
        """Send a command and take turns until its job has ended."""
        self.arrive(type, id, **data)
        return self.drive(id, turns)

    def arrive(self, type: str, id: str = "job", **data: Any) -> Job:
        """Send a command, which takes its first turn."""
        event = {"specversion": "1.0", "id": id, "source": "/tests", "type": type, "data": data}
        self._turns.receive_command(json.dumps(event).encode())
        return self.job(id)

    def job(self, id: str = "job") -> Job:
        found = self.ledger.queries.job(id)
        assert found is not None
        return found

    def turn(self, id: str = "job") -> Job:
        self._turns.run_turn(id, self.job(id).turn)
        return self.job(id)

    def drive(self, id: str = "job", turns: int = 200) -> Job:
        for _ in range(turns):
            if self.job(id).status.ended:
                return self.job(id)
            self.turn(id)
        raise AssertionError(f"{id} has not ended after {turns} turns")

    def fault(self, operation: str, fault: Fault) -> None:
        """The next call of `<vendor>.<operation>` goes wrong; one more with every call of this."""
        self.state.faults[operation].append(fault)

    def effects(self, operation: str) -> int:
        """How often `<vendor>.<operation>` took effect, whatever its key."""
        return sum(count for (name, _), count in self.state.effects.items() if name == operation)


def completed(job: Job) -> dict[str, Any]:
    """The result of a job that has completed."""
    assert job.status is Status.COMPLETED, job.error
    assert job.result is not None
    return job.result


def failure(job: Job, code: Code) -> str:
    """The message of a job that has failed with `code`."""
    assert job.status is Status.FAILED
    assert job.error is not None
    assert job.error["code"] == code, job.error
    return str(job.error["message"])


def content(file: dict[str, Any]) -> bytes:
    """The bytes of a local result."""
    return Path(unquote(file["uri"].removeprefix("file://"))).read_bytes()
