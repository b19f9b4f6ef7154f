"""A thread pool that yields its results in the order of the items, so that a transfer can record checkpoints.

    items ──▶ │ 7 │ 6 │ 5 │ 4 │ ──▶ (3, result), to be written and checkpointed
              └─ in progress ─┘

The items in progress come after the last checkpoint. An error or a cancellation repeats at most these; a crash also
repeats the items that were done since the checkpoint.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class OrderedPool(Generic[T, R]):
    """The items in progress, in their order.

    Args:
        work: makes one call for one item, in a thread of the pool, with the context variables of the iterating
            thread. Calls may be repeated, and may be overtaken by the calls for later items.
        items: read one by one, in the iterating thread, once there is room.
        width: items in progress at once. The iterating thread may have one more; no others are in memory.
        closing: returns whether no further item may begin; items in progress are still yielded.
        pool: runs the calls; by default a new pool of `width` threads.
    """

    def __init__(
        self,
        work: Callable[[T], R],
        items: Iterable[T],
        width: int,
        closing: Callable[[], bool] = lambda: False,
        pool: Executor | None = None,
    ) -> None:
        self._work = work
        self._items = iter(items)
        self._width = width
        self._closing = closing
        self._pool = pool or ThreadPoolExecutor(width, thread_name_prefix="ordered-pool")
        self._in_progress: deque[tuple[T, Future[R]]] = deque()

    def __len__(self) -> int:
        """Return how many items are in progress."""
        return len(self._in_progress)

    def __iter__(self) -> Iterator[tuple[T, R]]:
        """Yield each item with its result, in the order of the items.

        An error of `work` is raised in its item's place, after all items before it are yielded. After the first
        error no further item begins. When `closing`, the iteration ends early and without an error.
        """
        try:
            self._fill()
            while self._in_progress:
                item, future = self._in_progress[0]
                result = future.result()
                self._in_progress.popleft()
                self._fill()
                yield item, result
        finally:
            self.close()

    def close(self) -> None:
        """Begin no further item and wait for those in progress, so that no call outlives its turn."""
        for _, future in self._in_progress:
            future.cancel()
        self._pool.shutdown(wait=True)
        self._in_progress.clear()

    def _fill(self) -> None:
        while len(self._in_progress) < self._width and not self._closing() and not self._failed():
            for item in self._items:
                context = copy_context()
                self._in_progress.append((item, self._pool.submit(context.run, self._work, item)))
                break
            else:
                return

    def _failed(self) -> bool:
        return any(future.done() and future.exception() is not None for _, future in self._in_progress)
