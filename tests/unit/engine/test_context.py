from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import AuthRefused, NotCalled, OutcomeUnknown, RateLimited, Rejected, Unavailable
from clients.transport import Observation, before_effect
from messages.errors import Code
from messages.events import Status
from tests.support.turn_harness import LIMITS, Bench, command
from workers.engine.context import Limits, Run, Sighting, Stage, repeatable
from workers.engine.turns import count_call
from workers.errors import JobFailed, StorageUnavailable, Undecided
from workers.ledger.claim import Claim
from workers.ledger.database import LedgerUnavailable

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
def bench_of(tmp_path: Path, sqlite_url: str) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(play: Play, limits: Limits = LIMITS, deadline: float = 60.0) -> Bench:
        made.append(Bench(sqlite_url, tmp_path, play, limits, deadline))
        return made[-1]

    yield make
    for bench in made:
        bench.database.close()


def error_code(bench: Bench) -> str:
    error = bench.job().error
    assert error is not None
    return str(error["code"])


def test_effect_is_done_once_and_replayed(bench_of: Callable[..., Bench], vendor: Vendor) -> None:
    looks = iter(
        [Sighting("running", percent=10.0), Sighting("running", percent=50.0), Sighting("done", "ok")]
    )

    def play(run: Run) -> dict[str, Any]:
        started = run.once("start", lambda: vendor.do("a"))
        return {"started": started, "finished": run.poll("finish", lambda: next(looks))}

    bench = bench_of(play)
    bench.arrive()
    job = bench.drive()
    assert job.status is Status.COMPLETED
    assert job.result is not None
    assert job.result["statistics"] == {"started": {"name": "a"}, "finished": "ok"}
    assert vendor.done == ["a"]
    assert (job.polls, job.turns) == (3, 4)
    assert bench.finals() == ["data8.start_job.completed"]


def test_lost_answer_is_recovered_by_natural_key(bench_of: Callable[..., Bench], vendor: Vendor) -> None:
    vendor.lose_answers = 1
    bench = bench_of(lambda run: run.once("start", lambda: vendor.do("a"), recover=lambda: vendor.find("a")))
    bench.arrive()
    assert bench.job().status is Status.RUNNING
    assert bench.drive().status is Status.COMPLETED
    assert vendor.done == ["a"]
    assert bench.job().retries == 1


def test_lost_answer_without_a_way_to_find_out_is_never_repeated(
    bench_of: Callable[..., Bench], vendor: Vendor
) -> None:
    vendor.lose_answers = 1
    bench = bench_of(lambda run: run.once("start", lambda: vendor.do("a")))
    bench.arrive()
    assert bench.drive().status is Status.FAILED
    assert error_code(bench) == Code.OUTCOME_UNKNOWN
    assert vendor.done == ["a"]
    # a retry needs a person's word, and only then is the effect done again
    refused = bench.control("r1", "job.retry", job_id="job")
    assert refused.status is Status.FAILED
    assert bench.control("r2", "job.retry", job_id="job", repeat_effect=True).status is Status.COMPLETED
    assert bench.drive().status is Status.COMPLETED
    assert vendor.done == ["a", "a"]
    assert bench.finals() == ["data8.start_job.failed", "data8.start_job.completed"]


def test_undecided_recovery_fails_the_job(bench_of: Callable[..., Bench], vendor: Vendor) -> None:
    vendor.lose_answers = 1

    def cannot_tell() -> dict[str, Any] | None:
        raise Undecided("the count is neither the one nor the other")

    bench = bench_of(lambda run: run.once("start", lambda: vendor.do("a"), recover=cannot_tell))
    bench.arrive()
    bench.drive()
    assert error_code(bench) == Code.OUTCOME_UNKNOWN


def test_not_found_is_only_trusted_when_no_request_can_be_in_flight(
    bench_of: Callable[..., Bench], vendor: Vendor
) -> None:
    limits = Limits(min_delay=0.001, max_delay=0.01, stall=60, slice=15, in_flight=3600)
    found: list[dict[str, Any]] = []

    def play(run: Run) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            before_effect.get()()
            vendor.done.append("a")
            raise OutcomeUnknown("data8", "x", "lost")

        return run.once("start", effect, recover=lambda: found[0] if found else None)

    bench = bench_of(play, limits, deadline=7200.0)
    bench.arrive()
    waiting = bench.turn()
    assert waiting.status is Status.RUNNING
    assert waiting.due_at is not None
    assert waiting.due_at - bench.ledger.now() > 3000
    assert vendor.done == ["a"]
    found.append({"late": True})
    assert bench.turn().status is Status.COMPLETED
    assert vendor.done == ["a"]


def test_definite_refusal_leaves_no_doubt_behind(bench_of: Callable[..., Bench], vendor: Vendor) -> None:
    vendor.refuse = RateLimited("data8", "jobs.create", "too many calls", retry_after=7.0)
    bench = bench_of(lambda run: run.once("start", lambda: vendor.do("a")))
    before = bench.ledger.now()
    bench.arrive()
    job = bench.job()
    assert job.due_at is not None
    assert job.due_at - before >= 7.0
    assert bench.drive().status is Status.COMPLETED
    assert vendor.done == ["a"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (
            Rejected("data8", "jobs.create", "refused", status=400, detail="no such workflow"),
            Code.VENDOR_REJECTED,
        ),
        (AuthRefused("data8", "token", "credentials refused", status=401), Code.VENDOR_AUTH),
        (JobFailed(Code.INPUT_INVALID, "clients.csv, line 3: too few cells"), Code.INPUT_INVALID),
        (ZeroDivisionError(), Code.INTERNAL_ERROR),
    ],
)
def test_ends_at_once(bench_of: Callable[..., Bench], vendor: Vendor, error: Exception, code: Code) -> None:
    vendor.refuse = error
    bench = bench_of(lambda run: run.once("start", lambda: vendor.do("a"), recover=repeatable))
    bench.arrive()
    assert bench.job().status is Status.FAILED
    assert error_code(bench) == code
    assert bench.finals() == ["data8.start_job.failed"]


def test_what_was_never_sent_leaves_no_doubt_behind(bench_of: Callable[..., Bench], vendor: Vendor) -> None:
    """The ledger goes away while an effect that nobody can find again waits for its budget, not for its answer."""
    away = [True]

    def effect() -> dict[str, Any]:
        if away:
            away.clear()
            raise LedgerUnavailable("gone while the call was counted")
        return vendor.do("a")

    bench = bench_of(lambda run: run.once("start", effect))
    with pytest.raises(LedgerUnavailable):
        bench.arrive()
    assert bench.ledger.steps("job") == []
    assert bench.turn().status is Status.COMPLETED
    assert vendor.done == ["a"]


def test_refusal_by_an_open_circuit_is_no_failed_attempt(bench_of: Callable[..., Bench]) -> None:
    """However long the vendor was away, the job comes back when its circuit is to be tried again."""
    limits = Limits(min_delay=1, max_delay=300, stall=60, slice=15, in_flight=0)
    outage: list[Exception] = [NotCalled("data8", "jobs.get", "not called", retry_after=7.0)] * 30
    outage += [Unavailable("data8", "jobs.get", "cannot be reached")] * 12

    def ask() -> dict[str, Any]:
        raise outage.pop()

    bench = bench_of(lambda run: ask(), limits)
    bench.arrive()
    for _ in range(11):
        job = bench.turn()
    assert (job.strikes, job.retries) == (12, 12)
    assert job.due_at is not None
    assert job.due_at - bench.ledger.now() <= 60
    for _ in range(30):
        before = bench.ledger.now()
        job = bench.turn()
        assert job.due_at is not None
        assert before + 6.5 < job.due_at <= bench.ledger.now() + 7.7
    assert (job.strikes, job.retries) == (12, 12)


def test_vendor_that_stays_away_fails_the_job_at_its_deadline(bench_of: Callable[..., Bench]) -> None:
    def play(run: Run) -> dict[str, Any]:
        raise Unavailable("data8", "jobs.get", "cannot be reached")

    bench = bench_of(play, deadline=0.0)
    bench.arrive()
    assert error_code(bench) == Code.VENDOR_UNAVAILABLE


def test_job_that_only_waits_ends_at_its_deadline(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of(lambda run: run.poll("finish", lambda: Sighting("running")), deadline=0.0)
    bench.arrive()
    assert bench.drive().status is Status.FAILED
    assert error_code(bench) == Code.DEADLINE_EXCEEDED


def test_no_progress_for_too_long_is_stalled(bench_of: Callable[..., Bench]) -> None:
    limits = Limits(min_delay=0.001, max_delay=0.01, stall=0.0, slice=15, in_flight=0)
    bench = bench_of(lambda run: run.poll("finish", lambda: Sighting("running", percent=99.0)), limits)
    bench.arrive()
    bench.drive()
    assert error_code(bench) == Code.STALLED


def test_failed_vendor_job_is_started_anew_by_a_retry_under_another_name(
    bench_of: Callable[..., Bench], vendor: Vendor
) -> None:
    looks = iter([Sighting("failed", detail="bad postcode file"), Sighting("done", "ok")])

    def play(run: Run) -> dict[str, Any]:
        name = f"job {run.edition('start')}"
        run.once("prepare", lambda: vendor.do("prepared"))
        run.once("start", lambda: vendor.do(name), recover=lambda: vendor.find(name), unique=True)
        return {"answer": run.poll("finish", lambda: next(looks), redo=["start"])}

    bench = bench_of(play)
    bench.arrive()
    failed = bench.drive()
    assert failed.error is not None
    assert (failed.error["code"], failed.error["detail"]) == (Code.VENDOR_FAILED, "bad postcode file")
    bench.control("again", "job.retry", job_id="job")
    assert bench.drive().status is Status.COMPLETED
    assert vendor.done == ["prepared", "job 1", "job 2"]


def test_transfer_goes_on_from_its_checkpoint(bench_of: Callable[..., Bench]) -> None:
    pieces: list[int] = []
    trouble = [Unavailable("data8", "datasets.data.upload", "cannot be reached")]

    def work(checkpoint: Any) -> Generator[dict[str, int]]:
        for number in range(checkpoint["done"] if checkpoint else 0, 6):
            if number == 4 and trouble:
                raise trouble.pop()
            pieces.append(number)
            yield {"done": number + 1}

    bench = bench_of(lambda run: {"moved": run.transfer("upload", work, total=6)})
    bench.arrive()
    assert bench.job().progress == {"step": "upload", "percent": 66.7, "done": 4, "total": 6}
    assert bench.drive().status is Status.COMPLETED
    assert pieces == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("error", [Unavailable("data8", "datasets.data.download", "cannot be reached"), None])
def test_a_checkpoint_is_recorded_once_it_is_stored(
    bench_of: Callable[..., Bench], error: Exception | None
) -> None:
    recorded: list[Any] = []
    trouble = [StorageUnavailable("the results cannot be stored: No space left on device")]

    def work(checkpoint: Any) -> Generator[dict[str, int]]:
        yield {"done": (checkpoint["done"] if checkpoint else 0) + 1}
        if error and not recorded:
            raise error

    def store() -> None:
        recorded.append([step.value for step in bench.ledger.steps("job")])
        if trouble:
            raise trouble.pop()

    bench = bench_of(lambda run: {"moved": run.transfer("download", work, store=store)})
    bench.arrive()
    assert recorded == [[]]
    assert bench.ledger.steps("job") == [], "what could not be stored is not recorded"
    assert bench.drive().status is Status.COMPLETED
    assert recorded[-1] == []
    assert [step.value for step in bench.ledger.steps("job")] == [{"done": 1}]


def test_transfer_ends_its_slice_when_asked_to_stop(bench_of: Callable[..., Bench]) -> None:
    def work(checkpoint: Any) -> Generator[dict[str, int]]:
        for number in range(checkpoint["done"] if checkpoint else 0, 3):
            yield {"done": number + 1}

    bench = bench_of(lambda run: {"moved": run.transfer("upload", work)})
    bench.stopping = True
    bench.arrive()
    assert bench.job().turns == 1
    assert [step.value for step in bench.ledger.steps("job")] == [{"done": 1}]
    bench.stopping = False
    assert bench.drive().status is Status.COMPLETED


def test_a_turn_begins_nothing_more_behind_its_slice(bench_of: Callable[..., Bench], vendor: Vendor) -> None:
    parts = ("one", "two", "three")
    bench = bench_of(
        lambda run: {name: run.once(name, partial(vendor.do, name)) for name in parts},
        replace(LIMITS, slice=0.0),
    )
    bench.arrive()
    assert vendor.done == ["one"]
    bench.turn()
    assert vendor.done == ["one", "two"]
    assert bench.drive().turns == len(parts)
    assert vendor.done == [*parts]


def test_cancel_takes_effect_at_the_next_turn_without_a_vendor_call(bench_of: Callable[..., Bench]) -> None:
    asked: list[int] = []

    def ask() -> Sighting:
        asked.append(1)
        return Sighting("running")

    bench = bench_of(lambda run: run.poll("finish", ask))
    bench.arrive()
    bench.turn()
    cancel = bench.control("c", "job.cancel", job_id="job")
    assert cancel.result == {"job_id": "job", "status": "running"}
    job = bench.job()
    assert job.due_at is not None
    assert job.due_at <= bench.ledger.now()
    assert bench.turn().status is Status.CANCELLED
    assert len(asked) == 1
    assert bench.finals() == ["data8.start_job.cancelled"]


def test_cancel_and_retry_of_an_unknown_job_fail_clearly(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of(lambda run: {})
    for id_, type_ in (("c", "job.cancel"), ("r", "job.retry")):
        error = bench.control(id_, type_, job_id="nobody").error
        assert error is not None
        assert (error["code"], error["message"]) == (Code.INVALID_COMMAND, "there is no job nobody")


def test_old_turns_and_repeated_commands_change_nothing(
    bench_of: Callable[..., Bench], vendor: Vendor
) -> None:
    def play(run: Run) -> dict[str, Any]:
        run.once("start", lambda: vendor.do("a"))
        return {"answer": run.poll("finish", lambda: Sighting("done", "ok"))}

    bench = bench_of(play)
    bench.arrive()
    bench.turns.take("job", 7)
    bench.arrive()
    assert bench.job().turn == 2
    bench.turns.take("job", 2)
    bench.turns.take("job", 2)
    bench.turns.take("job", 1)
    assert bench.finals() == ["data8.start_job.completed"]
    assert vendor.done == ["a"]


def test_repeat_that_comes_while_its_event_is_published_is_answered_by_another(
    bench_of: Callable[..., Bench],
) -> None:
    bench = bench_of(lambda _: {})
    bench.arrive()
    with bench.database.write() as connection:
        told = bench.ledger.unpublished(connection, 10)
    bench.arrive()  # the broker has the events, the ledger does not know it yet
    with bench.database.write() as connection:
        bench.ledger.published(connection, told)
        again = bench.ledger.unpublished(connection, 10)

    assert [(event.id, event.body) for event in again] == [(told[-1].id, told[-1].body)]
    assert bench.finals() == ["data8.start_job.completed"]


def test_held_turn_is_looked_at_again(bench_of: Callable[..., Bench]) -> None:
    bench = bench_of(lambda run: {"answer": run.poll("finish", lambda: Sighting("done", "ok"))})
    bench.arrive()
    with bench.ledger.hold("job"):
        bench.turn()
    job = bench.job()
    assert (job.turn, job.status) == (2, Status.RUNNING)
    assert job.due_at is not None
    assert bench.drive().status is Status.COMPLETED


def test_worker_that_lost_its_hold_cannot_write(bench_of: Callable[..., Bench], vendor: Vendor) -> None:
    bench: Bench

    def play(run: Run) -> dict[str, Any]:
        if not vendor.done:
            vendor.done.append("first worker is slow")
            with bench.database.connect() as connection:
                assert Claim.take(bench.database, connection, "job", 1) is not None
        return run.once("start", lambda: vendor.do("a"))

    bench = bench_of(play)
    bench.arrive()
    assert bench.job().status is Status.ACCEPTED
    assert "a" not in vendor.done
    assert bench.turn().status is Status.COMPLETED


def test_turn_that_kills_its_workers_is_given_up(bench_of: Callable[..., Bench]) -> None:
    class Killed(BaseException):
        pass

    def play(run: Run) -> dict[str, Any]:
        raise Killed

    bench = bench_of(play)
    with pytest.raises(Killed):
        bench.arrive()
    for _ in range(4):
        with pytest.raises(Killed):
            bench.turn()
    assert bench.turn().status is Status.FAILED
    assert error_code(bench) == Code.INTERNAL_ERROR


def test_storage_that_is_away_is_tried_again(bench_of: Callable[..., Bench], vendor: Vendor) -> None:
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
        return {"started": run.once("start", start), "moved": run.transfer("move", work)}

    bench = bench_of(play)
    bench.arrive()
    assert bench.job().status is Status.RUNNING
    assert bench.drive().status is Status.COMPLETED
    assert vendor.done == [
        "a",
        "1",
        "2",
        "3",
    ]  # nothing was sent, so nothing is in doubt; and no piece is repeated
    assert bench.job().retries == 2


def test_storage_that_breaks_while_an_effect_is_sent_leaves_it_in_doubt(
    bench_of: Callable[..., Bench], vendor: Vendor
) -> None:
    def send() -> dict[str, Any]:
        vendor.do("a")
        count_call(Observation("data8", "jobs.create", None, 0.1))
        raise StorageUnavailable("s3://bucket cannot be reached")

    bench = bench_of(lambda run: run.once("start", send, recover=lambda: vendor.find("a")))
    bench.arrive()
    assert bench.drive().status is Status.COMPLETED
    assert vendor.done == ["a"]


def test_storage_that_stays_away_ends_the_job_at_its_deadline(bench_of: Callable[..., Bench]) -> None:
    def play(_run: Run) -> dict[str, Any]:
        raise StorageUnavailable("s3://bucket cannot be reached")

    bench = bench_of(play, deadline=0.0)
    bench.arrive()
    assert error_code(bench) == Code.DEADLINE_EXCEEDED
    assert bench.job().error is not None
    assert "s3://bucket" in str(bench.job().error)


def test_ledger_that_goes_away_again_and_again_is_not_the_jobs_fault(bench_of: Callable[..., Bench]) -> None:
    away = [LedgerUnavailable("gone")] * 10

    def play(run: Run) -> dict[str, Any]:
        if away:
            raise away.pop()
        return {}

    bench = bench_of(play)
    with pytest.raises(LedgerUnavailable):
        bench.turns.arrive(command("job"))
    while away:
        with pytest.raises(LedgerUnavailable):
            bench.turns.take("job", 1, again=True)  # as a worker does whose ledger is away
    assert bench.job().takes == 1
    bench.turns.take("job", 1, again=True)
    assert bench.job().status is Status.COMPLETED


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
