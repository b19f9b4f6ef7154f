"""More looks at vendors are due than their budgets allow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.errors import RateLimited
from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME, Fault
from tests.support.turn_harness import TurnHarness
from workers.engine.client_factory import build_sayari_client
from workers.engine.context import Run
from workers.engine.dispatcher import BATCH_SIZE
from workers.engine.signals import Suspended
from workers.ledger.database import Database
from workers.ledger.records import DueTurn, PollUrgency
from workers.ledger.schema import job
from workers.rate_limits.limiter import PAUSE_CHECK_SECONDS, SharedRateLimiter
from workers.rate_limits.poll_scheduler import PollScheduler
from workers.settings import Rate, SayariSettings

SAYARI = "sayari standard"


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def bench_of(ledger_url: str, tmp_path: Path) -> Iterator[Callable[..., TurnHarness]]:
    made: list[TurnHarness] = []

    def make(play: Callable[[Run], dict[str, Any]]) -> TurnHarness:
        made.append(TurnHarness(ledger_url, tmp_path, play))
        return made[-1]

    yield make
    for harness in made:
        harness.database.close()


def waiting(harness: TurnHarness, urgencies: dict[str, PollUrgency | None]) -> None:
    """Jobs whose next turns are due, each of its urgency; None is no look."""
    now = harness.ledger.database.now()

    def play(run: Run) -> dict[str, Any]:
        raise Suspended(now - 1.0, urgency=urgencies[run.job_id])

    harness.play = play
    for id in urgencies:
        harness.arrive(id)


def chosen(harness: TurnHarness, ration: PollScheduler) -> list[DueTurn]:
    with harness.database.read() as connection:
        due, _ = harness.ledger.dispatch.due(connection, BATCH_SIZE)
        return ration.select(connection, due, BATCH_SIZE)


def test_scheduler_selects_the_most_delayed_polls_and_reserves_a_share(
    bench_of: Callable[..., TurnHarness],
) -> None:
    harness = bench_of(lambda _: {})
    now = harness.ledger.database.now()
    looks: dict[str, PollUrgency | None] = {
        f"look-{n}": PollUrgency(SAYARI, now - 10 * n, 0.0, 0.5, 0.0) for n in range(30)
    }
    sure: dict[str, PollUrgency | None] = {
        "sure": PollUrgency(SAYARI, now - 150, 10.0, 0.1, 1.0)
    }  # 160 s by now, look-29 145
    other: dict[str, PollUrgency | None] = {
        "start": None, "free": PollUrgency("data8 standard", now, 0.0, 0.001, 0.0), "advanced": PollUrgency("sayari advanced", now, 1.0, 1.0, 0.0)
    }  # fmt: skip
    waiting(harness, looks | sure | other)
    ration = PollScheduler(harness.ledger.dispatch, {("sayari", "standard"): Rate(calls=10, seconds=60)})
    first = [turn.job_id for turn in chosen(harness, ration)]
    assert set(first) == {*other, "sure", *(f"look-{n}" for n in range(22, 30))}
    assert first[3:5] == ["sure", "look-29"]

    # what is handed out and what was called both count
    with harness.database.write() as connection:
        harness.ledger.dispatch.mark_dispatched(
            connection, [DueTurn(id, "", "", 2) for id in ("sure", "look-29", "look-28")]
        )
    budget = SharedRateLimiter(harness.database, "sayari", {"standard": Rate(calls=10, seconds=60)})
    assert [budget("standard") for _ in range(4)] == [0.0] * 4
    assert {turn.job_id for turn in chosen(harness, ration)} == {*other, "look-27", "look-26"}

    # but a look that has begun is among the calls, and not out any more
    with harness.ledger.jobs.lock("look-29") as hold:
        assert hold is not None
        hold.take(2)
        assert {turn.job_id for turn in chosen(harness, ration)} == {*other, "look-27", "look-26", "look-25"}

    budget.pause("standard", 30.0)
    assert {turn.job_id for turn in chosen(harness, ration)} == set(other)


def test_scheduler_selects_in_order_of_time_when_there_is_no_rate_limit(
    bench_of: Callable[..., TurnHarness],
) -> None:
    harness = bench_of(lambda _: {})
    waiting(harness, {f"look-{n}": PollUrgency(SAYARI, 0.0, 0.0, float(n), 0.0) for n in range(5)})
    assert [turn.job_id for turn in chosen(harness, PollScheduler(harness.ledger.dispatch, {}))] == [
        f"look-{n}" for n in range(5)
    ]


def test_poll_stays_as_urgent_when_it_was_refused(bench_of: Callable[..., TurnHarness]) -> None:
    urgency = PollUrgency(SAYARI, 1_000.0, 10.0, 0.25, 0.125)
    refusals = [RateLimited("sayari", "progress", "our own call budget is used up", retry_after=5.0)]
    refusals += [RateLimited("sayari", "progress", "too many calls", status=429, retry_after=5.0)]

    def ask() -> Any:
        raise refusals.pop()

    harness = bench_of(lambda run: {"answer": run.poll("finish", ask)})
    harness.arrive()
    with harness.database.write() as connection:
        connection.execute(
            job.update().values(
                rate_limit=SAYARI,
                delay_since=urgency.since,
                delay_base=urgency.base,
                delay_rate=urgency.rate,
                delay_accel=urgency.accel,
            )
        )
    for _ in range(2):
        assert harness.turn().urgency == urgency


def test_no_worker_polls_a_vendor_while_it_is_paused(ledger_url: str, sandbox: Sandbox) -> None:
    settings = SayariSettings.model_validate(
        {"base_url": f"{sandbox.url}/sayari", "client_id": USERNAME, "client_secret": PASSWORD, "rate": None}
    )
    databases = [Database(ledger_url), Database(ledger_url)]
    databases[0].upgrade()
    one, other = (build_sayari_client(settings, database) for database in databases)
    other.sources.list()
    sandbox.state.faults["sayari.sources.list"].append(Fault("status", status=429, retry_after=2.0))
    with pytest.raises(RateLimited, match="too many"):
        one.sources.list()
    began = time.monotonic()
    went: list[float] = []
    ends: list[float] = []
    while not went or went[-1] <= PAUSE_CHECK_SECONDS:
        try:
            other.sources.list()
            went.append(time.monotonic() - began)
        except RateLimited as refused:
            ends.append(time.monotonic() - began + (refused.retry_after or 0.0))
        time.sleep(0.05)  # as jobs do: by the clock
    assert all(after <= PAUSE_CHECK_SECONDS + 0.3 or after > 1.9 for after in went)
    assert went[-1] > 1.9
    assert ends == pytest.approx([2.0] * len(ends), abs=0.3)  # that is when jobs are due again
    assert ends
    for client in (one, other):
        client.close()
    for database in databases:
        database.close()
