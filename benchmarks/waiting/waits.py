"""Waiting jobs put straight into a ledger, and the lateness of their turns."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import func, insert, select, text

from messages.events import Status
from workers.ledger.ledger import Ledger
from workers.ledger.schema import job

#: Rows per insert.
INSERT_ROWS = 5_000
#: The data of a waiting `data8.start_job`.
DATA = (
    '{"workflow":"CompanyCleanse","inputs":{"Companies":{"file":"/data/in/companies.csv"}},"parameters":{}}'
)
#: How long due turns may take to end.
TURNS_TIMEOUT_SECONDS = 120.0


def wait(ledger: Ledger, name: str, due: Sequence[float], *, end: bool = False) -> None:
    """Add jobs `<name>-0`, `<name>-1`, … whose next turns are due at these times (epoch seconds).

    Args:
        ledger: to add them to.
        name: the first part of their ids.
        due: one time for each.
        end: whether the turn ends the job without a vendor call, because it has been cancelled.
    """
    now = ledger.database.now()
    rows = [
        {
            "id": f"{name}-{number}", "command": "data8.start_job", "queue": "kyb.data8", "vendor": "data8",
            "source": "/benchmarks", "correlation_id": f"{name}-{number}", "data": DATA, "fingerprint": "",
            "status": Status.RUNNING.value, "turn": 5, "sequence": 1, "due_at": at,
            "deadline_at": at + 86_400, "accepted_at": now, "updated_at": now, "cancel_requested": end,
            "rate_limit": "data8 standard", "delay_since": at, "delay_base": 10.0, "delay_rate": 0.5, "delay_accel": 0.0,
        }
        for number, at in enumerate(due)
    ]  # fmt: skip
    for first in range(0, len(rows), INSERT_ROWS):
        with ledger.database.write() as connection:
            connection.execute(insert(job), rows[first : first + INSERT_ROWS])


def analyze(ledger: Ledger) -> None:
    """Update the planner's statistics, as the server does after a while."""
    with ledger.database.write() as connection:
        connection.execute(text("ANALYZE"))


def lateness(ledger: Ledger, name: str, due: Sequence[float]) -> list[float]:
    """Wait for the last turns of all jobs; return the seconds from each due time to the end of the turn, in order."""
    ends = time.monotonic() + TURNS_TIMEOUT_SECONDS
    mine = job.c.id.like(f"{name}-%")
    while True:
        with ledger.database.read() as connection:
            remaining = connection.scalar(select(func.count()).where(mine, job.c.ended_at.is_(None)))
        if not remaining:
            break
        if time.monotonic() > ends:
            raise TimeoutError(f"{remaining} of {len(due)} turns have not ended")
        time.sleep(0.05)
    with ledger.database.read() as connection:
        ended = {
            row.id: row.ended_at for row in connection.execute(select(job.c.id, job.c.ended_at).where(mine))
        }
    return [ended[f"{name}-{number}"] - at for number, at in enumerate(due)]
