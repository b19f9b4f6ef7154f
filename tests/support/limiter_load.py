"""Processes and threads that make calls as fast as their rate limit allows."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from workers.ledger.database import Database
from workers.rate_limits.limiter import SharedRateLimiter
from workers.settings import Rate

#: When a call was requested and when it was allowed, by a clock that all processes share.
Span = tuple[float, float]


def make_calls(rate_limiter: Callable[[str], float], calls: int) -> list[Span]:
    """Make `calls` calls, waiting as long as the rate limiter asks."""
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
    """Make calls from one process with two threads, as a worker does."""
    database = Database(url)
    try:
        rate_limiter = SharedRateLimiter(database, "sayari", {"standard": rate})
        with ThreadPoolExecutor(2) as threads:
            results = threads.map(lambda n: make_calls(rate_limiter, n), (calls // 2, calls - calls // 2))
            return [span for half in results for span in half]
    finally:
        database.close()


def call_from_processes(processes: int, url: str, rate: Rate, calls: int) -> list[Span]:
    """Make `calls` calls from each of several processes; return all spans."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = [pool.submit(call_from_process, url, rate, calls) for _ in range(processes)]
        return [span for future in futures for span in future.result(timeout=60)]


def overfull(spans: list[Span], rate: Rate) -> list[Span]:
    """Return the first calls that certainly exceed the limit within one window, or none.

    The limiter counted each call somewhere within its span. Calls exceed the limit for certain if the whole of
    their spans fits into one window.
    """
    ordered = sorted(spans, key=lambda span: span[1])
    for first in range(len(ordered) - rate.calls):
        group = ordered[first : first + rate.calls + 1]
        if group[-1][1] - min(requested_at for requested_at, _ in group) < rate.seconds:
            return group
    return []
