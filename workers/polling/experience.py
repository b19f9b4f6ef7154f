"""Past waits of every command's steps, as this process last read them in the ledger."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from workers.ledger.claim import Claim
from workers.polling.history import WINDOW, History

#: Histories are read anew after so many seconds.
KEPT = 60.0


class Experience:
    """Histories by command and step; to be shared by all threads of a process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[tuple[str, str], tuple[float, History]] = {}

    def of(self, claim: Claim, name: str) -> History:
        """What earlier jobs tell of the step `name` of the claim's job. Raises `LedgerUnavailable`."""
        # of steps that a job has several of, numbered, the first is the one that every job has
        first = re.sub(r"\d+$", "1", name)
        key = (claim.job.command, first)
        now = self._monotonic()
        read_at, history = self._known.get(key, (-KEPT, None))
        if history is None or now - read_at >= KEPT:
            history = History(claim.past_waits(first, WINDOW))
            self._known[key] = (now, history)
        return history
