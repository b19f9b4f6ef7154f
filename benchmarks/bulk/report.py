"""The tables of many rows, and whether every bound is kept."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmarks.bulk.installation import Run
from benchmarks.bulk.trials import AT_ONCE, OFTEN, SLICE, Compared
from benchmarks.page import stamp
from workers.engine.context import CHECKPOINT_INTERVAL_SECONDS

#: Throughput of a bare loop that is to be reached.
THROUGHPUT = 0.8
#: MB by which a worker may grow.
GROWTH = 150.0
#: MB by which it may grow more with all rows than with a third, a tenth or a hundredth of them.
MORE = 25.0
#: What checkpoints and slices may cost.
COST = 0.02


def tables(compared: list[Compared], smaller: list[tuple[str, Run]], cost: Compared) -> tuple[str, bool]:
    """All of them as Markdown, and whether all bounds are kept; a broken one is marked."""
    rounds = len(compared[0].ours)
    text = [f"{stamp()}, two cores, medians of {rounds} rounds, {AT_ONCE} calls at once.", ""]
    kept = [
        _throughput(text, compared),
        _memory(text, smaller, compared),
        _cost(text, cost),
    ]
    return "\n".join(text), all(kept)


def _throughput(text: list[str], compared: list[Compared]) -> bool:
    text += ["| | bare loop, s | ours, s | throughput ÷ bare loop's | bound | processor time ÷ bare loop's |"]
    text += ["| --- | --: | --: | --: | --: | --: |"]
    kept = True
    for each in compared:
        loop, ours = (median(run.seconds for run in runs) for runs in (each.others, each.ours))
        reached = sorted(1 / ratio for ratio in each.ratios(lambda run: run.seconds))
        middle, cpu = median(reached), each.ratio(lambda run: run.cpu)
        bad = each.bound and middle < THROUGHPUT
        kept = kept and not bad
        bound = (f"≥ {THROUGHPUT:g}" if each.bound else "none") + _broken(bad)
        spread = f"{middle:.2f} ({reached[0]:.2f}–{reached[-1]:.2f})"
        text += [f"| {each.what} | {loop:.1f} | {ours:.1f} | {spread} | {bound} | {cpu:.2f} |"]
    return kept


def _memory(text: list[str], smaller: list[tuple[str, Run]], compared: list[Compared]) -> bool:
    text += [
        "",
        "| worker's memory while a job runs, MB above idle | after a tenth | half | nine tenths | at most | bound |",
    ]
    text += ["| --- | --: | --: | --: | --: | --: |"]
    kept = True
    fewer: dict[str, float] = {}
    for what, run in smaller:
        fewer[_vendor(what)] = max(fewer.get(_vendor(what), 0.0), run.grown)
    all_rows = [(each.what, each.ours[-1]) for each in compared]
    for what, run in [*smaller, *all_rows]:
        bound = GROWTH if (what, run) in smaller else min(GROWTH, fewer[_vendor(what)] + MORE)
        bad = run.grown > bound
        kept = kept and not bad
        places = [run.memory[int(len(run.memory) * share)] - run.idle for share in (0.1, 0.5, 0.9)]
        shown = " | ".join(f"{value:.0f}" for value in [*places, run.grown])
        text += [f"| {what} | {shown} | ≤ {bound:.0f}{_broken(bad)} |"]
    return kept


def _cost(text: list[str], cost: Compared) -> bool:
    """Their cost grows with their number: a tenth of it is easier to tell from chance when there are ten times as many.

    Other work on the machine only adds, so the least of all rounds is compared.
    """
    text += ["", f"| {cost.what}, ÷ none | {OFTEN} times as often | so by default | bound |"]
    text += ["| --- | --: | --: | --: |"]
    kept = True
    measures: dict[str, Callable[[Run], float]] = {
        "time": lambda run: run.seconds,
        "processor time": lambda run: run.cpu,
    }
    for what, of in measures.items():
        ratio = min(map(of, cost.ours)) / min(map(of, cost.others))
        by_default = (ratio - 1) / OFTEN
        bad = by_default > COST
        kept = kept and not bad
        text += [f"| {what} | {ratio - 1:+.1%} | {by_default:+.2%} | ≤ {COST:.0%}{_broken(bad)} |"]
    turns = f"{cost.ours[-1].turns} turns, {cost.others[-1].turns} without"
    text += [
        "",
        f"By default a checkpoint comes each {CHECKPOINT_INTERVAL_SECONDS:g} s and a slice has {SLICE:g} s. The least of {len(cost.ours)} rounds, {turns}.",
    ]
    return kept


def _vendor(what: str) -> str:
    return what.partition(",")[0]


def _broken(bad: bool) -> str:
    return " **broken**" if bad else ""
