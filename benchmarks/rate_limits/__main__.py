"""`python -m benchmarks.budget`: who finds finished jobs sooner with the same calls; exit 1 if a bound is broken.

First simulated, then at the stand-in over HTTP. `--write FOLDER` puts the numbers into `performance.md` there.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.budget.simulation import FirstCome, Latest, Load, Manner, watch_all
from benchmarks.budget.trials import CROWD, RATE, compare, learned, servers, windows
from benchmarks.page import stamp, write
from benchmarks.polling.policies import Watched, exponential
from benchmarks.polling.workloads import FAMILIES, Family

#: What waits at the vendor, and the looks that it allows.
LOADS = (Load(60, 30), Load(200, 60))
BATCH = Load(60, 30, kept=False)
#: Families of which a lower delay than the backoff's is promised, and to what share of it.
PROMISED, BOUND = ("bimodal", "regular"), 0.6
#: Sequences of durations of each of them.
SEQUENCES = 5
#: Worker processes of which the calls are counted.
WORKERS = (1, 2, 4, 8)
#: Jobs that are watched before any is told of.
COLD = 300


def main() -> int:
    """Run everything; 0 if all bounds are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200, help="of each family in the simulation")
    parser.add_argument("--real-jobs", type=int, default=500, help="of each family at the stand-in")
    parser.add_argument("--only", choices=["simulation", "stand-in"], help="one of the two")
    parser.add_argument("--write", type=Path, help="folder of performance.md")
    options = parser.parse_args()
    parts: dict[str, Callable[[], tuple[str, bool]]] = {
        "simulation": lambda: simulate(options.jobs),
        "stand-in": lambda: at_the_stand_in(options.real_jobs),
    }
    kept = True
    for name, part in parts.items():
        if options.only in {None, name}:
            text, bounds_kept = part()
            kept = kept and bounds_kept
            sys.stdout.write(f"{text}\n\n")
            if options.write is not None:
                write(options.write / "performance.md", f"budget {name}", text)
    return 0 if kept else 1


def simulate(jobs: int) -> tuple[str, bool]:
    """The table, and whether its bounds are kept."""
    lines = [
        f"{stamp()}, {jobs} jobs a family after {COLD} others. Mean delay, and looks per job; of what has a bound the",
        f"mean of {SEQUENCES} sequences of durations, with the least and the most.",
        "",
        "| | waiting | calls a minute | backoff to 60 s, first come | ours | ours, a look worth 10 s | ours, exact expectation | ours ÷ backoff | bound |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    kept = True
    for load in (*LOADS, BATCH):
        for family in FAMILIES:
            if load is BATCH and family.name not in PROMISED:
                continue
            bounded = family.name in PROMISED and load is not BATCH
            row, share = _row(family, load, jobs, bounded=bounded)
            kept = kept and (not bounded or share <= BOUND)
            lines.append(row)
            say(row)
    return "\n".join(lines), kept


def _row(family: Family, load: Load, jobs: int, *, bounded: bool) -> tuple[str, float]:
    manners: list[Callable[[], Manner]] = [
        lambda: FirstCome(exponential(random.Random("60"), 1, 60)),
        Latest,
        lambda: Latest(budgeted=False),
    ]
    if family.name in PROMISED:  # it takes long
        manners.append(lambda: Latest(exact=True))
    sequences = range(SEQUENCES if bounded else 1)
    rows = [[watch_all(family, load, one(), jobs, COLD, n) for n in sequences] for one in manners]
    delays = [statistics.fmean(_delay(sequence) for sequence in row) for row in rows]
    looks = [statistics.fmean(one.looks for sequence in row for one in sequence) for row in rows]
    shown = [f"{delay:.0f} s ({look:.1f})" for delay, look in zip(delays, looks, strict=True)]
    shown += [""] * (4 - len(shown))
    share = delays[1] / delays[0]
    each = [_delay(ours) / _delay(theirs) for theirs, ours in zip(*rows[:2], strict=True)]
    spread = f" ({min(each):.2f}–{max(each):.2f})" if bounded else ""
    waiting = f"{load.jobs} kept" if load.kept else f"{load.jobs} at once"
    ends = [f"{share:.2f}{spread}", f"{BOUND}" if bounded else ""]
    return f"| {' | '.join([family.name, waiting, str(load.calls), *shown, *ends])} |", share


def _delay(row: list[Watched]) -> float:
    return statistics.fmean(one.delay for one in row)


def at_the_stand_in(jobs: int) -> tuple[str, bool]:
    """The tables, and whether their bounds are kept."""
    lines = [
        f"{stamp()}, two cores, {jobs} jobs a family, {CROWD.jobs} kept waiting, {CROWD.calls} calls a minute, starts included.",
        "Seconds as they would be in earnest.",
        "",
        "| | bare loop: looks per job | calls a minute | mean delay | ours: looks per job | calls a minute | mean delay | ours ÷ bare loop | bound |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    kept = True
    peaks = [
        "",
        f"| workers | calls | most in any window of {RATE.seconds:g} s | budget |",
        "| --: | --: | --: | --: |",
    ]
    families = [family for family in FAMILIES if family.name in PROMISED]
    before = {family: learned(family, COLD) for family in families}
    with servers() as (rabbitmq, postgres):
        with ThreadPoolExecutor(len(families)) as together:  # most of the time is waiting
            found = together.map(
                lambda family: compare(rabbitmq, postgres, family, jobs, before[family]), families
            )
            for family, (bare, ours) in zip(families, found, strict=True):
                share = ours.delay / bare.delay
                kept = kept and share <= BOUND and ours.peak <= RATE.calls
                shown = [f"{one.look:.1f} | {one.pace:.1f} | {one.delay:.0f} s" for one in (bare, ours)]
                lines.append(f"| {' | '.join([family.name, *shown, f'{share:.2f}', str(BOUND)])} |")
                say(f"{lines[-1]} most in a window: {bare.peak}, {ours.peak}")
        for workers in WORKERS:
            peak, calls = windows(rabbitmq, postgres, workers)
            kept = kept and peak <= RATE.calls
            peaks.append(f"| {workers} | {calls} | {peak} | {RATE.calls} |")
            say(peaks[-1])
    return "\n".join(lines + peaks), kept


def say(text: str) -> None:
    """Progress, for who watches."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
