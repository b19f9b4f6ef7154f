"""The figures of all trials side by side: where kyb-workers leads, and where it does not."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from benchmarks.peers.contenders import Contender
from benchmarks.peers.report import cpu_of_all, cpu_of_workers, median
from benchmarks.peers.rounds import LATENESS_LIMIT_SECONDS, NEVER, Crash, Speed, Waiting

T = TypeVar("T")


def summary(
    speeds: Mapping[Contender, Sequence[Speed]],
    crashes: Mapping[Contender, Crash],
    waits: Mapping[Contender, Waiting],
) -> str:
    """Return a table with a row per measure: ours, the best of the others, whose it is, and who leads."""
    lines = [
        "| lower is better | kyb-workers | best of the others | | kyb-workers leads |",
        "| --- | --: | --: | --- | --- |",
    ]
    lines += [
        _row("CPU time of the workers, ms per job", speeds, lambda r: median(r, cpu_of_workers)),
        _row("CPU time of workers, RabbitMQ and PostgreSQL, ms per job", speeds, lambda r: median(r, cpu_of_all)),
        _row("memory of two worker processes, MB", speeds, lambda r: median(r, lambda one: one.memory)),
        _row("polls per job", speeds, lambda r: median(r, lambda one: statistics.fmean(one.polls))),
        _row("detection delay, mean s", speeds, lambda r: statistics.fmean(d for one in r for d in one.delays)),
        _row("lost or started twice after kill -9", crashes, lambda c: c.lost + c.doubled),
        _row("the same, ids as names", crashes, lambda c: c.plain_lost + c.plain_doubled),
        _row("memory growth per 1,000 waiting jobs, workers and servers, MB", waits, _growth),
        _row("lateness of a poll among them, median s", waits, lambda w: max(statistics.median(w.lateness), 0.0)),
        _row("the same after kill -9 and restart, s", waits, lambda w: max(w.restart, 0.0)),
    ]  # fmt: skip
    return "\n".join(lines)


def _row(label: str, results: Mapping[Contender, T], measure: Callable[[T], float]) -> str:
    ours = next(measure(each) for one, each in results.items() if one.key == "ours")
    others = {one: measure(each) for one, each in results.items() if not one.ours}
    best = min(others, key=lambda one: others[one])
    figures = [_figure(ours), _figure(others[best])]
    lead = "yes" if ours < others[best] and figures[0] != figures[1] else "no"
    equal = [one.title for one in others if _figure(others[one]) == figures[1]]
    return f"| {label} | {figures[0]} | {figures[1]} | {', '.join(equal)} | {'equal' if figures[0] == figures[1] else lead} |"


def _growth(one: Waiting) -> float:
    return max(one.workers + one.broker + one.database, 0.0) / one.jobs * 1000


def _figure(value: float) -> str:
    if value == NEVER:
        return f"not within {LATENESS_LIMIT_SECONDS:.0f}"
    return (
        f"{value:.0f}"
        if value >= 100 or value == int(value)
        else f"{value:.1f}"
        if value >= 10
        else f"{value:.2f}"
    )
