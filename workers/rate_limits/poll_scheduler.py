"""Which polls are dispatched, when more are due than the vendors' rate limits allow.

Waiting jobs share their vendor's calls. Polls of the jobs that are expected to have been finished unnoticed for longest
go first. A share of every rate limit is reserved for starts, uploads and downloads, which always go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select

from workers.ledger.dispatch_queue import DispatchQueue
from workers.ledger.records import DueTurn
from workers.ledger.schema import vendor_call, vendor_pause
from workers.rate_limits.limiter import RESERVED_SHARE, WINDOW_SLACK_SECONDS, rate_limit_key
from workers.settings import Rate


class PollScheduler:
    """Selects among due turns.

    Args:
        queue: the due turns.
        rates: the rate limit of each vendor and class of operations that has one.
    """

    def __init__(self, queue: DispatchQueue, rates: Mapping[tuple[str, str], Rate]) -> None:
        self._queue = queue
        self._rates = {rate_limit_key(*key): (key, rate) for key, rate in rates.items()}

    def select(self, connection: Connection, due: Sequence[DueTurn], limit: int) -> list[DueTurn]:
        """Return the turns to dispatch now.

        Args:
            connection: to the ledger, in a transaction.
            due: the first due turns.
            limit: largest number of each kind to dispatch.
        """
        if all(turn.rate_limit not in self._rates for turn in due):
            return list(due)
        rate_limits = list(self._rates)
        selected = self._queue.due_except_polls(connection, rate_limits, limit)
        # Polls that have begun are counted as calls.
        in_flight = self._queue.polls_in_flight(connection, rate_limits)
        for rate_limit in rate_limits:
            allowed = min(self._polls_allowed(connection, rate_limit) - in_flight.get(rate_limit, 0), limit)
            if allowed > 0:
                selected += self._queue.due_polls(connection, rate_limit, allowed)
        return selected

    def _polls_allowed(self, connection: Connection, rate_limit: str) -> int:
        """Return how many polls the rate limit allows now, without the reserved share."""
        (vendor, kind), rate = self._rates[rate_limit]
        now = self._queue.database.now()
        paused = select(vendor_pause.c.until).where(
            vendor_pause.c.vendor == vendor, vendor_pause.c.kind == kind, vendor_pause.c.until > now
        )
        if connection.scalar(paused) is not None:
            return 0
        made = (
            select(func.count())
            .select_from(vendor_call)
            .where(vendor_call.c.vendor == vendor, vendor_call.c.kind == kind)
            .where(vendor_call.c.at > now - rate.seconds - WINDOW_SLACK_SECONDS)
        )
        return max(int(rate.calls * (1 - RESERVED_SHARE)), 1) - int(connection.scalar(made) or 0)
