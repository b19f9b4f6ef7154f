"""Turns that may be what kills their workers run one at a time in a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from messages.events import Status
from tests.support.turn_harness import TurnHarness
from workers.engine.context import Run
from workers.engine.turns import BEGIN_LIMIT, SUSPECT_AFTER_BEGINS
from workers.ledger.records import Job


class Death(BaseException):
    """Ends a turn as the end of its process would: nothing is written any more."""


def dying(harness: TurnHarness, id: str, times: int) -> None:
    """Let the job's turn end so many workers."""
    for _ in range(times):
        with pytest.raises(Death):
            harness.turn(id)


def die(_: Run) -> dict[str, Any]:
    raise Death


def test_suspects_run_one_at_a_time(sqlite_url: str, tmp_path: Path) -> None:
    beside: dict[str, Job] = {}

    def play(run: Run) -> dict[str, Any]:
        if run.job_id == "first":
            beside["second"] = harness.turn("second")
            harness.arrive("third")
            beside["third"] = harness.job("third")
        return {}

    harness = TurnHarness(sqlite_url, tmp_path, die)
    for id_ in ("first", "second"):
        with pytest.raises(Death):
            harness.arrive(id_)
        dying(harness, id_, SUSPECT_AFTER_BEGINS - 1)
    harness.play = play
    assert harness.turn("first").status is Status.COMPLETED
    assert beside["second"].begin_count == SUSPECT_AFTER_BEGINS
    assert beside["second"].due_at is not None
    assert beside["third"].status is Status.COMPLETED
    assert harness.turn("second").status is Status.COMPLETED
    harness.database.close()


def test_turn_that_ends_its_workers_fails(sqlite_url: str, tmp_path: Path) -> None:
    harness = TurnHarness(sqlite_url, tmp_path, die)
    with pytest.raises(Death):
        harness.arrive()
    dying(harness, "job", BEGIN_LIMIT - 1)
    assert not harness.job().status.ended
    failed = harness.turn()
    assert failed.error is not None
    assert failed.error["code"] == "internal_error"
    harness.database.close()
