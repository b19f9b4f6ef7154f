from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import (
    AuthenticationError,
    CircuitOpenError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    VendorUnavailable,
)
from clients.transport import Observation, before_effect
from messages.errors import Code
from messages.events import Status
from tests.support.turn_harness import LIMITS, TurnHarness, command
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.run_limits import RunLimits
from workers.engine.stages import Stage
from workers.engine.turn_context import count_call
from workers.errors import JobFailed, StorageUnavailable, Undecided
from workers.ledger.claim import Claim
from workers.ledger.database import LedgerUnavailable
from workers.polling.next_poll import PollResult

Play = Callable[[Run], dict[str, Any]]


class Vendor:
    """Remembers its effects; answers can be lost after them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.lose_answers = 0
        self.refuse: Exception | None = None

    def do(self, name: str) -> dict[str, Any]:
        before_effect.get()()
        if self.refuse is not None:
            error, self.refuse = self.refuse, None
            raise error
        self.done.append(name)
        if self.lose_answers:
            self.lose_answers -= 1
            raise OutcomeUnknown("data8", "jobs.create", "the answer was lost")
        return {"name": name}

    def find(self, name: str) -> dict[str, Any] | None:
        return {"name": name} if name in self.done else None


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def bench_of(tmp_path: Path, sqlite_url: str) -> Iterator[Callable[..., TurnHarness]]:
    made: list[TurnHarness] = []

    def make(play: Play, limits: RunLimits = LIMITS, deadline: float = 60.0) -> TurnHarness:
        made.append(TurnHarness(sqlite_url, tmp_path, play, limits, deadline))
        return made[-1]

    yield make
    for harness in made:
        harness.database.close()


def error_code(harness: TurnHarness) -> str:
    error = harness.job().error
    assert error is not None
    return str(error["code"])


def test_effect_is_done_once_and_replayed(bench_of: Callable[..., TurnHarness], vendor: Vendor) -> None:
    looks = iter(
        [PollResult("running", percent=10.0), PollResult("running", percent=50.0), PollResult("done", "ok")]
    )

    def play(run: Run) -> dict[str, Any]:
        started = run.once("start", lambda: vendor.do("a"))
        return {"started": started, "finished": run.poll("finish", lambda: next(looks))}

    harness = bench_of(play)
    harness.arrive()
    job = harness.drive()
    assert job.status is Status.COMPLETED
    assert job.result is not None
    assert job.result["statistics"] == {"started": {"name": "a"}, "finished": "ok"}
    assert vendor.done == ["a"]
    assert (job.polls, job.turns) == (3, 4)
    assert harness.finals() == ["data8.start_job.completed"]


def test_lost_answer_is_recovered_by_natural_key(
    bench_of: Callable[..., TurnHarness], vendor: Vendor
) -> None:
    vendor.lose_answers = 1
    harness = bench_of(
        lambda run: run.once("start", lambda: vendor.do("a"), recover=lambda: vendor.find("a"))
    )
    harness.arrive()
    assert harness.job().status is Status.RUNNING
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == ["a"]
    assert harness.job().retries == 1


def test_lost_answer_without_a_way_to_find_out_is_never_repeated(
    bench_of: Callable[..., TurnHarness], vendor: Vendor
) -> None:
    vendor.lose_answers = 1
    harness = bench_of(lambda run: run.once("start", lambda: vendor.do("a")))
    harness.arrive()
    assert harness.drive().status is Status.FAILED
    assert error_code(harness) == Code.OUTCOME_UNKNOWN
    assert vendor.done == ["a"]
    # a retry needs a person's word, and only then is the effect done again
    refused = harness.control("r1", "job.retry", job_id="job")
    assert refused.status is Status.FAILED
    assert harness.control("r2", "job.retry", job_id="job", repeat_effect=True).status is Status.COMPLETED
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == ["a", "a"]
    assert harness.finals() == ["data8.start_job.failed", "data8.start_job.completed"]


def test_undecided_recovery_fails_the_job(bench_of: Callable[..., TurnHarness], vendor: Vendor) -> None:
    vendor.lose_answers = 1

    def cannot_tell() -> dict[str, Any] | None:
        raise Undecided("the count is neither the one nor the other")

    harness = bench_of(lambda run: run.once("start", lambda: vendor.do("a"), recover=cannot_tell))
    harness.arrive()
    harness.drive()
    assert error_code(harness) == Code.OUTCOME_UNKNOWN


def test_not_found_is_only_trusted_when_no_request_can_be_in_flight(
    bench_of: Callable[..., TurnHarness], vendor: Vendor
) -> None:
    limits = RunLimits(min_delay=0.001, max_delay=0.01, stall=60, slice=15, effect_settle_seconds=3600)
    found: list[dict[str, Any]] = []

    def play(run: Run) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            before_effect.get()()
            vendor.done.append("a")
            raise OutcomeUnknown("data8", "x", "lost")

        return run.once("start", effect, recover=lambda: found[0] if found else None)

    harness = bench_of(play, limits, deadline=7200.0)
    harness.arrive()
    waiting = harness.turn()
    assert waiting.status is Status.RUNNING
    assert waiting.due_at is not None
    assert waiting.due_at - harness.ledger.database.now() > 3000
    assert vendor.done == ["a"]
    found.append({"late": True})
    assert harness.turn().status is Status.COMPLETED
    assert vendor.done == ["a"]


def test_definite_refusal_leaves_no_doubt_behind(
    bench_of: Callable[..., TurnHarness], vendor: Vendor
) -> None:
    vendor.refuse = RateLimited("data8", "jobs.create", "too many calls", retry_after=7.0)
    harness = bench_of(lambda run: run.once("start", lambda: vendor.do("a")))
    before = harness.ledger.database.now()
    harness.arrive()
    job = harness.job()
    assert job.due_at is not None
    assert job.due_at - before >= 7.0
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == ["a"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            Rejected("data8", "jobs.create", "refused", status=400, detail="no such workflow"),
            Code.VENDOR_REJECTED,
        ),
        (AuthenticationError("data8", "token", "credentials refused", status=401), Code.VENDOR_AUTH),
        (JobFailed(Code.INPUT_INVALID, "clients.csv, line 3: too few cells"), Code.INPUT_INVALID),
        (ZeroDivisionError(), Code.INTERNAL_ERROR),
    ],
)
def test_ends_at_once(
    bench_of: Callable[..., TurnHarness], vendor: Vendor, error: Exception, code: Code
) -> None:
    vendor.refuse = error
    harness = bench_of(lambda run: run.once("start", lambda: vendor.do("a"), recover=repeatable))
    harness.arrive()
    assert harness.job().status is Status.FAILED
    assert error_code(harness) == code
    assert harness.finals() == ["data8.start_job.failed"]


def test_what_was_never_sent_leaves_no_doubt_behind(
    bench_of: Callable[..., TurnHarness], vendor: Vendor
) -> None:
    """The ledger goes away while an effect that nobody can find again waits for its budget, not for its answer."""
    away = [True]

    def effect() -> dict[str, Any]:
        if away:
            away.clear()
            raise LedgerUnavailable("gone while the call was counted")
        return vendor.do("a")

    harness = bench_of(lambda run: run.once("start", effect))
    with pytest.raises(LedgerUnavailable):
        harness.arrive()
    assert harness.ledger.queries.steps("job") == []
    assert harness.turn().status is Status.COMPLETED
    assert vendor.done == ["a"]


def test_refusal_by_an_open_circuit_is_no_failed_attempt(bench_of: Callable[..., TurnHarness]) -> None:
    """However long the vendor was away, the job comes back when its circuit is to be tried again."""
    limits = RunLimits(min_delay=1, max_delay=300, stall=60, slice=15, effect_settle_seconds=0)
    outage: list[Exception] = [CircuitOpenError("data8", "jobs.get", "not called", retry_after=7.0)] * 30
    outage += [VendorUnavailable("data8", "jobs.get", "cannot be reached")] * 12

    def ask() -> dict[str, Any]:
        raise outage.pop()

    harness = bench_of(lambda run: ask(), limits)
    harness.arrive()
    for _ in range(11):
        job = harness.turn()
    assert (job.consecutive_failures, job.retries) == (12, 12)
    assert job.due_at is not None
    assert job.due_at - harness.ledger.database.now() <= 60
    for _ in range(30):
        before = harness.ledger.database.now()
        job = harness.turn()
        assert job.due_at is not None
        assert before + 6.5 < job.due_at <= harness.ledger.database.now() + 7.7
    assert (job.consecutive_failures, job.retries) == (12, 12)


def test_vendor_that_stays_away_fails_the_job_at_its_deadline(bench_of: Callable[..., TurnHarness]) -> None:
    def play(run: Run) -> dict[str, Any]:
        raise VendorUnavailable("data8", "jobs.get", "cannot be reached")

    harness = bench_of(play, deadline=0.0)
    harness.arrive()
    assert error_code(harness) == Code.VENDOR_UNAVAILABLE


def test_job_that_only_waits_ends_at_its_deadline(bench_of: Callable[..., TurnHarness]) -> None:
    harness = bench_of(lambda run: run.poll("finish", lambda: PollResult("running")), deadline=0.0)
    harness.arrive()
    assert harness.drive().status is Status.FAILED
    assert error_code(harness) == Code.DEADLINE_EXCEEDED


def test_no_progress_for_too_long_is_stalled(bench_of: Callable[..., TurnHarness]) -> None:
    limits = RunLimits(min_delay=0.001, max_delay=0.01, stall=0.0, slice=15, effect_settle_seconds=0)
    harness = bench_of(lambda run: run.poll("finish", lambda: PollResult("running", percent=99.0)), limits)
    harness.arrive()
    harness.drive()
    assert error_code(harness) == Code.STALLED


def test_failed_vendor_job_is_started_anew_by_a_retry_under_another_name(
    bench_of: Callable[..., TurnHarness], vendor: Vendor
) -> None:
    looks = iter([PollResult("failed", detail="bad postcode file"), PollResult("done", "ok")])

    def play(run: Run) -> dict[str, Any]:
        name = f"job {run.generation('start')}"
        run.once("prepare", lambda: vendor.do("prepared"))
        run.once("start", lambda: vendor.do(name), recover=lambda: vendor.find(name), unique=True)
        return {"answer": run.poll("finish", lambda: next(looks), redo=["start"])}

    harness = bench_of(play)
    harness.arrive()
    failed = harness.drive()
    assert failed.error is not None
    assert (failed.error["code"], failed.error["detail"]) == (Code.VENDOR_FAILED, "bad postcode file")
    harness.control("again", "job.retry", job_id="job")
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == ["prepared", "job 1", "job 2"]


def test_transfer_goes_on_from_its_checkpoint(bench_of: Callable[..., TurnHarness]) -> None:
    pieces: list[int] = []
    trouble = [VendorUnavailable("data8", "datasets.data.upload", "cannot be reached")]

    def work(checkpoint: Any) -> Generator[dict[str, int]]:
        for number in range(checkpoint["done"] if checkpoint else 0, 6):
            if number == 4 and trouble:
                raise trouble.pop()
            pieces.append(number)
            yield {"done": number + 1}

    harness = bench_of(lambda run: {"moved": run.transfer("upload", work, kind="upload", total=6)})
    harness.arrive()
    assert harness.job().progress == {"step": "upload", "percent": 66.7, "done": 4, "total": 6}
    assert harness.drive().status is Status.COMPLETED
    assert pieces == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "error", [VendorUnavailable("data8", "datasets.data.download", "cannot be reached"), None]
)
def test_a_checkpoint_is_recorded_once_it_is_stored(
    bench_of: Callable[..., TurnHarness], error: Exception | None
) -> None:
    recorded: list[Any] = []
    trouble = [StorageUnavailable("the results cannot be stored: No space left on device")]

    def work(checkpoint: Any) -> Generator[dict[str, int]]:
        yield {"done": (checkpoint["done"] if checkpoint else 0) + 1}
        if error and not recorded:
            raise error

    def store() -> None:
        recorded.append([step.value for step in harness.ledger.queries.steps("job")])
        if trouble:
            raise trouble.pop()

    harness = bench_of(lambda run: {"moved": run.transfer("download", work, kind="download", store=store)})
    harness.arrive()
    assert recorded == [[]]
    assert harness.ledger.queries.steps("job") == [], "what could not be stored is not recorded"
    assert harness.drive().status is Status.COMPLETED
    assert recorded[-1] == []
    assert [step.value for step in harness.ledger.queries.steps("job")] == [{"done": 1}]


def test_transfer_ends_its_slice_when_asked_to_stop(bench_of: Callable[..., TurnHarness]) -> None:
    def work(checkpoint: Any) -> Generator[dict[str, int]]:
        for number in range(checkpoint["done"] if checkpoint else 0, 3):
            yield {"done": number + 1}

    harness = bench_of(lambda run: {"moved": run.transfer("upload", work, kind="upload")})
    harness.stopping = True
    harness.arrive()
    assert harness.job().turns == 1
    assert [step.value for step in harness.ledger.queries.steps("job")] == [{"done": 1}]
    harness.stopping = False
    assert harness.drive().status is Status.COMPLETED


def test_a_turn_begins_nothing_more_behind_its_slice(
    bench_of: Callable[..., TurnHarness], vendor: Vendor
) -> None:
    parts = ("one", "two", "three")
    harness = bench_of(
        lambda run: {name: run.once(name, partial(vendor.do, name)) for name in parts},
        replace(LIMITS, slice=0.0),
    )
    harness.arrive()
    assert vendor.done == ["one"]
    harness.turn()
    assert vendor.done == ["one", "two"]
    assert harness.drive().turns == len(parts)
    assert vendor.done == [*parts]


def test_cancel_takes_effect_at_the_next_turn_without_a_vendor_call(
    bench_of: Callable[..., TurnHarness],
) -> None:
    asked: list[int] = []

    def ask() -> PollResult:
        asked.append(1)
        return PollResult("running")

    harness = bench_of(lambda run: run.poll("finish", ask))
    harness.arrive()
    harness.turn()
    cancel = harness.control("c", "job.cancel", job_id="job")
    assert cancel.result == {"job_id": "job", "status": "running"}
    job = harness.job()
    assert job.due_at is not None
    assert job.due_at <= harness.ledger.database.now()
    assert harness.turn().status is Status.CANCELLED
    assert len(asked) == 1
    assert harness.finals() == ["data8.start_job.cancelled"]


def test_cancel_and_retry_of_an_unknown_job_fail_clearly(bench_of: Callable[..., TurnHarness]) -> None:
    harness = bench_of(lambda run: {})
    for id_, type_ in (("c", "job.cancel"), ("r", "job.retry")):
        error = harness.control(id_, type_, job_id="nobody").error
        assert error is not None
        assert (error["code"], error["message"]) == (Code.INVALID_COMMAND, "there is no job nobody")


def test_old_turns_and_repeated_commands_change_nothing(
    bench_of: Callable[..., TurnHarness], vendor: Vendor
) -> None:
    def play(run: Run) -> dict[str, Any]:
        run.once("start", lambda: vendor.do("a"))
        return {"answer": run.poll("finish", lambda: PollResult("done", "ok"))}

    harness = bench_of(play)
    harness.arrive()
    harness.turns.run_turn("job", 7)
    harness.arrive()
    assert harness.job().turn == 2
    harness.turns.run_turn("job", 2)
    harness.turns.run_turn("job", 2)
    harness.turns.run_turn("job", 1)
    assert harness.finals() == ["data8.start_job.completed"]
    assert vendor.done == ["a"]


def test_repeat_that_comes_while_its_event_is_published_is_answered_by_another(
    bench_of: Callable[..., TurnHarness],
) -> None:
    harness = bench_of(lambda _: {})
    harness.arrive()
    with harness.database.write() as connection:
        told = harness.ledger.dispatch.unpublished_events(connection, 10)
    harness.arrive()  # the broker has the events, the ledger does not know it yet
    with harness.database.write() as connection:
        harness.ledger.dispatch.mark_published(connection, told)
        again = harness.ledger.dispatch.unpublished_events(connection, 10)

    assert [(event.id, event.body) for event in again] == [(told[-1].id, told[-1].body)]
    assert harness.finals() == ["data8.start_job.completed"]


def test_held_turn_is_looked_at_again(bench_of: Callable[..., TurnHarness]) -> None:
    harness = bench_of(lambda run: {"answer": run.poll("finish", lambda: PollResult("done", "ok"))})
    harness.arrive()
    with harness.ledger.jobs.lock("job"):
        harness.turn()
    job = harness.job()
    assert (job.turn, job.status) == (2, Status.RUNNING)
    assert job.due_at is not None
    assert harness.drive().status is Status.COMPLETED


def test_worker_that_lost_its_hold_cannot_write(bench_of: Callable[..., TurnHarness], vendor: Vendor) -> None:
    harness: TurnHarness

    def play(run: Run) -> dict[str, Any]:
        if not vendor.done:
            vendor.done.append("first worker is slow")
            with harness.database.connect() as connection:
                assert Claim.take(harness.database, connection, "job", 1) is not None
        return run.once("start", lambda: vendor.do("a"))

    harness = bench_of(play)
    harness.arrive()
    assert harness.job().status is Status.ACCEPTED
    assert "a" not in vendor.done
    assert harness.turn().status is Status.COMPLETED


def test_turn_that_kills_its_workers_is_given_up(bench_of: Callable[..., TurnHarness]) -> None:
    class Killed(BaseException):
        pass

    def play(run: Run) -> dict[str, Any]:
        raise Killed

    harness = bench_of(play)
    with pytest.raises(Killed):
        harness.arrive()
    for _ in range(4):
        with pytest.raises(Killed):
            harness.turn()
    assert harness.turn().status is Status.FAILED
    assert error_code(harness) == Code.INTERNAL_ERROR


def test_storage_that_is_away_is_tried_again(bench_of: Callable[..., TurnHarness], vendor: Vendor) -> None:
    unread = [StorageUnavailable("s3://bucket cannot be reached", retry_after=0.5)]
    away = [StorageUnavailable("s3://bucket cannot be reached")]

    def work(at: Any) -> Generator[dict[str, Any]]:
        for done in range(at["done"] + 1 if at else 1, 4):
            if done == 3 and away:
                raise away.pop()
            vendor.do(str(done))
            yield {"done": done}

    def start() -> dict[str, Any]:
        if unread:
            raise unread.pop()
        return vendor.do("a")

    def play(run: Run) -> dict[str, Any]:
        return {"started": run.once("start", start), "moved": run.transfer("move", work, kind="upload")}

    harness = bench_of(play)
    harness.arrive()
    assert harness.job().status is Status.RUNNING
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == [
        "a",
        "1",
        "2",
        "3",
    ]  # nothing was sent, so nothing is in doubt; and no piece is repeated
    assert harness.job().retries == 2


def test_storage_that_breaks_while_an_effect_is_sent_leaves_it_in_doubt(
    bench_of: Callable[..., TurnHarness], vendor: Vendor
) -> None:
    def send() -> dict[str, Any]:
        vendor.do("a")
        count_call(Observation("data8", "jobs.create", None, 0.1))
        raise StorageUnavailable("s3://bucket cannot be reached")

    harness = bench_of(lambda run: run.once("start", send, recover=lambda: vendor.find("a")))
    harness.arrive()
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == ["a"]


def test_storage_that_stays_away_ends_the_job_at_its_deadline(bench_of: Callable[..., TurnHarness]) -> None:
    def play(_run: Run) -> dict[str, Any]:
        raise StorageUnavailable("s3://bucket cannot be reached")

    harness = bench_of(play, deadline=0.0)
    harness.arrive()
    assert error_code(harness) == Code.DEADLINE_EXCEEDED
    assert harness.job().error is not None
    assert "s3://bucket" in str(harness.job().error)


def test_ledger_that_goes_away_again_and_again_is_not_the_jobs_fault(
    bench_of: Callable[..., TurnHarness],
) -> None:
    away = [LedgerUnavailable("gone")] * 10

    def play(run: Run) -> dict[str, Any]:
        if away:
            raise away.pop()
        return {}

    harness = bench_of(play)
    with pytest.raises(LedgerUnavailable):
        harness.turns.receive_command(command("job"))
    while away:
        with pytest.raises(LedgerUnavailable):
            harness.turns.run_turn("job", 1, redelivered=True)  # as a worker does whose ledger is away
    assert harness.job().begin_count == 1
    harness.turns.run_turn("job", 1, redelivered=True)
    assert harness.job().status is Status.COMPLETED


@given(
    st.floats(0, 100), st.floats(0, 100), st.none() | st.floats(0, 100),
    st.sampled_from(["a", "b 7", "c", "elsewhere"]), st.lists(st.sampled_from("abc"), unique=True),
)  # fmt: skip
def test_a_stage_stays_within_its_share(
    begin: float, width: float, percent: float | None, step: str, parts: list[str]
) -> None:
    stage = Stage("match", begin, begin + width, parts)
    assert begin <= stage.percent(stage.step(step), percent) <= stage.end + 1e-6
    assert stage.percent(stage.step(step), None) <= stage.percent(stage.step(step), percent)
