"""Concurrent calls: results in order, each item once, and a bounded number of items in memory."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.errors import VendorUnavailable
from clients.transport import Observation, correlation
from messages.events import Status
from tests.support.turn_harness import TurnHarness
from tests.testbed.ledgers import ledger_at
from workers.engine.context import Run
from workers.engine.ordered_pool import OrderedPool
from workers.engine.turn_context import count_call

WAIT_SECONDS = 30.0


class RandomOrderExecutor(Executor):
    """Ends the calls in a drawn order, without threads."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = _Awaited(self._work_until)
        self._waiting.append((future, lambda: function(*args, **kwargs)))
        return future

    def _work_until(self, awaited: Future[Any]) -> None:
        while not awaited.done():
            future, call = self._waiting.pop(self._draw(len(self._waiting)))
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except VendorUnavailable as error:
                    future.set_exception(error)


class _Awaited(Future[Any]):
    def __init__(self, work_until: Callable[[Future[Any]], None]) -> None:
        super().__init__()
        self._work_until = work_until

    def result(self, timeout: float | None = None) -> Any:
        self._work_until(self)
        return super().result(timeout)


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(1, 6), st.sets(st.integers(0, 29)), st.data())
def test_pool_yields_results_in_order_up_to_the_first_error(
    count: int, width: int, failing: set[int], data: st.DataObject
) -> None:
    taken, worked, yielded = 0, list[int](), list[int]()

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(count):
            taken += 1
            assert taken - len(yielded) <= width + 1
            yield item

    def work(item: int) -> int:
        worked.append(item)
        if item in failing:
            raise VendorUnavailable("data8", "x", str(item))
        return item * item

    executor = RandomOrderExecutor(lambda n: data.draw(st.integers(0, n - 1)))
    first = min((item for item in failing if item < count), default=count)
    pool = OrderedPool(work, items(), width, pool=executor)
    expected = pytest.raises(VendorUnavailable, match=f"{first}$") if first < count else nullcontext()
    with expected:
        for item, result in pool:
            assert result == item * item
            yielded.append(item)
    assert yielded == list(range(first))
    assert len(set(worked)) == len(worked)
    assert max(worked, default=0) < first + width
    assert len(pool) == 0


@dataclass
class Vendor:
    """A vendor that counts the calls for each piece; some fail once, some are overtaken by later ones."""

    failing: set[int]
    slow: set[int]
    calls: Counter[int] = field(default_factory=Counter)
    later: threading.Condition = field(default_factory=threading.Condition)

    def call(self, piece: int) -> int:
        with self.later:
            self.calls[piece] += 1
            self.later.notify_all()
            if piece in self.slow:
                self.later.wait(0.002)
            if piece in self.failing:
                self.failing.discard(piece)
                raise VendorUnavailable("data8", "datasets.upload", "cannot be reached")
        return piece * 7


def pool_threads() -> list[str]:
    """Return the names of the threads of pools."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ordered-pool")]


class Killed(BaseException):
    """The worker dies here."""


PIECES = st.sets(st.integers(0, 19), max_size=3)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnHarness]:
    folder: Path = tmp_path_factory.mktemp("ordered-pool")
    made = TurnHarness(ledger_at(folder / "ledger.db"), folder, lambda _: {})
    yield made
    made.database.close()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 6), PIECES, PIECES, PIECES, PIECES, st.booleans())
def test_transfer_moves_each_piece_in_order_when_calls_fail_and_workers_die(
    harness: TurnHarness,
    count: int,
    width: int,
    slow: set[int],
    failing: set[int],
    stops: set[int],
    kills: set[int],
    cancelled: bool,
) -> None:
    vendor = Vendor(failing & set(range(count)), slow)
    failures, deaths = len(vendor.failing), len(kills & set(range(count)))
    written: list[int] = []
    kills, begun = set(kills), [0]
    id = f"job-{next(NUMBERS)}"

    def work(at: Any) -> Generator[dict[str, int]]:
        done = at["done"] if at else 0
        assert done >= begun[-1]
        begun.append(done)
        assert len(written) >= done, "a checkpoint is ahead of what was written"
        del written[done:]
        for piece, result in run_of[0].map_ordered(vendor.call, range(done, count), width):
            assert piece == len(written)
            written.append(result)
            if piece in kills:
                kills.discard(piece)
                raise Killed
            if piece in stops:
                harness.stopping = True
                if cancelled:
                    harness.control(f"cancel-{id}", "job.cancel", job_id=id)
            yield {"done": len(written)}

    run_of: list[Run] = []

    def job_function(run: Run) -> dict[str, Any]:
        run_of[:] = [run]
        return {"moved": run.transfer("move", work, kind="upload", total=count)}

    harness.play = job_function
    harness.stopping = False
    with suppress(Killed):
        harness.arrive(id)
    while not harness.job(id).status.ended:
        assert not pool_threads(), "a call has outlived its turn"
        harness.stopping = False
        with suppress(Killed):
            harness.turn(id)

    pieces = [piece * 7 for piece in range(count)]
    if harness.job(id).status is Status.CANCELLED:
        assert cancelled
        assert written == pieces[: len(written)]
        return
    assert written == pieces
    repeated = vendor.calls.total() - count
    assert repeated <= failures * width if not deaths else repeated >= 0
    assert failures or deaths or repeated == 0
    assert set(vendor.calls) == set(range(count))


NUMBERS = itertools.count()
LABEL: ContextVar[str] = ContextVar("label", default="")


def test_pool_calls_run_concurrently_and_belong_to_their_turn(harness: TurnHarness) -> None:
    together = threading.Barrier(4)
    seen: list[tuple[str | None, str]] = []

    def call(piece: int) -> int:
        together.wait(WAIT_SECONDS)
        seen.append((correlation.get(), LABEL.get()))
        for _ in range(500):
            count_call(Observation("data8", "datasets.upload", 204, 0.0))
        return piece

    def job_function(run: Run) -> dict[str, Any]:
        def work(_: Any) -> Generator[dict[str, int]]:
            LABEL.set("ours")
            for piece, _ in run.map_ordered(call, range(8), 4):
                yield {"done": piece + 1}

        return {"moved": run.transfer("move", work, kind="upload")}

    harness.play = job_function
    harness.stopping = False
    harness.arrive("at-once")
    job = harness.job("at-once")
    assert job.status is Status.COMPLETED, job.error
    assert set(seen) == {("at-once", "ours")}
    assert job.vendor_calls == 8 * 500
    assert not pool_threads()


def test_pool_waits_for_the_calls_in_progress_when_it_is_closed() -> None:
    begun, ended = threading.Barrier(3), list[int]()
    go_on = threading.Event()

    def call(piece: int) -> None:
        if piece:
            begun.wait(WAIT_SECONDS)
            go_on.wait(WAIT_SECONDS)
            ended.append(piece)

    pool = OrderedPool(call, range(9), 2)
    first = iter(pool)
    assert next(first)[0] == 0
    begun.wait(WAIT_SECONDS)
    threading.Timer(0.01, go_on.set).start()
    pool.close()
    assert sorted(ended) == [1, 2]
    assert next(first, None) is None
