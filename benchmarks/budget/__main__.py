"""`python -m benchmarks.budget`: who finds finished jobs sooner with the same calls; exit 1 if a gate fails.

`--write FOLDER` puts the numbers into `performance.md` there.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
from pathlib import Path

from benchmarks.budget.simulation import FirstCome, Latest, Manner, watch_all
from benchmarks.page import stamp, write
from benchmarks.polling.policies import exponential
from benchmarks.polling.workloads import FAMILIES

#: Jobs that come each second; how many are told of, after how many others.
ARRIVALS, COLD = 0.2, 200
#: Looks that the vendor allows for each job that comes.
BUDGETS = (3, 4, 6)
#: Families of which a lower delay is promised, and to what share of the others'.
PROMISED = {"regular": 0.6, "bimodal": 0.85}


def main() -> int:
    """Run everything; 0 if all gates are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__)
    parser.add_argument("--jobs", type=int, default=400, help="jobs of each family")
    parser.add_argument("--write", type=Path, help="folder of performance.md")
    options = parser.parse_args()
    lines = [
        f"{stamp()}, {options.jobs} jobs a family after {COLD} others, while more keep coming.",
        "",
        "| family | looks allowed per job | backoff to 60 s, first come | backoff to 300 s, first come | ours | ours ÷ the better |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    kept = True
    for family in FAMILIES:
        for budget in BUDGETS:
            manners: list[Manner] = [
                FirstCome(exponential(random.Random("60"), 1, 60)),
                FirstCome(exponential(random.Random("300"), 1, 300)),
                Latest(),
            ]
            rows = [
                watch_all(family, ARRIVALS, ARRIVALS * budget, manner, options.jobs, COLD)
                for manner in manners
            ]
            means = [statistics.fmean(one.delay for one in row) for row in rows]
            shown = [
                f"{mean:.0f} s ({statistics.fmean(one.looks for one in row):.1f} looks)"
                for mean, row in zip(means, rows, strict=True)
            ]
            share = means[2] / min(means[:2])
            kept = kept and share <= PROMISED.get(family.name, math.inf)
            lines.append(f"| {family.name} | {budget} | {' | '.join(shown)} | {share:.2f} |")
            print(lines[-1], file=sys.stderr, flush=True)  # noqa: T201 - progress
    text = "\n".join(lines)
    sys.stdout.write(text + "\n")
    if options.write is not None:
        write(options.write / "performance.md", "budget", text)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
