"""Several calls at once whose results come in order: how a transfer is fast without losing its place.

    items ──▶ │ 7 │ 6 │ 5 │ 4 │ ──▶ (3, result), to be written and checkpointed
              └ at work at once ┘

What is at work lies behind the last checkpoint: an error or a cancellation repeats at most one window, a crash that and
what came since the checkpoint.
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
    """The items that are at work, the first of them first.

    Args:
        work: one call for one item, made in a thread of a pool with the context variables of whoever iterates.
            It must bear being repeated and overtaken by the calls for later items.
        items: taken one by one, in the iterating thread, no sooner than there is room.
        width: items at work at once. One more may be with whoever iterates; no others are alive.
        closing: nothing new is begun from when this is true; what is at work still comes.
        pool: where to work; one of its own, of as many threads, by default.
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
        self._pool = pool or ThreadPoolExecutor(width, thread_name_prefix="window")
        self._at_work: deque[tuple[T, Future[R]]] = deque()

    def __len__(self) -> int:
        """How many items are at work."""
        return len(self._at_work)

    def __iter__(self) -> Iterator[tuple[T, R]]:
        """Every item with its result, in the items' order.

        An error of `work` is raised in its item's place, once everything before it was given; with the first error
        known, nothing new is begun. Ends early, and quietly, when `closing`: whoever says so knows that.
        """
        try:
            self._fill()
            while self._at_work:
                item, future = self._at_work[0]
                result = future.result()
                self._at_work.popleft()
                self._fill()
                yield item, result
        finally:
            self.close()

    def close(self) -> None:
        """Begin nothing more and wait for what is at work: no call outlives the turn that made it."""
        for _, future in self._at_work:
            future.cancel()
        self._pool.shutdown(wait=True)
        self._at_work.clear()

    def _fill(self) -> None:
        while len(self._at_work) < self._width and not self._closing() and not self._failed():
            for item in self._items:
                context = copy_context()
                self._at_work.append((item, self._pool.submit(context.run, self._work, item)))
                break
            else:
                return

    def _failed(self) -> bool:
        return any(future.done() and future.exception() is not None for _, future in self._at_work)
