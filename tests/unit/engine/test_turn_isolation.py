"""Turns that are suspected of killing their workers run one at a time in a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from messages.events import Status
from tests.support.turn_harness import TurnHarness
from workers.engine.context import Run
from workers.engine.turns import BEGIN_LIMIT, SUSPECT_AFTER_BEGINS
from workers.ledger.records import Job


class Killed(BaseException):
    """Ends a turn like the death of its process: nothing more is written."""


def kill_workers(harness: TurnHarness, id: str, times: int) -> None:
    """Let the job's turn kill its worker `times` times."""
    for _ in range(times):
        with pytest.raises(Killed):
            harness.turn(id)


def die(_: Run) -> dict[str, Any]:
    raise Killed


def test_suspected_turns_run_one_at_a_time(sqlite_url: str, tmp_path: Path) -> None:
    others: dict[str, Job] = {}

    def job_function(run: Run) -> dict[str, Any]:
        if run.job_id == "first":
            others["second"] = harness.turn("second")
            harness.arrive("third")
            others["third"] = harness.job("third")
        return {}

    harness = TurnHarness(sqlite_url, tmp_path, die)
    for id_ in ("first", "second"):
        with pytest.raises(Killed):
            harness.arrive(id_)
        kill_workers(harness, id_, SUSPECT_AFTER_BEGINS - 1)
    harness.play = job_function
    assert harness.turn("first").status is Status.COMPLETED
    assert others["second"].begin_count == SUSPECT_AFTER_BEGINS
    assert others["second"].due_at is not None
    assert others["third"].status is Status.COMPLETED
    assert harness.turn("second").status is Status.COMPLETED
    harness.database.close()


def test_job_fails_when_its_turn_reaches_the_begin_limit(sqlite_url: str, tmp_path: Path) -> None:
    harness = TurnHarness(sqlite_url, tmp_path, die)
    with pytest.raises(Killed):
        harness.arrive()
    kill_workers(harness, "job", BEGIN_LIMIT - 1)
    assert not harness.job().status.ended
    failed = harness.turn()
    assert failed.error is not None
    assert failed.error["code"] == "internal_error"
    harness.database.close()
