"""Durations of earlier jobs of every step, as this process last read them from the ledger."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from messages.portfolio import STAGES, ProcessPortfolio
from workers.ledger.claim import Claim
from workers.ledger.duration_samples import read_duration_samples
from workers.polling.history import HISTORY_JOBS, History

#: How long a history is used before it is read again.
HISTORY_TTL_SECONDS = 60.0


class HistoryCache:
    """Histories by command and step, shared by all threads of a process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[tuple[str, str], tuple[float, History]] = {}

    def of(self, claim: Claim, name: str) -> History:
        """Return the history of the step `name` of the claim's job. Raises `LedgerUnavailable`."""
        # Of numbered steps, every job has the first one.
        first = re.sub(r"\d+$", "1", name)
        places = comparable_steps(claim.job.command, first)
        key = places[0]
        now = self._monotonic()
        read_at, history = self._known.get(key, (-HISTORY_TTL_SECONDS, None))
        if history is None or now - read_at >= HISTORY_TTL_SECONDS:
            if history is not None:
                self._known[key] = (now, history)  # other threads use it while this one reads
            history = History(read_duration_samples(claim.connection, places, HISTORY_JOBS))
            self._known[key] = (now, history)
        return history


def comparable_steps(command: str, step: str) -> list[tuple[str, str]]:
    """Return the steps whose durations are comparable, as (command, step).

    A stage of `portfolio.process` does the work of another command: each learns from the other.
    """
    whole = ProcessPortfolio.type_
    if command == whole:
        stage, _, name = step.partition(": ")
        command, step = STAGES.get(stage, whole), name
    stages = [stage for stage, own in STAGES.items() if own == command]
    return [(command, step), *((whole, f"{stage}: {step}") for stage in stages)]
