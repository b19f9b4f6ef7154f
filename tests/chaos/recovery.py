"""How soon work continues after a disturbance, by the workers' logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

#: The last line of a turn.
ENDS = ("waiting", "retrying", "completed", "failed", "cancelled")
#: A longer wait outside polling is for an effect that may still happen.
SETTLE_WAIT_SECONDS = 1.0


@dataclass
class Recovery:
    """Delays of jobs after a disturbance.

    Attributes:
        late: for each job and moment, the seconds by which its next turn ended too late: after the moment, or after
            the turn's due time if that was later.
        in_doubt: number of jobs that waited for an effect which might still have been under way.
    """

    late: list[float] = field(default_factory=list)
    in_doubt: int = 0


def recovery(
    lines: Iterable[dict[str, Any]], moments: Iterable[float], sent: Mapping[str, float]
) -> Recovery:
    """Measure the delay of the first turn of each job after each moment.

    Args:
        lines: of the log.
        moments: at which work could continue, in epoch seconds.
        sent: when the command of each job reached RabbitMQ, in epoch seconds.
    """
    turns: dict[str, list[tuple[float, float]]] = {job: [(0.0, at)] for job, at in sent.items()}
    doubted = set()
    for line in lines:
        if _ends(line) and line["job_id"] in turns:
            at = _at(line)
            turns[line["job_id"]].append((at, at + line.get("seconds", 0.0)))
            if line["event"] == "waiting" and line["step"] is None and line["seconds"] > SETTLE_WAIT_SECONDS:
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
