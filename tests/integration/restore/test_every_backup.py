"""Recovery from a backup after each write of every command, while the vendors' state is newer.

Each time no effect is repeated at the vendor, and the job completes or ends as `outcome_unknown`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect

from messages.errors import Code
from messages.events import Status
from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.support.sandbox_harness import SandboxHarness
from tests.support.scenario import Scenario, file_digests
from tests.support.scenarios import SCENARIOS
from tests.support.vendor_setup import write_companies, write_entities
from tests.testbed.ledgers import ledger_at
from workers.ledger.disaster_recovery import finish_recovery, start_recovery
from workers.ledger.records import Job

ID = "job:1"
#: Number of backups of each command to restore, evenly spread.
BACKUP_COUNT = 3


def _import_into_existing_portfolio(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    with harness(sandbox, folder, folder / "aside.db") as aside:
        portfolio = aside.creditsafe.portfolios.create("Given").portfolio_id
    return {"file": write_companies(folder), "portfolio": {"id": portfolio}}


def _resolve_in_existing_project(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    with harness(sandbox, folder, folder / "aside.db") as aside:
        project = aside.sayari.projects.create("Given").id
    return {"file": write_entities(folder), "project": {"id": project}}


def _resolve_and_delete_project(folder: Path, _: Sandbox) -> dict[str, Any]:
    return {"file": write_entities(folder), "delete_project": True}


#: After a restore, the state before the command is no longer known.
CASES = {
    **{
        name: replace(each, outcome_may_be_unknown=each.outcome_may_be_unknown or each.unknown_after_restore)
        for name, each in SCENARIOS.items()
    },
    "import into an existing portfolio": Scenario(
        "creditsafe.import_file", _import_into_existing_portfolio, True
    ),
    "resolve in an existing project": Scenario("sayari.resolve_entities", _resolve_in_existing_project, True),
    "resolve and delete": Scenario("sayari.resolve_entities", _resolve_and_delete_project, True),
}


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_no_effect_is_repeated_when_an_older_ledger_is_restored(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job had completed when its ledger was lost; there is a backup after each of its writes."""
    scenario = CASES[name]
    with Sandbox(state=SandboxState(job_seconds=0.02, queue_seconds=0.0)) as sandbox:
        data = scenario.data(tmp_path, sandbox)
        sandbox.state.effects.clear()
        with harness(sandbox, tmp_path, tmp_path / "kyb.db") as first, monkeypatch.context() as patch:
            backups = every_write(tmp_path / "kyb.db", tmp_path, patch)
            undisturbed = first.run(scenario.type, ID, **data)
        assert undisturbed.status is Status.COMPLETED
        done = dict(sandbox.state.effects)
        assert len(backups) > 3
        for backup in backups[:: max(len(backups) // BACKUP_COUNT, 1)]:
            with restored(sandbox, tmp_path, backup) as later:
                job = later.run(scenario.type, ID, **data)
                again = {
                    (effect, key): count
                    for (effect, key), count in sandbox.state.effects.items()
                    if count != done.get((effect, key)) and effect not in scenario.repeatable_effects
                }
                assert not again, f"{backup.name}: done again: {again}"
                check(scenario, job, undisturbed, backup.name)
            for draft in tmp_path.rglob("*.part"):  # as if each backup were the only restored one
                draft.unlink()


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_command_continues_its_effects_when_the_restored_ledger_lacks_it(name: str, tmp_path: Path) -> None:
    """The backup is older than the command, which had reached its nth turn and is sent again."""
    scenario = CASES[name]
    turns, ended = 0, False
    while not ended:
        folder = tmp_path / str(turns)
        folder.mkdir()
        with Sandbox(state=SandboxState(job_seconds=0.02, queue_seconds=0.0)) as sandbox:
            data = scenario.data(folder, sandbox)
            sandbox.state.effects.clear()
            with harness(sandbox, folder, folder / "kyb.db") as first:
                first.arrive(scenario.type, ID, **data)
                for _ in range(turns):
                    first.turn(ID)
                ended = first.job(ID).status.ended
            with restored(sandbox, folder, folder / "older.db") as later:
                job = later.run(scenario.type, ID, **data)
            doubled = {
                (effect, key): count
                for (effect, key), count in sandbox.state.effects.items()
                if count != 1 and effect not in scenario.repeatable_effects
            }
            assert not doubled, f"after {turns} turns: {doubled}"
            check(scenario, job, None, f"after {turns} turns")
        turns += 1


def test_event_numbers_exceed_all_lost_ones_when_a_ledger_is_restored(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    data = SCENARIOS["data8.start_job"].data(tmp_path, sandbox)
    with harness(sandbox, tmp_path, tmp_path / "kyb.db") as first:
        first.arrive("data8.start_job", ID, **data)
        copied(tmp_path / "kyb.db", tmp_path / "backup.db")
        event_count = len(first.ledger.queries.events(job_id=ID))
        forgotten = first.drive(ID).sequence
    with restored(sandbox, tmp_path, tmp_path / "backup.db") as later:
        later.drive(ID)
        numbers = [int(event.id.rpartition(".")[2]) for event in later.ledger.queries.events(job_id=ID)]
    assert numbers == sorted(set(numbers))
    assert all(number > 1_000_000_000 > forgotten for number in numbers[event_count:])
    assert len(numbers) > event_count


def test_new_commands_run_normally_when_the_recovery_is_finished(tmp_path: Path, sandbox: Sandbox) -> None:
    """Creditsafe does not show whether a matching was started, so none is started until then."""
    data = SCENARIOS["creditsafe.run_matching"].data(tmp_path, sandbox)
    with harness(sandbox, tmp_path, tmp_path / "kyb.db") as recovering:
        database = recovering.ledger.database
        assert recovering.run("creditsafe.run_matching", "before", **data).status is Status.COMPLETED
        assert start_recovery(database, 3600.0) == 0
        doubtful = recovering.run("creditsafe.run_matching", "doubtful", **data)
        assert doubtful.error is not None
        assert doubtful.error["code"] == Code.OUTCOME_UNKNOWN
        retried = recovering.run("job.retry", "yes", job_id="doubtful", repeat_effect=True)
        assert retried.status is Status.COMPLETED
        assert recovering.drive("doubtful").status is Status.COMPLETED, "a person has decided"
        assert finish_recovery(database)
        assert not finish_recovery(database)
        assert recovering.run("creditsafe.run_matching", "after", **data).status is Status.COMPLETED
    assert recovering.effects("creditsafe.matching.start") == 3


def check(scenario: Scenario, job: Job, undisturbed: Job | None, when: str) -> None:
    if scenario.outcome_may_be_unknown and job.error is not None:
        # rejected, or without its own copy: the job itself had deleted the object in the end
        copy_deleted = "the job's own copy" in job.error["message"]
        assert copy_deleted or job.error["code"] in {Code.OUTCOME_UNKNOWN, Code.VENDOR_REJECTED}, (
            f"{when}: {job.error}"
        )
        return
    assert job.error is None, f"{when}: {job.error}"
    assert job.status is Status.COMPLETED
    if undisturbed is not None:
        assert file_digests(job.result) == file_digests(undisturbed.result)


@contextmanager
def harness(sandbox: Sandbox, folder: Path, ledger: Path) -> Iterator[SandboxHarness]:
    url = f"sqlite:///{ledger}" if ledger.exists() else ledger_at(ledger)
    with closing(SandboxHarness(sandbox, folder, url)) as built:
        yield built


@contextmanager
def restored(sandbox: Sandbox, folder: Path, backup: Path) -> Iterator[SandboxHarness]:
    """Yield a harness whose ledger is the backup, or a new ledger if there is none."""
    with harness(sandbox, folder, backup) as built:
        start_recovery(built.ledger.database, 3600.0)
        yield built


def every_write(ledger: Path, folder: Path, patch: pytest.MonkeyPatch) -> list[Path]:
    """Back the ledger up after each of its later writes; the returned list grows."""
    backups: list[Path] = []
    commit: Callable[..., None] = DefaultDialect.do_commit

    def commit_and_copy(dialect: Any, connection: Any) -> None:
        commit(dialect, connection)
        backup = folder / f"backup-{len(backups)}.db"
        copied(ledger, backup)
        if not backups or backup.read_bytes() != backups[-1].read_bytes():
            backups.append(backup)

    patch.setattr(DefaultDialect, "do_commit", commit_and_copy)
    return backups


def copied(ledger: Path, backup: Path) -> None:
    with closing(sqlite3.connect(ledger)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
