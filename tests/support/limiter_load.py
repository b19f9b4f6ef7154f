"""Processes and threads that make calls as fast as their budget lets them."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from workers.ledger.database import Database
from workers.rate_limits.limiter import SharedRateLimiter
from workers.settings import Rate

#: When a call was asked for and when it was allowed, by a clock that all processes share.
Span = tuple[float, float]


def make_calls(rate_limiter: Callable[[str], float], calls: int) -> list[Span]:
    """Make so many calls, waiting as the budget says."""
    spans: list[Span] = []
    while len(spans) < calls:
        requested_at = time.monotonic()
        wait = rate_limiter("standard")
        if wait:
            time.sleep(wait)
        else:
            spans.append((requested_at, time.monotonic()))
    return spans


def call_from_process(url: str, rate: Rate, calls: int) -> list[Span]:
    """What one worker process does, with two threads."""
    database = Database(url)
    try:
        rate_limiter = SharedRateLimiter(database, "sayari", {"standard": rate})
        with ThreadPoolExecutor(2) as threads:
            results = threads.map(lambda n: make_calls(rate_limiter, n), (calls // 2, calls - calls // 2))
            return [span for half in results for span in half]
    finally:
        database.close()


def call_from_processes(processes: int, url: str, rate: Rate, calls: int) -> list[Span]:
    """The calls of so many processes, `calls` each."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = [pool.submit(call_from_process, url, rate, calls) for _ in range(processes)]
        return [span for future in futures for span in future.result(timeout=60)]


def overfull(spans: list[Span], rate: Rate) -> list[Span]:
    """The first calls that are certainly too many for one window, or none.

    A call was counted somewhere within its span. Too many of them lie in one window for certain if even the
    whole of their spans does.
    """
    ordered = sorted(spans, key=lambda span: span[1])
    for first in range(len(ordered) - rate.calls):
        group = ordered[first : first + rate.calls + 1]
        if group[-1][1] - min(requested_at for requested_at, _ in group) < rate.seconds:
            return group
    return []
