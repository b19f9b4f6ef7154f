from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, func, select, update

from clients.errors import RateLimited
from messages.errors import Code
from messages.events import Status
from tests.support.limiter_load import call_from_processes, make_calls, overfull
from tests.support.turn_harness import LIMITS, TurnHarness
from workers.engine.client_factory import build_sayari_client
from workers.ledger.database import Database
from workers.ledger.schema import vendor_call
from workers.rate_limits.limiter import (
    LEDGER_RETRY_SECONDS,
    WINDOW_SLACK_SECONDS,
    LocalRateLimiter,
    SharedRateLimiter,
)
from workers.settings import Rate, SayariSettings


@pytest.fixture(params=["sqlite", "postgres"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def database(ledger_url: str) -> Iterator[Database]:
    database = Database(ledger_url)
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    database.upgrade()
    yield database
    database.close()


def rows(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(vendor_call)) or 0


@pytest.mark.parametrize("processes", [1, 3, 8])
def test_no_window_holds_more_calls_than_its_rate_with_any_number_of_processes(
    database: Database, ledger_url: str, processes: int
) -> None:
    rate = Rate(calls=8, seconds=0.5)
    spans = call_from_processes(processes, ledger_url, rate, calls=24 // processes)
    assert len(spans) == 24
    assert overfull(spans, rate) == []
    assert 0 < rows(database) <= rate.calls  # what has left the window is not kept


def test_calls_of_many_threads_share_a_transaction(sqlite: Database) -> None:
    transactions: list[str] = []
    event.listen(
        sqlite.engine,
        "before_cursor_execute",
        lambda _c, _u, statement, *_: transactions.append(statement) if "IMMEDIATE" in statement else None,
    )
    budget = SharedRateLimiter(sqlite, "sayari", {"standard": Rate(calls=200, seconds=60)})
    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(budget, ["standard"] * 320))
    assert waits.count(0.0) == rows(sqlite) == 200
    assert len(transactions) < 200


def test_used_up_rate_limit_was_used_for_calls_alone(sqlite: Database) -> None:
    """Looks come several at a time, whenever some calls have become free."""
    budget = SharedRateLimiter(sqlite, "sayari", {"standard": Rate(calls=30, seconds=60)})
    made = 0
    with ThreadPoolExecutor(4) as threads:
        while not any(waits := list(threads.map(budget, ["standard"] * 4))):
            made += 4
            assert rows(sqlite) == made  # what is counted ahead, and not taken in time, is lost
    assert made + waits.count(0.0) == 30


def test_load_test_detects_limiters_that_count_each_process_alone() -> None:
    rate = Rate(calls=8, seconds=60)
    alone = [LocalRateLimiter({"standard": rate}) for _ in range(2)]
    assert overfull([span for budget in alone for span in make_calls(budget, 8)], rate)


def test_limiter_returns_the_seconds_until_the_next_permit(database: Database) -> None:
    one, other = (
        SharedRateLimiter(database, "sayari", {"standard": Rate(calls=2, seconds=30)}) for _ in range(2)
    )
    began = time.monotonic()
    assert one("standard") == 0.0
    first = time.monotonic()
    assert other("standard") == 0.0
    for budget in (one, other, one):
        wait = budget("standard")
        now = time.monotonic()
        assert began + 30 - 0.01 <= now + wait <= first + 30 + WINDOW_SLACK_SECONDS + (now - first) + 0.01
    assert rows(database) == 2


def test_vendors_and_classes_have_separate_counts(database: Database) -> None:
    rate = Rate(calls=1, seconds=60)
    sayari = SharedRateLimiter(database, "sayari", {"standard": rate, "advanced": rate})
    data8 = SharedRateLimiter(database, "data8", {"standard": rate})
    assert [sayari("standard"), sayari("advanced"), data8("standard")] == [0.0, 0.0, 0.0]
    assert all(wait > 50 for wait in (sayari("standard"), sayari("advanced"), data8("standard")))


def test_limiter_hardly_queries_the_ledger_when_calls_are_free_or_the_window_is_full(
    sqlite: Database,
) -> None:
    statements: list[str] = []
    event.listen(
        sqlite.engine, "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement)
    )
    budget = SharedRateLimiter(sqlite, "sayari", {"standard": None, "advanced": Rate(calls=1, seconds=60)})
    assert budget("standard") == 0.0
    assert len(statements) == 2  # BEGIN, and whether the vendor wants to be left alone: good for a moment
    statements.clear()
    assert [budget("standard"), budget("unheard of")] == [0.0, 0.0]
    assert statements == []
    assert budget("advanced") == 0.0
    assert budget("advanced") > 0
    statements.clear()
    assert budget("advanced") > 0
    assert statements == []


def test_limiter_delays_by_one_window_at_most_when_the_clock_is_set_back(sqlite: Database) -> None:
    rates = {"standard": Rate(calls=2, seconds=60)}
    budget = SharedRateLimiter(sqlite, "sayari", rates)
    assert [budget("standard"), budget("standard")] == [0.0, 0.0]
    with sqlite.write() as connection:
        connection.execute(update(vendor_call).values(at=vendor_call.c.at + 3600))
    assert 59 < budget("standard") <= 60 + WINDOW_SLACK_SECONDS
    with sqlite.read() as connection:
        assert all(at <= time.time() for at in connection.scalars(select(vendor_call.c.at)))


def test_limiter_allows_no_call_when_the_ledger_is_unavailable() -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    assert (
        SharedRateLimiter(away, "sayari", {"standard": Rate(calls=1, seconds=1)})("standard")
        == LEDGER_RETRY_SECONDS
    )
    away.close()


def test_local_limiter_returns_the_wait_when_its_window_is_full() -> None:
    budget = LocalRateLimiter({"standard": Rate(calls=2, seconds=30), "advanced": None})
    assert [budget("standard"), budget("standard"), budget("advanced")] == [0.0, 0.0, 0.0]
    assert 29 < budget("standard") < 30 + WINDOW_SLACK_SECONDS + 0.01


def test_clients_share_a_rate_limit_when_they_have_the_same_ledger(sqlite: Database) -> None:
    settings = SayariSettings.model_validate(
        {"base_url": "http://127.0.0.1:1", "client_id": "c", "client_secret": "s", "rate": "1/minute"}
    )
    own = [build_sayari_client(settings, sqlite), build_sayari_client(settings, sqlite)]
    alone = build_sayari_client(settings)
    told = []
    for client in (*own, alone):
        with pytest.raises(Exception, match="sayari") as failed:
            client.sources.list()
        told.append(type(failed.value).__name__)
        client.close()
    assert told == ["VendorUnavailable", "RateLimited", "VendorUnavailable"]


def test_job_has_not_failed_when_it_waits_for_the_rate_limit(sqlite_url: str, tmp_path: Path) -> None:
    waits = [5.0] * 10

    def effect() -> dict[str, bool]:
        if waits:
            raise RateLimited(
                "data8", "jobs.create", "our own call budget is used up", retry_after=waits.pop()
            )
        return {"done": True}

    harness = TurnHarness(sqlite_url, tmp_path, lambda run: run.once("start", effect), LIMITS)
    harness.arrive()
    for _ in range(9):
        job = harness.turn()
        assert job.due_at is not None
        assert 4.5 < job.due_at - harness.ledger.database.now() <= 5.5
    assert (job.consecutive_failures, job.retries) == (0, 0)
    assert harness.turn().status is Status.COMPLETED
    harness.database.close()


def test_attempt_has_failed_when_the_vendor_answers_429(sqlite_url: str, tmp_path: Path) -> None:
    def effect() -> dict[str, bool]:
        raise RateLimited("data8", "jobs.create", "too many calls", status=429, retry_after=5)

    harness = TurnHarness(sqlite_url, tmp_path, lambda run: run.once("start", effect), LIMITS)
    harness.arrive()
    assert (harness.job().consecutive_failures, harness.job().retries) == (1, 1)
    harness.database.close()


def test_job_fails_when_its_deadline_passes_while_it_waits_for_the_rate_limit(
    sqlite_url: str, tmp_path: Path
) -> None:
    def effect() -> dict[str, bool]:
        raise RateLimited("data8", "jobs.create", "our own call budget is used up", retry_after=60)

    harness = TurnHarness(sqlite_url, tmp_path, lambda run: run.once("start", effect), LIMITS, deadline=0.0)
    harness.arrive()
    job = harness.job()
    assert job.status is Status.FAILED
    assert job.error is not None
    assert job.error["code"] == Code.DEADLINE_EXCEEDED
    harness.database.close()


@given(
    calls=st.integers(1, 5),
    seconds=st.sampled_from([0.5, 1.0, 10.0]),
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_local_limiter_never_allows_more_calls_than_its_rate_in_any_window(
    calls: int, seconds: float, pauses: list[float]
) -> None:
    now = 0.0
    limiter = LocalRateLimiter({"standard": Rate(calls=calls, seconds=seconds)}, lambda: now)
    allowed: list[float] = []
    for pause in pauses:
        now += pause
        wait = limiter("standard")
        if wait:
            assert 0 < wait <= seconds + WINDOW_SLACK_SECONDS + 1e-6
            now += wait + 1e-9
            assert limiter("standard") == 0.0
        allowed.append(now)
    for first in allowed:
        assert sum(first <= at < first + seconds for at in allowed) <= calls


def test_local_limiter_does_not_limit_a_class_without_a_rate() -> None:
    limiter = LocalRateLimiter({"standard": None})
    assert [limiter("standard"), limiter("advanced")] == [0.0, 0.0]
