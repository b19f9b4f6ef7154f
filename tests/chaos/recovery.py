"""How soon work goes on after a disturbance, read from what the workers logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

#: The last line of a turn.
ENDS = ("waiting", "retrying", "completed", "failed", "cancelled")
#: A wait of more seconds that is no look at a vendor's job: an effect that may still come is waited for.
ON_PURPOSE = 1.0


@dataclass
class Recovery:
    """What a log shows.

    Attributes:
        late: of each job and each moment, how many seconds its next turn ended too late: after the moment, or after
            the turn's own time, if that came later.
        in_doubt: jobs that waited on purpose for an effect that may have been under way.
    """

    late: list[float] = field(default_factory=list)
    in_doubt: int = 0


def recovery(
    lines: Iterable[dict[str, Any]], moments: Iterable[float], sent: Mapping[str, float]
) -> Recovery:
    """Look at the turns after each moment, in epoch seconds, at which work could go on.

    Args:
        lines: all that was logged.
        moments: at which it could.
        sent: when the command of each job reached RabbitMQ, likewise.
    """
    turns: dict[str, list[tuple[float, float]]] = {job: [(0.0, at)] for job, at in sent.items()}
    doubted = set()
    for line in lines:
        if _ends(line) and line["job_id"] in turns:
            at = _at(line)
            turns[line["job_id"]].append((at, at + line.get("seconds", 0.0)))
            if line["event"] == "waiting" and line["step"] is None and line["seconds"] > ON_PURPOSE:
                doubted.add(line["job_id"])
    late = []
    for ends in turns.values():
        ends.sort()
        for moment in moments:
            for (_, due), (at, _) in pairwise(ends):
                if at >= moment:
                    late.append(at - max(moment, due))
                    break
    return Recovery(late, len(doubted))


def _ends(line: dict[str, Any]) -> bool:
    return line.get("event") in ENDS and "turn" in line and "job_id" in line


def _at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()
