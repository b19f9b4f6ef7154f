"""Scenarios: the data of a command for disturbed runs, and the checks once its job has ended."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sandbox import Sandbox
from sandbox.core import SandboxState
from workers.ledger.ledger import Ledger
from workers.ledger.records import Job

#: Record ids of the sandbox's Creditsafe. In files, each stands for the place of its first occurrence.
RECORD_ID = re.compile(rb"\bR\d{12}\b")


@dataclass(frozen=True)
class Scenario:
    """A command, the state it needs at the vendors, and what may differ from an undisturbed run.

    Attributes:
        type: the command's type.
        data: builds the command's data; input files go into the folder, vendors' objects into the sandbox.
        outcome_may_be_unknown: one of its effects has no natural key, so its job may fail as `outcome_unknown`.
        unknown_after_restore: the same, but only after its ledger was restored from a backup.
        stride: the first worker is killed at every `stride`th boundary (at each one by `make crash`). An odd number
            finds boundaries before an effect as well as those after it.
        repeatable_effects: effects that may happen more than once.
        stable_fields: fields of the result that must equal those of an undisturbed run.
        numbered_data: builds the data of the nth of many jobs, by job id, so that a mix-up would show;
            by default all jobs have `data`.
    """

    type: str
    data: Callable[[Path, Sandbox], dict[str, Any]]
    outcome_may_be_unknown: bool = False
    unknown_after_restore: bool = False
    stride: int = 1
    repeatable_effects: tuple[str, ...] = ()
    stable_fields: tuple[str, ...] = ()
    numbered_data: Callable[[Path, Sandbox, str, int], dict[str, Any]] | None = None


def quick_sandbox() -> Sandbox:
    """Return vendors whose jobs take a moment only."""
    return Sandbox(state=SandboxState(job_seconds=0.1, queue_seconds=0.02))


def command_body(type: str, id: str, data: dict[str, Any]) -> bytes:
    """Return a command as the CloudEvent that upstream systems publish."""
    event = {"specversion": "1.0", "id": id, "source": "/tests", "type": type, "data": data}
    return json.dumps(event).encode()


def worker_environment(sandbox: Sandbox, folder: Path, broker_url: str, ledger_url: str) -> dict[str, str]:
    """Return the settings of a worker with short timeouts and short polling delays."""
    timeouts = {f"KYB_{vendor}__TIMEOUT": "0.5" for vendor in ("CREDITSAFE", "DATA8", "SAYARI")}
    return sandbox.environment() | timeouts | {
        "KYB_BROKER_URL": broker_url,
        "KYB_LEDGER_URL": ledger_url,
        "KYB_STORAGE__INPUTS": str(folder),
        "KYB_STORAGE__RESULTS": str(folder / "results"),
        "KYB_POLLING__MIN_DELAY": "0.05",
        "KYB_POLLING__MAX_DELAY": "0.1",
        "KYB_WORKER__THREADS": "2",
    }  # fmt: skip


def file_digests(value: Any) -> list[tuple[str, int, str]]:
    """Return every File in a result as (name, records, digest of its content without ids and times)."""
    if isinstance(value, dict) and "sha256" in value:
        path = Path(unquote(value["uri"].removeprefix("file://")))
        content = path.read_bytes()
        assert hashlib.sha256(content).hexdigest() == value["sha256"]
        assert len(content) == value["bytes"]
        return [(path.name, value["records"], hashlib.sha256(_without_ids(content)).hexdigest())]
    if isinstance(value, dict):
        value = list(value.values())
    return [file for item in value for file in file_digests(item)] if isinstance(value, list) else []


def outcome_of(scenario: Scenario, job: Job) -> dict[str, Any]:
    """Return the parts of the job's result that no disturbance may change."""
    result = job.result or {}
    return {name: result.get(name) for name in scenario.stable_fields} | {"files": file_digests(result)}


def check_outcome(
    scenario: Scenario, sandbox: Sandbox, ledger: Ledger, job: Job, expected: dict[str, Any]
) -> None:
    """Assert that the job ended, each effect happened once, one final event exists and the files are whole."""
    doubled = {
        (effect, key): count
        for (effect, key), count in sandbox.state.effects.items()
        if count != 1 and effect not in scenario.repeatable_effects
    }
    assert not doubled, f"effects not done exactly once: {doubled}"
    final = [
        e
        for e in ledger.queries.events(job_id=job.id)
        if e.type.endswith((".completed", ".failed", ".cancelled"))
    ]
    assert len({e.id for e in final}) == 1
    if scenario.outcome_may_be_unknown and job.error is not None:
        assert job.error["code"] == "outcome_unknown"
        return
    assert job.error is None
    assert outcome_of(scenario, job) == expected


def _without_ids(content: bytes) -> bytes:
    if not content.startswith(b"{"):
        places: dict[bytes, bytes] = {}
        return RECORD_ID.sub(lambda match: places.setdefault(match[0], b"record %d" % len(places)), content)
    objects = [json.loads(line) for line in content.splitlines()]
    for each in objects:
        for key in ("id", "created", "updated", "saved_resource", "date"):
            each.pop(key, None)
    return json.dumps(sorted(map(json.dumps, objects))).encode()
