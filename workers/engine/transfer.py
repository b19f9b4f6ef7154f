"""The time slice of a transfer, and the progress that its checkpoints report."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from messages.events import Progress
from workers.engine.ordered_pool import OrderedPool
from workers.engine.signals import Suspended

R = TypeVar("R")
T = TypeVar("T")


class TransferSlice:
    """The part of a transfer that one turn does. When its time is over, no further piece begins.

    Args:
        began: monotonic seconds.
        seconds: length of the slice.
        stopping: returns whether the process is shutting down, which ends the slice early.
        ledger_now: returns the ledger's time, in epoch seconds: the next turn is due at once.
    """

    def __init__(
        self, began: float, seconds: float, stopping: Callable[[], bool], ledger_now: Callable[[], float]
    ) -> None:
        self._began = began
        self._seconds = seconds
        self._stopping = stopping
        self._ledger_now = ledger_now
        self._pool: OrderedPool[Any, Any] | None = None
        self._pieces_in_progress: float = math.inf
        self._is_over = False

    def suspend_if_over(self, now: float) -> None:
        """Suspend the turn after the slice, once the pieces in progress are done or get no fewer."""
        self._is_over = self._is_over or now - self._began >= self._seconds or self._stopping()
        if not self._is_over:
            return
        remaining = len(self._pool) if self._pool is not None else 0
        if not 0 < remaining < self._pieces_in_progress:
            raise Suspended(self._ledger_now())
        self._pieces_in_progress = remaining

    def map_ordered(
        self, work: Callable[[T], R], items: Iterable[T], max_concurrency: int
    ) -> Generator[tuple[T, R], None, None]:
        """Do as `Run.map_ordered` documents."""
        self._pool = OrderedPool(work, items, max_concurrency, lambda: self._is_over)
        yield from self._pool
        if self._is_over:  # there may be further items
            raise Suspended(self._ledger_now())

    def close(self) -> None:
        """Wait for the pieces in progress."""
        if self._pool is not None:
            self._pool.close()


def records_done(checkpoint: Any) -> int:
    """Return how many records the checkpoint counts as done; 0 if it does not count them."""
    done = checkpoint.get("done") if isinstance(checkpoint, dict) else None
    return done if isinstance(done, int) else 0


def checkpoint_progress(step: str, checkpoint: Any, total: int | None) -> Progress:
    """Return the progress of the step; `percent` only if the checkpoint counts records and `total` is known."""
    done = records_done(checkpoint) if isinstance(checkpoint, dict) and "done" in checkpoint else None
    # There may be more records than were counted at first.
    percent = min(round(100.0 * done / total, 1), 100.0) if done is not None and total else None
    return Progress(step=step, percent=percent, done=done, total=total)
