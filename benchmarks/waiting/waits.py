"""Jobs that wait, put straight into a ledger, and when their turns came."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import func, insert, select, text

from messages.events import Status
from workers.ledger.ledger import Ledger
from workers.ledger.schema import event, job

#: Rows of one insert.
ROWS = 5_000
#: What a waiting job of `data8.start_job` holds in data.
DATA = (
    '{"workflow":"CompanyCleanse","inputs":{"Companies":{"file":"/data/in/companies.csv"}},"parameters":{}}'
)
#: Seconds until all turns that are due must have come.
PATIENCE = 120.0


def wait(ledger: Ledger, name: str, due: Sequence[float], *, end: bool = False) -> None:
    """Add jobs `<name>-0`, `<name>-1`, … whose next turns are due at these times (epoch seconds).

    Args:
        ledger: to add them to.
        name: of all.
        due: one time for each.
        end: whether the turn ends the job without asking a vendor: it has been cancelled meanwhile.
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
    for first in range(0, len(rows), ROWS):
        with ledger.database.write() as connection:
            connection.execute(insert(job), rows[first : first + ROWS])


def analyze(ledger: Ledger) -> None:
    """Tell the planner what there is, as the server does by itself after a while."""
    with ledger.database.write() as connection:
        connection.execute(text("ANALYZE"))


def lateness(ledger: Ledger, name: str, due: Sequence[float]) -> list[float]:
    """Seconds from each due time to the end of the turn, the jobs' last, in order; waits until all have come."""
    ends = time.monotonic() + PATIENCE
    mine = job.c.id.like(f"{name}-%")
    while True:
        with ledger.database.read() as connection:
            left = connection.scalar(select(func.count()).where(mine, job.c.ended_at.is_(None)))
        if not left:
            break
        if time.monotonic() > ends:
            raise TimeoutError(f"{left} of {len(due)} turns have not come")
        time.sleep(0.05)
    with ledger.database.read() as connection:
        ended = {
            row.id: row.ended_at for row in connection.execute(select(job.c.id, job.c.ended_at).where(mine))
        }
    return [ended[f"{name}-{number}"] - at for number, at in enumerate(due)]


def told(ledger: Ledger) -> bool:
    """Whether the outbox is empty."""
    with ledger.database.read() as connection:
        return not connection.scalar(
            select(func.count()).select_from(event).where(event.c.published_at.is_(None))
        )
