"""The jobs of a trial: all commands in turn, each job with its own data, so that a mix-up would show."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import file_digests
from tests.support.scenarios import SCENARIOS
from tests.support.vendor_setup import write_numbered_companies

#: Effects that may happen more than once, since a repeat changes nothing.
REPEATABLE_EFFECTS = frozenset(
    effect for scenario in SCENARIOS.values() for effect in scenario.repeatable_effects
)


@dataclass(frozen=True)
class Task:
    """A command to send.

    Attributes:
        fails_as: the error code with which its job must end, if it must not complete.
        effects: expected effects at the vendors, where no undisturbed run shows them.
    """

    id: str
    type: str
    data: dict[str, Any]
    fails_as: str | None = None
    effects: Counter[str] | None = None

    @property
    def body(self) -> bytes:
        """The command as a CloudEvent."""
        event = {"specversion": "1.0", "id": self.id, "source": "/chaos", "type": self.type}
        return json.dumps(event | {"data": self.data}).encode()


def poison(count: int) -> Callable[[Path], list[Task]]:
    """Return a builder of jobs that kill their process (`installation.POISON`)."""
    made = [
        Task(f"poison-{n}", "data8.start_job", {"workflow": "Echo"}, "internal_error", Counter())
        for n in range(count)
    ]
    return lambda _: made


def hopeless(folder: Path) -> list[Task]:
    """Return four vendor jobs that fail and four that never end."""
    effects = Counter(
        {
            f"data8.{name}": 1
            for name in ("datasets.create", "datasets.upload", "datasets.update", "jobs.create")
        }
    )
    kinds = [("AlwaysFails", "vendor_failed"), ("NeverEnds", "deadline_exceeded")] * 4
    return [
        Task(
            f"hopeless-{n}",
            "data8.start_job",
            _start_job(write_numbered_companies(folder, 0), workflow),
            code,
            effects,
        )
        for n, (workflow, code) in enumerate(kinds)
    ]


def tasks(prefix: str, count: int, folder: Path, sandbox: Sandbox) -> list[Task]:
    """Return `count` commands, all types in turn; afterwards the sandbox's effect counters are at 0."""
    scenarios = list(SCENARIOS.values())
    made = []
    for n in range(count):
        scenario, id_ = scenarios[n % len(scenarios)], f"{prefix}-{n}"
        numbered = scenario.numbered_data
        data = numbered(folder, sandbox, id_, n) if numbered else scenario.data(folder, sandbox)
        made.append(Task(id_, scenario.type, data))
    sandbox.state.effects.clear()
    return made


def essence(result: Any) -> Any:
    """Return a result without the vendors' ids and names, which differ between runs, and with digests of files."""
    if isinstance(result, dict):
        if "sha256" in result:
            return file_digests(result)
        return {
            key: len(value) if key.endswith("_ids") else essence(value)
            for key, value in result.items()
            if not key.endswith("_id") and key not in {"job_name", "dataset"}
        }
    return result


def _start_job(path: str, workflow: str) -> dict[str, Any]:
    return {"workflow": workflow, "inputs": {"Companies": {"file": path}}}
