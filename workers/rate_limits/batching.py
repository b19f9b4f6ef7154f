"""Permits for all threads of a process: those requested at one time are acquired together, and some ahead of use.

Counting is a transaction, and takes as long as a fast vendor's answer. Where calls are much more frequent than that,
fewer transactions than calls suffice.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

#: A permit that is acquired ahead of use is used within this time, or never.
PREFETCH_TTL_SECONDS = 0.05
#: At most one permit for every this many requested in the last `PREFETCH_TTL_SECONDS` is acquired ahead, so that few expire
#: unused.
PREFETCH_RATIO = 3


class BatchedLimiter:
    """A rate limiter for one class of operations that counts for all threads of a process together.

    Args:
        count: counts at most as many calls as its argument, as many as fit; returns their number and the seconds until
            one more fits. It may raise.
        spare: permits that may be acquired ahead of use, and may expire unused.
    """

    def __init__(self, count: Callable[[int], tuple[int, float]], spare: int) -> None:
        self._count = count
        self._spare = spare
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._requests: list[Future[float]] = []
        self._requested_at: deque[float] = deque(maxlen=max(spare, 1) * PREFETCH_RATIO)
        self._ahead = 0
        self._good_until = 0.0

    def take(self) -> float:
        """Acquire a permit: return 0, or the seconds until there may be one. Raises as `count` does."""
        request: Future[float] = Future()
        with self._lock:
            now = time.monotonic()
            self._requested_at.append(now)
            if self._ahead and now < self._good_until:
                self._ahead -= 1
                return 0.0
            self._requests.append(request)
        with self._counting:
            if not request.done():  # not done by the thread that counted before
                self._count_all()
        return request.result()

    def _count_all(self) -> None:
        now = time.monotonic()
        with self._lock:
            requests, self._requests = self._requests, []
            pace = sum(at > now - PREFETCH_TTL_SECONDS for at in self._requested_at)
            ahead = min(pace // PREFETCH_RATIO, self._spare)
        try:
            fitting, wait = self._count(len(requests) + ahead)
        except BaseException as error:
            for each in requests:
                each.set_exception(error)
            raise
        for number, each in enumerate(requests):
            each.set_result(0.0 if number < fitting else wait)
        with self._lock:
            self._ahead, self._good_until = max(fitting - len(requests), 0), now + PREFETCH_TTL_SECONDS
