"""Turns that may be what kills their workers run one at a time in a process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from messages.events import Status
from tests.support.turn_harness import Bench
from workers.engine.context import Run
from workers.engine.turns import SUSPECT_AFTER, TAKE_LIMIT
from workers.ledger.records import Job


class Death(BaseException):
    """Ends a turn as the end of its process would: nothing is written any more."""


def dying(bench: Bench, id: str, times: int) -> None:
    """Let the job's turn end so many workers."""
    for _ in range(times):
        with pytest.raises(Death):
            bench.turn(id)


def die(_: Run) -> dict[str, Any]:
    raise Death


def test_suspects_run_one_at_a_time(sqlite_url: str, tmp_path: Path) -> None:
    beside: dict[str, Job] = {}

    def play(run: Run) -> dict[str, Any]:
        if run.job_id == "first":
            beside["second"] = bench.turn("second")
            bench.arrive("third")
            beside["third"] = bench.job("third")
        return {}

    bench = Bench(sqlite_url, tmp_path, die)
    for id_ in ("first", "second"):
        with pytest.raises(Death):
            bench.arrive(id_)
        dying(bench, id_, SUSPECT_AFTER - 1)
    bench.play = play
    assert bench.turn("first").status is Status.COMPLETED
    assert beside["second"].takes == SUSPECT_AFTER
    assert beside["second"].due_at is not None
    assert beside["third"].status is Status.COMPLETED
    assert bench.turn("second").status is Status.COMPLETED
    bench.database.close()


def test_turn_that_ends_its_workers_fails(sqlite_url: str, tmp_path: Path) -> None:
    bench = Bench(sqlite_url, tmp_path, die)
    with pytest.raises(Death):
        bench.arrive()
    dying(bench, "job", TAKE_LIMIT - 1)
    assert not bench.job().status.ended
    failed = bench.turn()
    assert failed.error is not None
    assert failed.error["code"] == "internal_error"
    bench.database.close()
