"""How soon work goes on after a disturbance, read from what the workers logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: The last line of a turn.
ENDS = ("waiting", "retrying", "completed", "failed", "cancelled")
#: A wait of more seconds that is no look at a vendor's job: an effect that may still come is waited for.
ON_PURPOSE = 1.0


@dataclass
class Recovery:
    """What a log shows.

    Attributes:
        late: of each job, how many seconds its first turn after the disturbance ended too late: after the end of the
            disturbance, or after the turn's own time, if that came later.
        first: seconds from the end of the disturbance to the end of the first turn of all.
        in_doubt: jobs that waited on purpose for an effect that may have been under way.
    """

    late: list[float] = field(default_factory=list)
    first: float | None = None
    in_doubt: int = 0


def recovery(lines: Iterable[dict[str, Any]], over: float, sent: Mapping[str, float]) -> Recovery:
    """Look at the turns after `over`.

    Args:
        lines: all that was logged.
        over: when the disturbance ended, in epoch seconds.
        sent: when the command of each job reached RabbitMQ, likewise.
    """
    found = Recovery()
    due, seen, doubted = dict(sent), set(), set()
    for at, line in sorted(((_at(line), line) for line in lines if _ends(line)), key=lambda each: each[0]):
        job = line["job_id"]
        if at >= over and job not in seen and job in due:
            seen.add(job)
            found.late.append(at - max(over, due[job]))
            found.first = at - over if found.first is None else found.first
        if line["event"] == "waiting" and line["step"] is None and line["seconds"] > ON_PURPOSE:
            doubted.add(job)
        due[job] = at + line.get("seconds", 0.0)
    found.in_doubt = len(doubted)
    return found


def _ends(line: dict[str, Any]) -> bool:
    return line.get("event") in ENDS and "turn" in line and "job_id" in line


def _at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()
