"""A cache of the durations of vendor jobs, which the ledger records for each command and step."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from messages.portfolio import STAGES, ProcessPortfolio
from workers.ledger.claim import Claim
from workers.ledger.duration_samples import read_duration_samples
from workers.polling.history import HISTORY_JOBS, History

#: A history that is older is read from the ledger again.
HISTORY_TTL_SECONDS = 60.0


class HistoryCache:
    """Histories by command and step, shared by all threads of a process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: dict[tuple[str, str], tuple[float, History]] = {}

    def get(self, claim: Claim, name: str) -> History:
        """Return the history of the step `name` of the claim's job. Raises `LedgerUnavailable`."""
        # Where a job numbers similar steps, every job has at least the first of them.
        first = re.sub(r"\d+$", "1", name)
        steps = comparable_steps(claim.job.command, first)
        key = steps[0]
        now = self._monotonic()
        read_at, history = self._known.get(key, (-HISTORY_TTL_SECONDS, None))
        if history is None or now - read_at >= HISTORY_TTL_SECONDS:
            if history is not None:
                self._known[key] = (now, history)  # for the other threads while this one reads
            history = History(read_duration_samples(claim.connection, steps, HISTORY_JOBS))
            self._known[key] = (now, history)
        return history


def comparable_steps(command: str, step: str) -> list[tuple[str, str]]:
    """Return the steps whose durations are comparable, as (command, step), the given one first.

    A stage of `portfolio.process` runs the job function of another command: their durations are comparable.
    """
    whole = ProcessPortfolio.type_
    if command == whole:
        stage, _, name = step.partition(": ")
        command, step = STAGES.get(stage, whole), name
    stages = [stage for stage, own in STAGES.items() if own == command]
    return [(command, step), *((whole, f"{stage}: {step}") for stage in stages)]
