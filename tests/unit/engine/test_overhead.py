"""The overhead of a job as a count of statements, which is the same on any machine."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from clients.transport import before_effect
from messages.events import Status
from tests.support.turn_harness import TurnHarness
from workers.engine.context import Run
from workers.polling.next_poll import PollResult


class StatementCount:
    """Statements and transactions of a ledger since the last `take`, without the two of the job lock."""

    def __init__(self, harness: TurnHarness) -> None:
        self._seen: Counter[str] = Counter()
        event.listen(harness.database.engine, "before_cursor_execute", self._statement)
        event.listen(harness.database.engine, "commit", lambda _: self._seen.update(["transaction"]))

    def _statement(self, _c: object, _k: object, statement: str, *_: object) -> None:
        match = re.match(r"(UPDATE|INSERT INTO|SELECT .*? FROM) (\w+)", statement.replace("\n", " "))
        if match is not None:
            self._seen[f"{match[1].split()[0].lower()} {match[2]}"] += 1

    def take(self) -> dict[str, int]:
        """Return the counts by kind, and start again at 0."""
        seen, self._seen = self._seen, Counter()
        return dict(seen)


@pytest.fixture
def harness(postgres_url: str, tmp_path: Path) -> Iterator[TurnHarness]:
    results = iter([*[PollResult("running")] * 3, PollResult("done", "ok")])

    def start() -> str:
        before_effect.get()()  # as when a call leaves
        return "id"

    def job_function(run: Run) -> dict[str, Any]:
        run.once("start", start)
        return {"answer": run.poll("finish", lambda: next(results))}

    harness = TurnHarness(postgres_url, tmp_path, job_function)
    yield harness
    harness.database.close()


def test_job_with_an_effect_and_four_polls_takes_few_statements(harness: TurnHarness) -> None:
    harness.arrive("before")  # reads the history, which is cached for a minute
    counted = StatementCount(harness)
    harness.arrive()
    accepted = {"insert job": 1, "insert event": 1, "transaction": 1}
    taken = {"update job": 1, "select step": 1, "transaction": 1}
    effect = {"insert step": 2, "update job": 2, "transaction": 2}
    suspended = {"insert step": 1, "update job": 1, "transaction": 1}
    ended = {"update job": 1, "insert event": 1, "transaction": 1}
    progress = {"insert event": 1}  # progress, at most once in five seconds
    assert counted.take() == total(accepted, effect, suspended, progress)  # with its first turn
    for _ in range(3):
        harness.turn()
        assert counted.take() == total(taken, suspended) | {"select job": 2}  # the two are this test's own
    assert harness.turn().status is Status.COMPLETED
    polled = {"insert step": 1}  # the last poll, written with the next change
    assert counted.take() == total(taken, polled, ended) | {"select job": 2}


def total(*counts: dict[str, int]) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter()))
