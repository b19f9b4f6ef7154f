"""Several pieces at work at once: in order, each once, never more alive than the window holds."""

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

PATIENCE = 30.0


class Chance(Executor):
    """Ends the calls in an order of chance, without threads: what is drawn decides."""

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
def test_results_come_in_order_up_to_the_first_error(
    count: int, width: int, failing: set[int], data: st.DataObject
) -> None:
    taken, worked, given = 0, list[int](), list[int]()

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(count):
            taken += 1
            assert taken - len(given) <= width + 1
            yield item

    def work(item: int) -> int:
        worked.append(item)
        if item in failing:
            raise VendorUnavailable("data8", "x", str(item))
        return item * item

    pool = Chance(lambda n: data.draw(st.integers(0, n - 1)))
    first = min((item for item in failing if item < count), default=count)
    window = OrderedPool(work, items(), width, pool=pool)
    expected = pytest.raises(VendorUnavailable, match=f"{first}$") if first < count else nullcontext()
    with expected:
        for item, result in window:
            assert result == item * item
            given.append(item)
    assert given == list(range(first))
    assert len(set(worked)) == len(worked)
    assert max(worked, default=0) < first + width
    assert len(window) == 0


@dataclass
class Vendor:
    """Counts the calls for each piece; some fail once, and some wait for a later one to come first."""

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


def calling() -> list[str]:
    """The threads of windows."""
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
def test_a_transfer_moves_every_piece_in_order_whatever_happens(
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
    troubles, deaths = len(vendor.failing), len(kills & set(range(count)))
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

    def play(run: Run) -> dict[str, Any]:
        run_of[:] = [run]
        return {"moved": run.transfer("move", work, kind="upload", total=count)}

    harness.play = play
    harness.stopping = False
    with suppress(Killed):
        harness.arrive(id)
    while not harness.job(id).status.ended:
        assert not calling(), "a call has outlived its turn"
        harness.stopping = False
        with suppress(Killed):
            harness.turn(id)

    pieces = [piece * 7 for piece in range(count)]
    if harness.job(id).status is Status.CANCELLED:
        assert cancelled
        assert written == pieces[: len(written)]
        return
    assert written == pieces
    again = vendor.calls.total() - count
    assert again <= troubles * width if not deaths else again >= 0
    assert troubles or deaths or again == 0
    assert set(vendor.calls) == set(range(count))


NUMBERS = itertools.count()
LABEL: ContextVar[str] = ContextVar("label", default="")


def test_calls_are_made_at_once_and_belong_to_their_turn(harness: TurnHarness) -> None:
    together = threading.Barrier(4)
    seen: list[tuple[str | None, str]] = []

    def call(piece: int) -> int:
        together.wait(PATIENCE)
        seen.append((correlation.get(), LABEL.get()))
        for _ in range(500):
            count_call(Observation("data8", "datasets.upload", 204, 0.0))
        return piece

    def play(run: Run) -> dict[str, Any]:
        def work(_: Any) -> Generator[dict[str, int]]:
            LABEL.set("ours")
            for piece, _ in run.map_ordered(call, range(8), 4):
                yield {"done": piece + 1}

        return {"moved": run.transfer("move", work, kind="upload")}

    harness.play = play
    harness.stopping = False
    harness.arrive("at-once")
    job = harness.job("at-once")
    assert job.status is Status.COMPLETED, job.error
    assert set(seen) == {("at-once", "ours")}
    assert job.vendor_calls == 8 * 500
    assert not calling()


def test_a_window_that_is_closed_waits_for_what_is_at_work() -> None:
    begun, ended = threading.Barrier(3), list[int]()
    go_on = threading.Event()

    def call(piece: int) -> None:
        if piece:
            begun.wait(PATIENCE)
            go_on.wait(PATIENCE)
            ended.append(piece)

    window = OrderedPool(call, range(9), 2)
    first = iter(window)
    assert next(first)[0] == 0
    begun.wait(PATIENCE)
    threading.Timer(0.01, go_on.set).start()
    window.close()
    assert sorted(ended) == [1, 2]
    assert next(first, None) is None
