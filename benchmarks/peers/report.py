"""Tables and a chart of the comparison."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from benchmarks.peers.contenders import Contender
from benchmarks.peers.rounds import LATENESS_LIMIT_SECONDS, NEVER, Crash, Speed, Waiting

_WORKERS, _BROKER, _DATABASE = "#2b6cb0", "#a8c5e2", "#cbd5e0"


def speeds(results: Mapping[Contender, Sequence[Speed]]) -> tuple[str, str]:
    """Return the tables and the chart of a job's cost: medians of the rounds, with minimum and maximum."""
    baseline = next(
        (median(rounds, cpu_of_workers) for one, rounds in results.items() if one.key == "baseline"), 0.0
    )
    cost = [
        "| | CPU of the workers, ms per job | ÷ baseline | RabbitMQ, ms per job | PostgreSQL, ms per job | all three | workers' memory, MB | jobs/s |",
        "| --- |" + " --: |" * 7,
    ]
    traffic = [
        "| | polls per job | detection delay: mean s | 99th percentile s | messages per job | statements per job | commits per job |",
        "| --- |" + " --: |" * 6,
    ]
    for one, rounds in results.items():
        delays = sorted(delay for each in rounds for delay in each.delays)
        ratio = f"{median(rounds, cpu_of_workers) / baseline:.1f}" if baseline else ""
        cost.append(
            f"| {one.title} | {_spread(rounds, cpu_of_workers)} | {ratio} "
            f"| {_spread(rounds, _broker)} | {_spread(rounds, _database)} | {median(rounds, cpu_of_all):.1f} "
            f"| {median(rounds, lambda r: r.memory):.0f} | {_spread(rounds, lambda r: r.jobs / r.seconds)} |"
        )
        traffic.append(
            f"| {one.title} | {median(rounds, lambda r: statistics.fmean(r.polls)):.1f} "
            f"| {statistics.fmean(delays):.2f} | {delays[int(0.99 * len(delays))]:.1f} "
            f"| {median(rounds, lambda r: r.usage.messages / r.jobs):.1f} "
            f"| {median(rounds, lambda r: r.usage.statements / r.jobs):.1f} "
            f"| {median(rounds, lambda r: r.usage.commits / r.jobs):.1f} |"
        )
    return "\n".join([*cost, "", *traffic]), chart(results)


def crashes(results: Mapping[Contender, Crash]) -> str:
    """Return a table of lost and repeated jobs after kills, with random and with fixed names."""
    lines = [
        "| | jobs | kill -9 of all workers | lost | started twice | lost, ids as names | started twice, ids as names |",
        "| --- |" + " --: |" * 6,
    ]
    for one, each in results.items():
        lines.append(
            f"| {one.title} | {each.jobs} | {each.kills} | {each.lost} | {each.doubled} | {each.plain_lost} | {each.plain_doubled} |"
        )
    return "\n".join(lines)


def waits(results: Mapping[Contender, Waiting]) -> str:
    """Return a table of the cost of waiting jobs."""
    head = (
        "| | jobs wait in | waiting | growth of workers, MB | of RabbitMQ, MB | of PostgreSQL, MB "
        "| lateness of a poll due in 2 s: median s | worst s | after kill -9 and restart s |"
    )
    lines = [head, "| --- | --- |" + " --: |" * 7]
    for one, each in results.items():
        lines.append(
            f"| {one.title} | {one.waits} | {each.jobs:,} | {each.workers:.0f} | {each.broker:.0f} | {each.database:.0f} "
            f"| {_late(statistics.median(each.lateness))} | {_late(max(each.lateness))} | {_late(each.restart)} |"
        )
    return "\n".join(lines)


def chart(results: Mapping[Contender, Sequence[Speed]]) -> str:
    """Return an SVG with a bar of CPU time per contender: workers, broker, database."""
    parts_of: list[tuple[str, str, Callable[[Speed], float]]] = [
        ("workers", _WORKERS, cpu_of_workers),
        ("RabbitMQ", _BROKER, _broker),
        ("PostgreSQL", _DATABASE, _database),
    ]
    bars = {one: [median(rounds, part) for _, _, part in parts_of] for one, rounds in results.items()}
    left, width, step = 190, 520, 28
    scale = width / max(sum(bar) for bar in bars.values())
    height = 62 + step * len(bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 800 {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="800" height="{height}" fill="#fff"/>',
        '<text x="16" y="22" font-size="15" font-weight="bold" fill="#222">CPU time per job, ms</text>',
    ]
    for number, (name, color, _) in enumerate(parts_of):
        at = left + 110 * number
        parts.append(
            f'<rect x="{at}" y="32" width="12" height="12" fill="{color}"/><text x="{at + 18}" y="43" fill="#222">{name}</text>'
        )
    for number, (one, bar) in enumerate(bars.items()):
        x, y = float(left), 56 + number * step
        parts.append(
            f'<text x="{left - 8}" y="{y + 15}" text-anchor="end" fill="#222">{escape(one.title)}</text>'
        )
        for value, (_, color, _) in zip(bar, parts_of, strict=True):
            parts.append(
                f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="20" fill="{color}"/>'
            )
            x += value * scale
        parts.append(f'<text x="{x + 6:.1f}" y="{y + 15}" fill="#222">{sum(bar):.1f}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def cpu_of_workers(one: Speed) -> float:
    """Return the CPU time of the workers, in ms per job."""
    return 1000 * one.usage.workers / one.jobs


def _broker(one: Speed) -> float:
    return 1000 * one.usage.broker / one.jobs


def _database(one: Speed) -> float:
    return 1000 * one.usage.database / one.jobs


def cpu_of_all(one: Speed) -> float:
    """Return the CPU time of workers and servers, in ms per job."""
    return cpu_of_workers(one) + _broker(one) + _database(one)


def median(rounds: Iterable[Speed], measure: Callable[[Speed], float]) -> float:
    """Return the median of a measure over the rounds."""
    return statistics.median(map(measure, rounds))


def _spread(rounds: Iterable[Speed], measure: Callable[[Speed], float]) -> str:
    values = sorted(map(measure, rounds))
    return f"{statistics.median(values):.1f} ({values[0]:.1f}–{values[-1]:.1f})"


def _late(seconds: float) -> str:
    return f"not within {LATENESS_LIMIT_SECONDS:.0f}" if seconds == NEVER else f"{max(seconds, 0.0):.2f}"
