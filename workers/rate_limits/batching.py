"""How the threads of a process have their calls counted: those asked for at one time together, and some ahead.

Counting is a transaction, and takes as long as a fast vendor's answer. Where calls come much faster than that, fewer
transactions than calls are needed.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

#: A call that is counted ahead is made within so many seconds, or never.
PREFETCH_TTL_SECONDS = 0.05
#: Of as many calls as were last asked for in that time, one of so many is counted ahead: hardly any is for nothing.
PREFETCH_RATIO = 3


class BatchedLimiter:
    """Calls of one class, counted for all threads of a process.

    Args:
        count: counts calls, as many as fit, at most so many: gives how many those are, and the seconds until one
            more fits. May raise.
        spare: calls that may be counted ahead, and be for nothing.
    """

    def __init__(self, count: Callable[[int], tuple[int, float]], spare: int) -> None:
        self._count = count
        self._spare = spare
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._asking: list[Future[float]] = []
        self._asked: deque[float] = deque(maxlen=max(spare, 1) * PREFETCH_RATIO)
        self._ahead = 0
        self._good_until = 0.0

    def take(self) -> float:
        """Take one call: 0 if it may be made now, else the seconds until one may. Raises as `count`."""
        mine: Future[float] = Future()
        with self._lock:
            now = time.monotonic()
            self._asked.append(now)
            if self._ahead and now < self._good_until:
                self._ahead -= 1
                return 0.0
            self._asking.append(mine)
        with self._counting:
            if not mine.done():  # by the thread that counted before
                self._count_all()
        return mine.result()

    def _count_all(self) -> None:
        now = time.monotonic()
        with self._lock:
            asking, self._asking = self._asking, []
            pace = sum(at > now - PREFETCH_TTL_SECONDS for at in self._asked)
            ahead = min(pace // PREFETCH_RATIO, self._spare)
        try:
            fitting, wait = self._count(len(asking) + ahead)
        except BaseException as error:
            for each in asking:
                each.set_exception(error)
            raise
        for number, each in enumerate(asking):
            each.set_result(0.0 if number < fitting else wait)
        with self._lock:
            self._ahead, self._good_until = max(fitting - len(asking), 0), now + PREFETCH_TTL_SECONDS
