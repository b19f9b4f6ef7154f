"""What a job costs beside its vendor: counted, since a count is the same on any machine (docs/explanation/polling.md)."""

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


class Counted:
    """Statements and transactions of a ledger since the last `take`, but for the two statements of a hold."""

    def __init__(self, harness: TurnHarness) -> None:
        self._seen: Counter[str] = Counter()
        event.listen(harness.database.engine, "before_cursor_execute", self._statement)
        event.listen(harness.database.engine, "commit", lambda _: self._seen.update(["transaction"]))

    def _statement(self, _c: object, _k: object, statement: str, *_: object) -> None:
        found = re.match(r"(UPDATE|INSERT INTO|SELECT .*? FROM) (\w+)", statement.replace("\n", " "))
        if found is not None:
            self._seen[f"{found[1].split()[0].lower()} {found[2]}"] += 1

    def take(self) -> dict[str, int]:
        """What was seen, by kind."""
        seen, self._seen = self._seen, Counter()
        return dict(seen)


@pytest.fixture
def harness(postgres_url: str, tmp_path: Path) -> Iterator[TurnHarness]:
    looks = iter([*[PollResult("running")] * 3, PollResult("done", "ok")])

    def start() -> str:
        before_effect.get()()  # as when a call leaves
        return "id"

    def play(run: Run) -> dict[str, Any]:
        run.once("start", start)
        return {"answer": run.poll("finish", lambda: next(looks))}

    harness = TurnHarness(postgres_url, tmp_path, play)
    yield harness
    harness.database.close()


def test_statements_of_a_job_with_an_effect_and_four_looks(harness: TurnHarness) -> None:
    harness.arrive("before")  # it reads the past, which is good for a minute
    counted = Counted(harness)
    harness.arrive()
    accepted = {"insert job": 1, "insert event": 1, "transaction": 1}
    taken = {"update job": 1, "select step": 1, "transaction": 1}
    effect = {"insert step": 2, "update job": 2, "transaction": 2}
    suspended = {"insert step": 1, "update job": 1, "transaction": 1}
    ended = {"update job": 1, "insert event": 1, "transaction": 1}
    told = {"insert event": 1}  # progress, at most once in five seconds
    assert counted.take() == total(accepted, effect, suspended, told)  # its first turn is taken with it
    for _ in range(3):
        harness.turn()
        assert counted.take() == total(taken, suspended) | {"select job": 2}  # those are this test's
    assert harness.turn().status is Status.COMPLETED
    found = {"insert step": 1}  # the last look, with what comes next
    assert counted.take() == total(taken, found, ended) | {"select job": 2}


def total(*counts: dict[str, int]) -> dict[str, int]:
    return dict(sum(map(Counter, counts), Counter()))
