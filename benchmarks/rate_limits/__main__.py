"""`python -m benchmarks.rate_limits`: compare detection delays under a rate limit; exit 1 if a bound is missed.

First simulated, then with real workers and the simulator over HTTP. `--write FOLDER` writes `rate-limits.md` there.
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

from benchmarks.page import stamp, write
from benchmarks.polling.policies import Wait, exponential
from benchmarks.polling.workloads import FAMILIES, Family
from benchmarks.rate_limits.simulation import FirstCome, Load, MostOverdue, Scheduler, simulate
from benchmarks.rate_limits.trials import LOAD, RATE, compare, learned, servers, windows

#: The jobs that wait at the vendor, and the calls that it allows per minute.
LOADS = (Load(60, 30), Load(200, 60))
BATCH = Load(60, 30, steady=False)
#: Families with a bound, and the bound: the delay as a share of the backoff's.
BOUNDED_FAMILIES, BOUND = ("bimodal", "regular"), 0.6
#: How many random sequences of durations each of them has.
SEQUENCES = 5
#: Numbers of worker processes whose calls are counted.
WORKERS = (1, 2, 4, 8)
#: How many jobs come before the measured ones.
WARM_UP_JOBS = 300


def main() -> int:
    """Run everything; return 0 if all bounds are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rate_limits", description=__doc__)
    parser.add_argument("--jobs", type=int, default=200, help="of each family in the simulation")
    parser.add_argument("--real-jobs", type=int, default=500, help="of each family with real workers")
    parser.add_argument("--only", choices=["simulation", "sandbox"], help="run one of the two")
    parser.add_argument("--write", type=Path, help="folder of rate-limits.md")
    options = parser.parse_args()
    parts: dict[str, Callable[[], tuple[str, bool]]] = {
        "simulation": lambda: run_simulation(options.jobs),
        "sandbox": lambda: run_workers(options.real_jobs),
    }
    kept = True
    for name, part in parts.items():
        if options.only in {None, name}:
            text, bounds_kept = part()
            kept = kept and bounds_kept
            sys.stdout.write(f"{text}\n\n")
            if options.write is not None:
                write(options.write / "rate-limits.md", f"rate limits {name}", text)
    return 0 if kept else 1


def run_simulation(jobs: int) -> tuple[str, bool]:
    """Return the table of the simulation, and whether its bounds are kept."""
    lines = [
        f"{stamp()}, {jobs} jobs per family after {WARM_UP_JOBS} warm-up jobs.",
        (
            "Mean detection delay, with polls per job in brackets. "
            f"Rows with a bound are means of {SEQUENCES} sequences of durations, with"
        ),
        "minimum and maximum.",
        "",
        "| family | waiting | calls per minute | backoff up to 60 s, FIFO | ours | ours, poll cost 10 s | ours, exact forecast | ours ÷ backoff | bound |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    kept = True
    for load in (*LOADS, BATCH):
        for family in FAMILIES:
            if load is BATCH and family.name not in BOUNDED_FAMILIES:
                continue
            bounded = family.name in BOUNDED_FAMILIES and load is not BATCH
            row, share = _row(family, load, jobs, bounded=bounded)
            kept = kept and (not bounded or share <= BOUND)
            lines.append(row)
            say(row)
    return "\n".join(lines), kept


def _row(family: Family, load: Load, jobs: int, *, bounded: bool) -> tuple[str, float]:
    schedulers: list[Callable[[], Scheduler]] = [
        lambda: FirstCome(exponential(random.Random("60"), 1, 60)),
        MostOverdue,
        lambda: MostOverdue(rate_limited=False),
    ]
    if family.name in BOUNDED_FAMILIES:  # it takes long
        schedulers.append(lambda: MostOverdue(exact=True))
    sequences = range(SEQUENCES if bounded else 1)
    rows = [
        [simulate(family, load, build(), jobs, WARM_UP_JOBS, n) for n in sequences] for build in schedulers
    ]
    delays = [statistics.fmean(_delay(sequence) for sequence in row) for row in rows]
    polls = [statistics.fmean(one.polls for sequence in row for one in sequence) for row in rows]
    shown = [f"{delay:.0f} s ({count:.1f})" for delay, count in zip(delays, polls, strict=True)]
    shown += [""] * (4 - len(shown))
    share = delays[1] / delays[0]
    each = [_delay(ours) / _delay(theirs) for theirs, ours in zip(*rows[:2], strict=True)]
    spread = f" ({min(each):.2f}–{max(each):.2f})" if bounded else ""
    waiting = f"{load.jobs} steady" if load.steady else f"{load.jobs} batch"
    ends = [f"{share:.2f}{spread}", f"{BOUND}" if bounded else ""]
    return f"| {' | '.join([family.name, waiting, str(load.calls), *shown, *ends])} |", share


def _delay(row: list[Wait]) -> float:
    return statistics.fmean(one.delay for one in row)


def run_workers(jobs: int) -> tuple[str, bool]:
    """Return the tables of the real workers, and whether their bounds are kept."""
    lines = [
        f"{stamp()}, two cores, {jobs} jobs per family, {LOAD.jobs} always waiting,",
        f"{LOAD.calls} calls per minute including starts. Seconds are scaled to production.",
        "",
        "| family | baseline loop: polls per job | calls per minute | mean delay | ours: polls per job | calls per minute | mean delay | ours ÷ baseline | bound |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    kept = True
    peaks = [
        "",
        f"| workers | calls | maximum in any window of {RATE.seconds:g} s | rate limit |",
        "| --: | --: | --: | --: |",
    ]
    families = [family for family in FAMILIES if family.name in BOUNDED_FAMILIES]
    before = {family: learned(family, WARM_UP_JOBS) for family in families}
    with servers() as (rabbitmq, postgres):
        with ThreadPoolExecutor(len(families)) as together:  # most of the time is waiting
            pairs = together.map(
                lambda family: compare(rabbitmq, postgres, family, jobs, before[family]), families
            )
            for family, (baseline, ours) in zip(families, pairs, strict=True):
                share = ours.mean_delay / baseline.mean_delay
                kept = kept and share <= BOUND and ours.peak <= RATE.calls
                shown = [
                    f"{one.mean_polls:.1f} | {one.rate:.1f} | {one.mean_delay:.0f} s"
                    for one in (baseline, ours)
                ]
                lines.append(f"| {' | '.join([family.name, *shown, f'{share:.2f}', str(BOUND)])} |")
                say(f"{lines[-1]} maximum in a window: {baseline.peak}, {ours.peak}")
        for workers in WORKERS:
            peak, calls = windows(rabbitmq, postgres, workers)
            kept = kept and peak <= RATE.calls
            peaks.append(f"| {workers} | {calls} | {peak} | {RATE.calls} |")
            say(peaks[-1])
    return "\n".join(lines + peaks), kept


def say(text: str) -> None:
    """Print progress to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
