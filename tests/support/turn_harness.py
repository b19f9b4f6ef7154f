"""Harnesses that take the turns of jobs one by one, without a broker and without threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from messages.data8 import StartJobResult
from messages.events import Outcome
from tests.support.scenario import command_body
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.engine.run_limits import RunLimits
from workers.engine.turns import Turns
from workers.files.storage import Storage
from workers.jobs.catalogue import JOBS
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.ledger.records import Job

COMMAND = "data8.start_job"
LIMITS = RunLimits(
    min_delay=0.001, max_delay=0.01, stall_timeout=60.0, time_slice=15.0, effect_settle_seconds=0.0
)


def command(id: str, type: str = COMMAND, **data: Any) -> bytes:
    """Return a command's message body."""
    return command_body(type, id, data or {"workflow": "w"})


class JobHarness:
    """A ledger and the turns of its jobs.

    Attributes:
        turns: set by subclasses.
    """

    turns: Turns

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.ledger = Ledger(self.database)

    def turn(self, id: str = "job") -> Job:
        """Take the job's next turn, whether it is due or not."""
        self.turns.run_turn(id, self.job(id).turn)
        return self.job(id)

    def drive(self, id: str = "job", turns: int = 200) -> Job:
        """Take turns until the job has ended."""
        for _ in range(turns):
            if self.job(id).status.ended:
                return self.job(id)
            self.turn(id)
        raise AssertionError(f"{id} has not ended after {turns} turns")

    def job(self, id: str = "job") -> Job:
        """Return the job's row."""
        job = self.ledger.queries.job(id)
        assert job is not None
        return job


class TurnHarness(JobHarness):
    """A ledger and turns around one job function that the test writes."""

    def __init__(
        self,
        url: str,
        folder: Path,
        play: Callable[[Run], dict[str, Any]],
        limits: RunLimits = LIMITS,
        deadline: float = 60.0,
    ) -> None:
        super().__init__(url)
        self.database.upgrade()
        self.play = play
        self.stopping = False
        services = Services(Storage([str(folder)], str(folder / "results")), self.ledger, deadline)
        self.turns = Turns(
            self.ledger.jobs, {**JOBS, COMMAND: self._job}, services, limits, deadline, lambda: self.stopping
        )

    def _job(self, _command: object, run: Run, _services: object) -> StartJobResult:
        return StartJobResult(job_name="n", statistics=self.play(run), outputs={}, output_filenames={})

    def arrive(self, id: str = "job", **data: Any) -> None:
        """Accept a command and take its first turn."""
        self.turns.receive_command(command(id, **data))

    def control(self, id: str, type: str, **data: Any) -> Job:
        """Accept a command about another job, and return its own job."""
        self.turns.receive_command(command(id, type, **data))
        return self.job(id)

    def finals(self, id: str = "job") -> list[str]:
        """Return the types of the job's final events."""
        types = [stored.type for stored in self.ledger.queries.events(job_id=id)]
        return [type_ for type_ in types if Outcome(type_.rpartition(".")[2]).final]
