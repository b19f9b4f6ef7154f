"""Tables and a chart of the comparison."""

from __future__ import annotations

import statistics
from html import escape

from benchmarks.polling.trials import Row, over
from workers.polling.policy import POLL_COST_SECONDS


def table(rows: list[Row], base: Row) -> list[str]:
    """Return a table with a line per policy: means over the families, each of which counts the same."""
    lines = [
        "| policy | polls per job | detection delay: mean s | median s | p99 s | median share of duration | cost | cost ÷ optimum |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        delays = [sorted(one.delay for one in family) for family in row.waits]
        shares = [statistics.median(one.delay / one.duration for one in family) for family in row.waits]
        lines.append(
            f"| {row.name} "
            f"| {statistics.fmean(statistics.fmean(one.polls for one in family) for family in row.waits):.1f} "
            f"| {statistics.fmean(statistics.fmean(each) for each in delays):.1f} "
            f"| {statistics.fmean(statistics.median(each) for each in delays):.1f} "
            f"| {statistics.fmean(each[int(0.99 * len(each))] for each in delays):.0f} "
            f"| {statistics.fmean(shares):.1%} "
            f"| {statistics.fmean(row.costs):.0f} | {over(row, base):.2f} |"
        )
    return lines


def by_family(rows: list[Row], base: Row, families: list[str]) -> list[str]:
    """Return a table of the cost as a multiple of the optimum in each family."""
    lines = ["| policy | " + " | ".join(families) + " |", "| --- |" + " --: |" * len(families)]
    for row in rows:
        values = [f"{a / b:.2f}" for a, b in zip(row.costs, base.costs, strict=True)]
        lines.append(f"| {row.name} | " + " | ".join(values) + " |")
    return lines


def chart(rows: list[Row], base: Row, limit: float = 5.0) -> str:
    """Return an SVG with a bar of cost ÷ optimum per policy, split into delay and polls, cut at `limit`."""
    left, scale, step = 300, 90, 26
    height = step * len(rows) + 74
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="820" height="{height}" fill="#fff"/>',
        '<text x="16" y="24" font-size="15" font-weight="bold" fill="#222">Cost of waiting, as a multiple of the optimum</text>',
        f'<rect x="{left}" y="34" width="12" height="12" fill="#2b6cb0"/><text x="{left + 18}" y="45" fill="#222">delay</text>',
        (
            f'<rect x="{left + 80}" y="34" width="12" height="12" fill="#a8c5e2"/>'
            f'<text x="{left + 98}" y="45" fill="#222">polls, {POLL_COST_SECONDS:.0f} s each</text>'
        ),
    ]
    for number, row in enumerate(rows):
        y = 58 + number * step
        factor = over(row, base)
        late = statistics.fmean(
            statistics.fmean(one.delay for one in family) / cost
            for family, cost in zip(row.waits, row.costs, strict=True)
        )
        shown = min(factor, limit)
        first, second = shown * late * scale, shown * (1 - late) * scale
        parts += [
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end" fill="#222">{escape(row.name)}</text>',
            f'<rect x="{left}" y="{y}" width="{first:.1f}" height="18" fill="#2b6cb0"/>',
            f'<rect x="{left + first:.1f}" y="{y}" width="{second:.1f}" height="18" fill="#a8c5e2"/>',
            f'<text x="{left + shown * scale + 6:.1f}" y="{y + 14}" fill="#222">{factor:.2f}{" →" if factor > limit else ""}</text>',
        ]
    bottom = 58 + step * len(rows)
    parts += [
        f'<line x1="{left + scale}" y1="52" x2="{left + scale}" y2="{bottom}" stroke="#c53030" stroke-dasharray="4 3"/>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
