"""Where we lead and where we do not: the figures of all trials side by side, so that no sentence has to be believed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from benchmarks.peers.contenders import Contender
from benchmarks.peers.report import cpu_of_all, cpu_of_workers, median
from benchmarks.peers.rounds import NEVER, NEVER_AFTER, Crash, Speed, Waiting

T = TypeVar("T")


def standing(
    speeds: Mapping[Contender, Sequence[Speed]],
    crashes: Mapping[Contender, Crash],
    waits: Mapping[Contender, Waiting],
) -> str:
    """A row for each measure: ours, the best of the others with whose it is, and which of both is better."""
    lines = [
        "| less is better | kyb-workers | best of the others | | we lead |",
        "| --- | --: | --: | --- | --- |",
    ]
    lines += [
        _row("processor time of the workers, ms per job", speeds, lambda r: median(r, cpu_of_workers)),
        _row("processor time of workers, RabbitMQ and PostgreSQL, ms per job", speeds, lambda r: median(r, cpu_of_all)),
        _row("memory of two worker processes, MB", speeds, lambda r: median(r, lambda one: one.memory)),
        _row("looks at the vendor per job", speeds, lambda r: median(r, lambda one: statistics.fmean(one.looks))),
        _row("found late, mean s", speeds, lambda r: statistics.fmean(d for one in r for d in one.delays)),
        _row("lost or started twice after kill -9", crashes, lambda c: c.lost + c.doubled),
        _row("the same, ids as names", crashes, lambda c: c.plain_lost + c.plain_doubled),
        _row("memory grown for 1,000 waiting jobs, workers and servers, MB", waits, _grown),
        _row("with them, a look comes late by, median s", waits, lambda w: max(statistics.median(w.late), 0.0)),
        _row("after kill -9 and start, s", waits, lambda w: max(w.restart, 0.0)),
    ]  # fmt: skip
    return "\n".join(lines)


def _row(label: str, found: Mapping[Contender, T], of: Callable[[T], float]) -> str:
    ours = next(of(each) for one, each in found.items() if one.key == "ours")
    others = {one: of(each) for one, each in found.items() if not one.ours}
    best = min(others, key=lambda one: others[one])
    figures = [_figure(ours), _figure(others[best])]
    lead = "yes" if ours < others[best] and figures[0] != figures[1] else "no"
    alike = [one.title for one in others if _figure(others[one]) == figures[1]]
    return f"| {label} | {figures[0]} | {figures[1]} | {', '.join(alike)} | {'equal' if figures[0] == figures[1] else lead} |"


def _grown(one: Waiting) -> float:
    return max(one.workers + one.broker + one.database, 0.0) / one.jobs * 1000


def _figure(value: float) -> str:
    if value == NEVER:
        return f"not within {NEVER_AFTER:.0f}"
    return (
        f"{value:.0f}"
        if value >= 100 or value == int(value)
        else f"{value:.1f}"
        if value >= 10
        else f"{value:.2f}"
    )
