from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, update

from benchmarks.polling.policies import fixed, wait_for
from benchmarks.polling.trials import Row, gates, row_of_optimum, row_of_ours
from benchmarks.polling.workloads import FAMILIES, durations
from clients.transport import Observation
from messages.events import Status
from tests.support.turn_harness import TurnHarness
from workers.engine.context import Run
from workers.engine.history_cache import comparable_steps
from workers.engine.run_limits import RunLimits
from workers.engine.turn_context import count_call
from workers.ledger.records import DurationSample
from workers.ledger.schema import step
from workers.polling.history import History
from workers.polling.next_poll import PollResult
from workers.polling.policy import (
    OVERDUE_SECONDS,
    POLL_COST_SECONDS,
    RATE_LIMITED_POLL_COST_SECONDS,
    SHORT_JOB_SECONDS,
    PollState,
    delay_curve,
    forecast,
    next_poll_delay,
)

ANY = st.floats(allow_nan=True, allow_infinity=True)
SECONDS = st.floats(0.001, 1e6)
PASTS = st.builds(
    DurationSample,
    ended=SECONDS,
    seen=st.none() | st.floats(-10, 1e6),
    size=st.none() | st.integers(-5, 10**7),
    reported_share=st.none() | st.floats(0, 1),
    reported_after=st.none() | st.floats(0, 1e6),
    began=st.floats(0, 1e9),
)
HISTORIES = st.lists(PASTS, max_size=40).map(History)
EVIDENCE = st.builds(
    PollState,
    elapsed=ANY,
    polls=st.integers(0, 10**6),
    size=st.none() | st.integers(-5, 10**12),
    share=st.none() | ANY,
    share_after=st.none() | ANY,
    floor=st.just(0.0),
    rate_limited=st.booleans(),
)
LIMITS = RunLimits(
    min_delay=0.5, max_delay=3600.0, stall_timeout=60.0, time_slice=15.0, effect_settle_seconds=0.0
)


@given(EVIDENCE, HISTORIES, st.floats(0, 1e5), st.floats(0, 1e5))
@settings(deadline=None, max_examples=60)
def test_forecast_grows_with_the_delay(
    evidence: PollState, history: History, sooner: float, more: float
) -> None:
    first, second = (forecast(evidence, delay, history) for delay in (sooner, sooner + more))
    assert -1e-6 <= first.delay <= sooner + 1e-6
    assert 0 <= first.probability <= second.probability + 1e-9 <= 1 + 1e-6
    slack = 1e-6 * (1 + sooner + more)
    assert first.probability * more - slack <= second.delay - first.delay <= second.probability * more + slack


@given(st.lists(PASTS, max_size=40).map(History), st.floats(0, 3_000), st.booleans())
@settings(deadline=None, max_examples=60)
def test_next_poll_comes_when_the_expected_delay_reaches_its_cost(
    history: History, elapsed: float, rate_limited: bool
) -> None:
    evidence = PollState(elapsed, polls=1, rate_limited=rate_limited)
    delay = next_poll_delay(evidence, 0.0, 1e6, history)
    if delay < 1e6:
        worth = (
            (RATE_LIMITED_POLL_COST_SECONDS if rate_limited else POLL_COST_SECONDS)
            * (elapsed + delay)
            / (elapsed + delay + SHORT_JOB_SECONDS)
        )
        assert forecast(evidence, delay, history).delay == pytest.approx(worth, rel=0.2, abs=0.2)


@given(EVIDENCE, HISTORIES, st.lists(st.floats(0, 1e5), min_size=2, max_size=9))
@settings(deadline=None, max_examples=60)
def test_delay_curve_grows_when_the_poll_has_to_wait(
    evidence: PollState, history: History, delays: list[float]
) -> None:
    expected = delay_curve(evidence, history)
    late = [expected.after(delay) for delay in sorted(delays)]
    assert all(math.isfinite(each) for each in late)
    assert all(before <= after + 1e-6 for before, after in pairwise(late))


@pytest.mark.parametrize("looks", [0, 1])
def test_delay_curve_grows_when_the_poll_was_planned_long_before_the_end(looks: int) -> None:
    ends = [900.0 + 9 * (n % 21 - 10) for n in range(200)]
    blind = History(
        [DurationSample(end, 0.0 if n < 16 else end - 20, began=-10.0 * n) for n, end in enumerate(ends)]
    )
    evidence = PollState(0.0, looks, rate_limited=True)
    if not looks:  # nobody knows how early jobs end lately
        assert next_poll_delay(evidence, 0.0, 1e5, blind) < 500
    for after in (900.0, 950.0, 1_000.0, 1_500.0, 3_000.0):
        true = forecast(evidence, after, blind).delay
        assert delay_curve(evidence, blind).after(after) == pytest.approx(
            true, rel=0.3, abs=0.3 * OVERDUE_SECONDS
        )


@given(EVIDENCE, HISTORIES, st.floats(0.001, 60), st.floats(60, 1e5))
@settings(deadline=None, max_examples=60)
def test_delay_is_within_its_bounds_for_any_state(
    evidence: PollState, history: History, least: float, most: float
) -> None:
    assert least <= next_poll_delay(evidence, least, most, history) <= most


@given(EVIDENCE, HISTORIES, st.floats(0, 1e6))
@settings(deadline=None, max_examples=60)
def test_delay_is_at_least_retry_after(evidence: PollState, history: History, floor: float) -> None:
    asked = replace(evidence, floor=floor)
    wait = next_poll_delay(evidence, 1, 300, history)
    assert next_poll_delay(asked, 1, 300, history) == max(wait, floor)


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.none() | st.integers(0, 10**9))
def test_delay_never_shrinks_with_elapsed_time_when_there_is_no_history(
    one: float, other: float, size: int | None
) -> None:
    earlier, later = sorted((one, other))
    waits = [next_poll_delay(PollState(elapsed, size=size), 0, math.inf) for elapsed in (earlier, later)]
    assert waits[0] <= waits[1] + 1e-6


@given(st.floats(5, 1_000), st.floats(0.95, 1.05))
@settings(deadline=None, max_examples=30)
def test_poll_meets_the_end_when_jobs_are_regular(seconds: float, like: float) -> None:
    history = History([DurationSample(seconds * like ** (n % 2)) for n in range(50)])
    assert seconds * 0.8 <= next_poll_delay(PollState(0), 0, math.inf, history) <= seconds * 1.15 + 15


def test_estimate_uses_the_size_when_it_explains_durations() -> None:
    history = History([DurationSample(10 + rows / 100, size=rows) for rows in range(1_000, 100_000, 1_000)])
    for rows in (2_000, 20_000, 200_000):
        wait = next_poll_delay(PollState(0, size=rows), 0, math.inf, history)
        assert wait == pytest.approx(10 + rows / 100, rel=0.15, abs=15)


def test_progress_is_used_unless_it_stalls_near_the_end() -> None:
    told = History(
        [
            DurationSample(1_000 * (1 + n % 7), reported_share=0.5, reported_after=500 * (1 + n % 7))
            for n in range(70)
        ]
    )
    soon, late = PollState(900, 2, share=0.9), PollState(900, 2, share=0.2)
    untold = next_poll_delay(PollState(900, 2), 1, 1e5, told)
    assert next_poll_delay(soon, 1, 1e5, told) < untold < 0.6 * next_poll_delay(late, 1, 1e5, told)
    stalled = PollState(2_000, 5, share=0.99, share_after=1_500)
    assert next_poll_delay(stalled, 1, 1e5, told) == next_poll_delay(PollState(2_000, 5), 1, 1e5, told)


def test_estimate_follows_soon_when_the_vendor_becomes_slower() -> None:
    before = [DurationSample(100.0 + n % 9) for n in range(200)]
    changed = History([*(DurationSample(400.0 + n) for n in range(8)), *before])
    assert next_poll_delay(PollState(0), 1, 1e5, changed) > 300


def test_estimate_sees_no_change_when_a_batch_ends_shortest_first() -> None:
    batches = [
        DurationSample(seconds, seconds * 0.95, began=10_000.0 * batch + n % 7)
        for batch in range(4)
        for seconds, n in [*((45.0 + n, n) for n in range(30)), *((2_400.0 + n, n) for n in range(30))]
    ]
    latest = [past for past in batches if past.began >= 30_000.0 and past.ended < 100]  # the others still run
    for known in (batches, [past for past in batches if past.began < 30_000.0] + latest):
        history = History(sorted(known, key=lambda past: -(past.began + past.ended)))
        assert next_poll_delay(PollState(0), 1, 1e5, history) < 100  # the short ones are not forgotten
        assert next_poll_delay(PollState(200, polls=1), 1, 1e5, history) > 1_500  # nor the long ones


def test_first_poll_moves_forward_when_jobs_may_end_long_before_it() -> None:
    blind = History([DurationSample(910, 0) for _ in range(100)])
    assert next_poll_delay(PollState(0), 1, 1e5, blind) < 500


@pytest.mark.long
def test_policy_is_near_the_optimum_and_useless_progress_does_no_harm() -> None:
    jobs = 60
    best, ten, many = (
        row_of_optimum(jobs),
        row_of_ours(jobs, 10, "none", histories=3),
        row_of_ours(jobs, 200, "none"),
    )
    every_60 = Row(
        "", [[wait_for(j, fixed(60)) for j in durations(family, jobs, "measured")] for family in FAMILIES]
    )
    misled = {how: row_of_ours(jobs, 10, how, histories=3) for how in ("stalling", "lying")}
    broken = [gate for gate in gates(best, ten, many, every_60, {}, misled) if not gate.kept]
    assert broken == []


@pytest.fixture
def bench_of(tmp_path: Path, sqlite_url: str) -> Iterator[Callable[..., TurnHarness]]:
    made: list[TurnHarness] = []

    def make(play: Callable[[Run], dict[str, Any]], limits: RunLimits = LIMITS) -> TurnHarness:
        made.append(TurnHarness(sqlite_url, tmp_path, play, limits, 86_400.0))
        return made[-1]

    yield make
    for harness in made:
        harness.database.close()


def wait_of(harness: TurnHarness, id: str) -> float:
    due_at = harness.job(id).due_at
    assert due_at is not None
    return due_at - harness.ledger.database.now()


def test_first_poll_comes_when_earlier_jobs_were_done(bench_of: Callable[..., TurnHarness]) -> None:
    def play(run: Run) -> dict[str, Any]:
        return {"answer": run.poll("finish", lambda: PollResult("done", "ok"), size=100)}

    teacher = bench_of(play)
    for n in range(20):
        teacher.arrive(f"past-{n}")
        assert teacher.drive(f"past-{n}").status is Status.COMPLETED
    with teacher.database.write() as connection:
        ago = step.c.ended_at - 900.0
        connection.execute(update(step).values(started_at=ago, last_polled_at=step.c.ended_at - 10))
    reads: list[str] = []
    harness = bench_of(play)

    @event.listens_for(harness.database.engine, "before_cursor_execute")
    def count(_c: object, _k: object, statement: str, *_: object) -> None:
        if "JOIN job" in statement:
            reads.append(statement)

    for n in range(3):
        harness.arrive(f"new-{n}")
        assert 600 < wait_of(harness, f"new-{n}") < 1_000
    assert len(reads) == 1


def test_poll_comes_sooner_when_the_vendor_has_a_rate_limit(bench_of: Callable[..., TurnHarness]) -> None:
    def ask() -> PollResult:
        count_call(Observation("sayari", "projects.progress", 200, 0.1))
        return PollResult("running")

    def play(run: Run) -> dict[str, Any]:
        return {"answer": run.poll("finish", ask)}

    waits: list[float] = []
    for budgets in (frozenset[str](), frozenset({"data8 standard"}), frozenset({"sayari standard"})):
        harness = bench_of(play, replace(LIMITS, rate_limits=budgets))
        harness.arrive(f"job-{len(waits)}")
        harness.turn(f"job-{len(waits)}")
        waits.append(wait_of(harness, f"job-{len(waits)}"))
    assert waits[1] == pytest.approx(waits[0], rel=0.2)
    assert waits[2] < 0.8 * waits[0]


def test_poll_records_what_it_showed_for_later_jobs(bench_of: Callable[..., TurnHarness]) -> None:
    looks = iter(
        [
            PollResult("running", done=3, total=4),
            PollResult("running", percent=99.0),
            PollResult("done", "ok"),
        ]
    )
    harness = bench_of(lambda run: {"answer": run.poll("finish", lambda: next(looks))})
    harness.arrive()
    assert harness.drive().status is Status.COMPLETED
    (found,) = harness.ledger.queries.steps("job")
    assert found.reported_share == 0.75
    assert found.reported_at is not None
    assert found.last_polled_at is not None
    assert found.ended_at is not None
    assert found.started_at <= found.reported_at < found.last_polled_at <= found.ended_at


def test_retry_after_takes_precedence_over_the_longest_delay(bench_of: Callable[..., TurnHarness]) -> None:
    looks = iter([PollResult("running", retry_after=7_200.0)])
    harness = bench_of(lambda run: {"answer": run.poll("finish", lambda: next(looks))})
    harness.arrive()
    harness.turn()
    assert wait_of(harness, "job") > 7_100


def test_stage_and_its_command_share_their_history() -> None:
    both = [("creditsafe.run_matching", "match"), ("portfolio.process", "match: match")]
    assert comparable_steps("creditsafe.run_matching", "match") == both
    assert comparable_steps("portfolio.process", "match: match") == both
    assert comparable_steps("data8.start_job", "finish") == comparable_steps(
        "portfolio.process", "cleanse: finish"
    )
    assert comparable_steps("sayari.collect_changes", "x") == [("sayari.collect_changes", "x")]
