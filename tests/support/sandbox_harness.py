"""A harness that takes the turns of commands against the vendors' simulators, without a broker."""

from __future__ import annotations

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
from tests.support.scenario import command_body
from tests.support.turn_harness import LIMITS, JobHarness
from workers.engine.registry import Services
from workers.engine.run_limits import RunLimits
from workers.engine.turns import Turns
from workers.files.storage import Storage
from workers.jobs.catalogue import JOBS
from workers.ledger.records import Job


class SandboxHarness(JobHarness):
    """A ledger, all clients and the turns of any command; `run` takes one to its end.

    Args:
        sandbox: the simulators, with jobs that take no time.
        folder: of input files; results go below `results`.
        url: of a migrated ledger.
    """

    def __init__(self, sandbox: Sandbox, folder: Path, url: str) -> None:
        super().__init__(url)
        self.folder = folder
        self.state = sandbox.state
        self.creditsafe = Creditsafe.connect(f"{sandbox.url}/creditsafe", USERNAME, PASSWORD, timeout=5)
        self.data8 = Data8.connect(
            f"{sandbox.url}/data8", f"{sandbox.url}/data8/connect/token", USERNAME, PASSWORD, timeout=5
        )
        self.sayari = Sayari.connect(f"{sandbox.url}/sayari", USERNAME, PASSWORD, timeout=5)
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
        """Take later turns under these limits."""
        self.turns = Turns(self.ledger.jobs, JOBS, self._services, limits, 60.0)

    def close(self) -> None:
        """Close the clients and the ledger."""
        self._services.close()
        self.database.close()

    def file(self, content: str | bytes, name: str = "companies.csv") -> str:
        """Write an input file and return its path."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def run(self, type: str, id: str = "job", turns: int = 200, **data: Any) -> Job:
        """Accept a command and take turns until its job has ended."""
        self.arrive(type, id, **data)
        return self.drive(id, turns)

    def arrive(self, type: str, id: str = "job", **data: Any) -> Job:
        """Accept a command and take its first turn."""
        self.turns.receive_command(command_body(type, id, data))
        return self.job(id)

    def fault(self, operation: str, fault: Fault) -> None:
        """Let one more call of `<vendor>.<operation>` fail in this way."""
        self.state.faults[operation].append(fault)

    def effects(self, operation: str) -> int:
        """Return how often `<vendor>.<operation>` took effect, over all keys."""
        return sum(count for (name, _), count in self.state.effects.items() if name == operation)


def completed(job: Job) -> dict[str, Any]:
    """Return the result of a job, which must have completed."""
    assert job.status is Status.COMPLETED, job.error
    assert job.result is not None
    return job.result


def failure(job: Job, code: Code) -> str:
    """Return the error message of a job, which must have failed with `code`."""
    assert job.status is Status.FAILED
    assert job.error is not None
    assert job.error["code"] == code, job.error
    return str(job.error["message"])


def content(file: dict[str, Any]) -> bytes:
    """Return the content of a local result file."""
    return Path(unquote(file["uri"].removeprefix("file://"))).read_bytes()
