"""Which looks at vendors are handed out, when more are due than their budgets allow.

Jobs that wait share their vendor's calls. The looks that go first are those of the jobs that are expected to have
sat finished for longest; a part of every budget is left to starts, uploads and downloads, which always go.

While more are due than are allowed, they are spread evenly over the window. A call that is used comes back a window
later, so calls that are made together stay together: without that there would soon be bursts, and long pauses in which
the latest look cannot be made either.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, case, func, select

from workers.budget import RESERVE, SPREAD, budget_name
from workers.ledger.ledger import Ledger
from workers.ledger.records import DueTurn
from workers.ledger.schema import vendor_call, vendor_pause
from workers.settings import Rate

#: A part of a window has its share of the looks: a tenth, and not less than some seconds, which are some ticks.
PART, SHORTEST_PART = 0.1, 2.0
#: A part's looks may come a little sooner than they should, since the dispatcher comes a little later than it could.
EARLY = 0.9


class Ration:
    """Chooses among due turns.

    Args:
        ledger: the record, in which calls are counted too.
        rates: of each vendor and class of operations that has one.
    """

    def __init__(self, ledger: Ledger, rates: Mapping[tuple[str, str], Rate]) -> None:
        self._ledger = ledger
        self._rates = {budget_name(*key): (key, rate) for key, rate in rates.items()}

    def choose(self, connection: Connection, due: Sequence[DueTurn], limit: int) -> list[DueTurn]:
        """The turns to hand out now.

        Args:
            connection: to the ledger, in a transaction.
            due: the first turns that are due.
            limit: how many of each kind to hand out at most.
        """
        if all(turn.budget not in self._rates for turn in due):
            return list(due)
        budgets = list(self._rates)
        chosen = self._ledger.due_beside(connection, budgets, limit)
        out = self._ledger.looks_out(connection, budgets)
        for budget in budgets:
            left, evenly = (min(n - out.get(budget, 0), limit) for n in self._left(connection, budget))
            if left > 0:
                looks = self._ledger.due_looks(connection, budget, left + 1)
                chosen += looks if len(looks) <= left else looks[: max(min(left, evenly), 0)]
        return chosen

    def _left(self, connection: Connection, budget: str) -> tuple[int, int]:
        """How many looks the budget allows just now, without its reserve: at most, and if they are spread evenly."""
        (vendor, kind), rate = self._rates[budget]
        now = self._ledger.now()
        paused = select(vendor_pause.c.until).where(
            vendor_pause.c.vendor == vendor, vendor_pause.c.kind == kind, vendor_pause.c.until > now
        )
        if connection.scalar(paused) is not None:
            return 0, 0
        part = max(rate.seconds * PART, SHORTEST_PART)
        lately = case((vendor_call.c.at > now - part * EARLY, 1), else_=0)
        made = (
            select(func.count(), func.coalesce(func.sum(lately), 0))
            .where(vendor_call.c.vendor == vendor, vendor_call.c.kind == kind)
            .where(vendor_call.c.at > now - rate.seconds - SPREAD)
        )
        in_all, of_late = connection.execute(made).one()
        most = max(int(rate.calls * (1 - RESERVE)), 1)
        return most - int(in_all), math.ceil(most * part / rate.seconds) - int(of_late)
