"""Rate limits of a vendor: at limit N calls in any window (a sliding window), by class of operations.

`SharedRateLimiter` counts for all workers of a ledger, in the ledger's own database; `LocalRateLimiter` counts for one
process without a ledger. Neither waits: they return how long to wait, and the job waits in the ledger.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

import structlog
from sqlalchemy import Connection, bindparam, delete, func, insert, select, text, update

from workers.ledger.database import Database, LedgerUnavailable
from workers.ledger.schema import vendor_call, vendor_pause
from workers.rate_limits.batching import PREFETCH_TTL_SECONDS, BatchedLimiter
from workers.settings import Rate

# Statements of every call, built once: building one takes longer than running it.
_MINE = (vendor_call.c.vendor == bindparam("whose"), vendor_call.c.kind == bindparam("what"))
_TIMES = select(vendor_call.c.at).where(*_MINE).order_by(vendor_call.c.at.desc())
_LAST = _TIMES.limit(bindparam("limit")).offset(bindparam("offset"))
_FORGET = delete(vendor_call).where(*_MINE, vendor_call.c.at <= bindparam("past"))
_SET_BACK = update(vendor_call).where(*_MINE, vendor_call.c.at > bindparam("now")).values(at=bindparam("now"))
_COUNT = insert(vendor_call)

log = structlog.get_logger("kyb.rate_limits")

#: Windows are longer by this than the rate asks: a call reaches the vendor a little after it was counted, one sooner than
#: another.
WINDOW_SLACK_SECONDS = 0.1
#: When the ledger is unavailable, a call may be requested again after this.
LEDGER_RETRY_SECONDS = 1.0
#: PostgreSQL ends the transaction of a process that hangs while it counts, since the others wait for it.
COUNT_TIMEOUT_MILLISECONDS = 5_000
#: How long the pauses of vendors, as read from the ledger, are valid.
PAUSE_CHECK_SECONDS = 0.5
#: Largest share of a rate limit that one process may acquire ahead of use, and may waste.
PREFETCH_SHARE = 0.05
#: Share of a rate limit that polls leave to starts, uploads and downloads. Permits that become free go there first, so it
#: need not be large.
RESERVED_SHARE = 0.05


def rate_limit_key(vendor: str, kind: str) -> str:
    """Return the ledger's name of the rate limit of a class of operations."""
    return f"{vendor} {kind}"


def _prefetch_limit(rate: Rate) -> int:
    """Return the calls that one process may acquire ahead: as few as are free in that time, or many would be wasted."""
    return int(rate.calls * min(PREFETCH_SHARE, PREFETCH_TTL_SECONDS / rate.seconds))


class LocalRateLimiter:
    """A sliding-window rate limit for the calls of this process alone.

    Args:
        rates: the limit of each class of operations; a class without one is not limited.
        monotonic: seconds of a clock that is never set back.
    """

    def __init__(
        self, rates: Mapping[str, Rate | None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rates = {kind: rate for kind, rate in rates.items() if rate is not None}
        self._calls: dict[str, deque[float]] = {kind: deque() for kind in self._rates}
        self._monotonic = monotonic
        self._lock = threading.Lock()

    def __call__(self, kind: str) -> float:
        """Acquire a permit for one call of the class `kind`; return 0, or the seconds until there may be one."""
        rate = self._rates.get(kind)
        if rate is None:
            return 0.0
        window, calls = rate.seconds + WINDOW_SLACK_SECONDS, self._calls[kind]
        with self._lock:
            now = self._monotonic()
            while calls and calls[0] <= now - window:
                calls.popleft()
            if len(calls) >= rate.calls:
                return calls[0] + window - now
            calls.append(now)
            return 0.0


class SharedRateLimiter:
    """A sliding-window rate limit for the calls of all workers of a ledger.

    A call is counted when it is about to be made, or less than `batching.PREFETCH_TTL_SECONDS` before, which the
    `WINDOW_SLACK_SECONDS` cover.

    Args:
        database: the ledger's.
        vendor: the vendor's name.
        rates: the limit of each class of operations; a class without one is not limited.
    """

    def __init__(self, database: Database, vendor: str, rates: Mapping[str, Rate | None]) -> None:
        self._database = database
        self._vendor = vendor
        self._full_until: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._pauses_read_at = -PAUSE_CHECK_SECONDS
        self._counters = {
            kind: BatchedLimiter(partial(self._take, kind, rate), _prefetch_limit(rate))
            for kind, rate in rates.items()
            if rate is not None
        }

    def __call__(self, kind: str) -> float:
        """Acquire a permit for one call of the class `kind`; return 0, or the seconds until there may be one.

        Without the ledger no call can be counted, so none is allowed. That is returned as a wait: nothing was sent.
        """
        remaining = self._full_until.get(kind, 0.0) - time.monotonic()
        if remaining > 0:
            return remaining  # a full window stays full for this long, whatever other workers do
        try:
            wait = self._paused(kind)
            counter = self._counters.get(kind)
            if not wait and counter is not None:
                wait = counter.take()
        except LedgerUnavailable as error:
            log.warning("rate limiter unavailable", error=str(error))
            return LEDGER_RETRY_SECONDS
        if wait > 0:
            self._full_until[kind] = time.monotonic() + wait
        return wait

    def pause(self, kind: str, seconds: float) -> None:
        """Pause the calls of the class `kind` for all workers of the ledger, as the vendor asked."""
        try:
            with self._database.write() as connection:
                until = self._database.now() + seconds
                upsert = self._database.insert(vendor_pause).values(
                    vendor=self._vendor, kind=kind, until=until
                )
                later = vendor_pause.c.until < until
                connection.execute(
                    upsert.on_conflict_do_update(
                        index_elements=["vendor", "kind"], set_={"until": until}, where=later
                    )
                )
        except LedgerUnavailable as error:  # the other workers get the vendor's answer themselves
            log.warning("vendor pause not shared", error=str(error))
        self._pauses_read_at = -PAUSE_CHECK_SECONDS

    def _paused(self, kind: str) -> float:
        """Return the seconds for which the vendor's calls are paused, as last read from the ledger."""
        now = time.monotonic()
        if now - self._pauses_read_at >= PAUSE_CHECK_SECONDS:
            with self._database.read() as connection:
                mine = select(vendor_pause).where(vendor_pause.c.vendor == self._vendor)
                self._pauses = {row.kind: row.until for row in connection.execute(mine)}
            self._pauses_read_at = now
        until = self._pauses.get(kind)
        return max(until - self._database.now(), 0.0) if until is not None else 0.0

    def _take(self, kind: str, rate: Rate, wanted: int) -> tuple[int, float]:
        """Count as many of the `wanted` calls as fit into the window; return their number, and the seconds until one more fits."""
        window = rate.seconds + WINDOW_SLACK_SECONDS
        mine = {"whose": self._vendor, "what": kind}
        limit = min(wanted, rate.calls)
        with self._database.write() as connection:
            now = self._lock_count(connection, kind)
            # Fetch the oldest of the last `rate.calls` calls: each one outside the window frees a permit.
            last = mine | {"limit": limit, "offset": rate.calls - limit}
            times = connection.scalars(_LAST, last).all()
            first = [at for at in times if at > now - window]
            fitting = limit - len(first)
            if len(first) < len(times):  # otherwise little has left the window
                connection.execute(_FORGET, mine | {"past": now - window})
            if fitting:
                counted = {"vendor": self._vendor, "kind": kind, "at": now}
                connection.execute(_COUNT, [counted] * fitting)
            if first and first[0] > now:  # the clock was set back
                connection.execute(_SET_BACK, mine | {"now": now})
            return fitting, min(min(first, default=now) + window - now, window)

    def _lock_count(self, connection: Connection, kind: str) -> float:
        """Lock the count until the end of the transaction; return the time, in epoch seconds."""
        if self._database.sqlite:
            return time.time()  # a writing transaction is exclusive from its beginning
        key = hashlib.blake2b(f"rate limit {self._vendor} {kind}".encode(), digest_size=8).digest()
        connection.execute(
            text(
                "SELECT set_config('idle_in_transaction_session_timeout', :longest, true), "
                "pg_advisory_xact_lock(:key)"
            ),
            {"longest": str(COUNT_TIMEOUT_MILLISECONDS), "key": int.from_bytes(key, signed=True)},
        )
        return float(connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())")) or 0)


def remaining_calls(database: Database, rates: Mapping[tuple[str, str], Rate]) -> dict[tuple[str, str], int]:
    """Return the calls that all workers together may still make now, by vendor and class of operations.

    Raises `LedgerUnavailable`. The ledger is not read if there is no limit.
    """
    if not rates:
        return {}
    at = vendor_call.c.at
    with database.read() as connection:
        now = database.now()
        made = {
            (vendor, kind): connection.scalar(
                select(func.count())
                .select_from(vendor_call)
                .where(vendor_call.c.vendor == vendor, vendor_call.c.kind == kind)
                .where(at > now - rate.seconds - WINDOW_SLACK_SECONDS)
            )
            for (vendor, kind), rate in rates.items()
        }
    return {key: max(rate.calls - (made[key] or 0), 0) for key, rate in rates.items()}
