from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from workers.rate_limits.batching import PREFETCH_RATIO, PREFETCH_TTL_SECONDS, BatchedLimiter


class Counted:
    """What was counted: how many calls at which times, of as many as there are."""

    def __init__(self, left: int, seconds: float = 0.0) -> None:
        self.left = left
        self.times: list[tuple[float, int]] = []
        self._seconds = seconds

    def __call__(self, wanted: int) -> tuple[int, float]:
        time.sleep(self._seconds)  # as long as a transaction takes
        fitting = min(wanted, self.left)
        self.left -= fitting
        self.times.append((time.monotonic(), fitting))
        return fitting, 7.0


@pytest.mark.parametrize("spare", [0, 20])
def test_batching_allows_no_more_calls_than_were_counted(spare: int) -> None:
    counted = Counted(300, seconds=0.005)  # long enough for the other threads to queue up
    counter = BatchedLimiter(counted, spare)
    with ThreadPoolExecutor(8) as threads:
        waits = list(threads.map(lambda _: counter.take(), range(400)))
    assert set(waits) == {0.0, 7.0}
    assert 300 - spare * len(counted.times) <= waits.count(0.0) <= 300
    assert len(counted.times) < 300


def test_calls_are_counted_one_by_one_when_they_are_far_apart() -> None:
    counted = Counted(100)
    counter = BatchedLimiter(counted, spare=20)
    for _ in range(PREFETCH_RATIO):
        assert counter.take() == 0.0
        time.sleep(PREFETCH_TTL_SECONDS)
    assert [calls for _, calls in counted.times] == [1] * PREFETCH_RATIO


def test_permit_acquired_ahead_expires_when_it_is_not_used_soon() -> None:
    counted = Counted(100_000)
    counter = BatchedLimiter(counted, spare=20)
    made = 0
    while made == sum(calls for _, calls in counted.times):  # until one is left over
        assert counter.take() == 0.0
        made += 1
    transactions = len(counted.times)
    time.sleep(PREFETCH_TTL_SECONDS)
    assert counter.take() == 0.0
    assert len(counted.times) > transactions


def test_every_waiting_thread_gets_the_error_when_counting_fails() -> None:
    def count(_: int) -> tuple[int, float]:
        raise OSError("away")

    counter = BatchedLimiter(count, spare=0)
    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(counter.take) for _ in range(8)]:
            with pytest.raises(OSError, match="away"):
                future.result()
