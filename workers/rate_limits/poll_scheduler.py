"""Which looks at vendors are handed out, when more are due than their budgets allow.

Jobs that wait share their vendor's calls. The looks that go first are those of the jobs that are expected to have
sat finished for longest; a part of every budget is left to starts, uploads and downloads, which always go.
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
    """Chooses among due turns.

    Args:
        queue: the due turns.
        rates: of each vendor and class of operations that has one.
    """

    def __init__(self, queue: DispatchQueue, rates: Mapping[tuple[str, str], Rate]) -> None:
        self._queue = queue
        self._rates = {rate_limit_key(*key): (key, rate) for key, rate in rates.items()}

    def choose(self, connection: Connection, due: Sequence[DueTurn], limit: int) -> list[DueTurn]:
        """The turns to hand out now.

        Args:
            connection: to the ledger, in a transaction.
            due: the first turns that are due.
            limit: how many of each kind to hand out at most.
        """
        if all(turn.rate_limit not in self._rates for turn in due):
            return list(due)
        budgets = list(self._rates)
        chosen = self._queue.due_except_polls(connection, budgets, limit)
        out = self._queue.polls_in_flight(
            connection, budgets
        )  # those that have begun are counted among the calls
        for budget in budgets:
            left = min(self._left(connection, budget) - out.get(budget, 0), limit)
            if left > 0:
                chosen += self._queue.due_polls(connection, budget, left)
        return chosen

    def _left(self, connection: Connection, budget: str) -> int:
        """How many looks the budget allows just now, without its reserve."""
        (vendor, kind), rate = self._rates[budget]
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
