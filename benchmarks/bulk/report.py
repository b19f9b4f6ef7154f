"""The tables of bulk data, and whether every bound is kept."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmarks.bulk.installation import Run
from benchmarks.bulk.trials import CONCURRENCY, FREQUENCY, SLICE_SECONDS, Comparison
from benchmarks.page import stamp
from workers.engine.context import CHECKPOINT_INTERVAL_SECONDS

#: The least throughput, as a share of the baseline loop's.
THROUGHPUT_MIN = 0.8
#: How much a worker may grow.
GROWTH_MAX_MB = 150.0
#: How much more it may grow with all rows than with a third, a tenth or a hundredth of them.
EXTRA_GROWTH_MAX_MB = 25.0
#: What checkpoints and slices may cost, as a share.
CHECKPOINT_COST_MAX = 0.02


def tables(
    comparisons: list[Comparison], smaller: list[tuple[str, Run]], cost: Comparison
) -> tuple[str, bool]:
    """Return the tables as Markdown, and whether all bounds are kept; a missed one is marked."""
    rounds = len(comparisons[0].ours)
    text = [f"{stamp()}, two cores, medians of {rounds} rounds, {CONCURRENCY} concurrent calls.", ""]
    kept = [
        _throughput(text, comparisons),
        _memory(text, smaller, comparisons),
        _cost(text, cost),
    ]
    return "\n".join(text), all(kept)


def _throughput(text: list[str], comparisons: list[Comparison]) -> bool:
    text += ["| work | baseline loop, s | ours, s | throughput ÷ baseline | bound | CPU time ÷ baseline |"]
    text += ["| --- | --: | --: | --: | --: | --: |"]
    kept = True
    for each in comparisons:
        loop, ours = (median(run.seconds for run in runs) for runs in (each.baseline, each.ours))
        ratios = sorted(1 / ratio for ratio in each.ratios(lambda run: run.seconds))
        middle, cpu = median(ratios), each.ratio(lambda run: run.cpu)
        missed = each.bound and middle < THROUGHPUT_MIN
        kept = kept and not missed
        bound = (f"≥ {THROUGHPUT_MIN:g}" if each.bound else "none") + _mark(missed)
        spread = f"{middle:.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"
        text += [f"| {each.title} | {loop:.1f} | {ours:.1f} | {spread} | {bound} | {cpu:.2f} |"]
    return kept


def _memory(text: list[str], smaller: list[tuple[str, Run]], comparisons: list[Comparison]) -> bool:
    text += [
        "",
        "| worker's memory while a job runs, MB above idle | at 10 % | at 50 % | at 90 % | peak | bound |",
    ]
    text += ["| --- | --: | --: | --: | --: | --: |"]
    kept = True
    growth: dict[str, float] = {}
    for title, run in smaller:
        growth[_vendor(title)] = max(growth.get(_vendor(title), 0.0), run.growth)
    full = [(each.title, each.ours[-1]) for each in comparisons]
    for title, run in [*smaller, *full]:
        bound = (
            GROWTH_MAX_MB
            if (title, run) in smaller
            else min(GROWTH_MAX_MB, growth[_vendor(title)] + EXTRA_GROWTH_MAX_MB)
        )
        missed = run.growth > bound
        kept = kept and not missed
        samples = [run.memory[int(len(run.memory) * share)] - run.idle for share in (0.1, 0.5, 0.9)]
        shown = " | ".join(f"{value:.0f}" for value in [*samples, run.growth])
        text += [f"| {title} | {shown} | ≤ {bound:.0f}{_mark(missed)} |"]
    return kept


def _cost(text: list[str], cost: Comparison) -> bool:
    """Add the table of the cost of checkpoints and slices.

    Their cost grows with their number, so ten times as many make it visible above the noise. Other work on the machine
    only adds time, so the minimum of all rounds is compared.
    """
    text += ["", f"| {cost.title}, compared with none | {FREQUENCY} times as often | by default | bound |"]
    text += ["| --- | --: | --: | --: |"]
    kept = True
    measures: dict[str, Callable[[Run], float]] = {
        "time": lambda run: run.seconds,
        "CPU time": lambda run: run.cpu,
    }
    for name, measure in measures.items():
        ratio = min(map(measure, cost.ours)) / min(map(measure, cost.baseline))
        by_default = (ratio - 1) / FREQUENCY
        missed = by_default > CHECKPOINT_COST_MAX
        kept = kept and not missed
        text += [
            f"| {name} | {ratio - 1:+.1%} | {by_default:+.2%} | ≤ {CHECKPOINT_COST_MAX:.0%}{_mark(missed)} |"
        ]
    turns = f"{cost.ours[-1].turns} turns, {cost.baseline[-1].turns} without"
    text += [
        "",
        (
            f"By default there is a checkpoint every {CHECKPOINT_INTERVAL_SECONDS:g} s "
            f"and a slice lasts {SLICE_SECONDS:g} s. Minimum of {len(cost.ours)} rounds; {turns}."
        ),
    ]
    return kept


def _vendor(title: str) -> str:
    return title.partition(",")[0]


def _mark(missed: bool) -> str:
    return " **missed**" if missed else ""
