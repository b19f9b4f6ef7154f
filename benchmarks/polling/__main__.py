"""`python -m benchmarks.polling`: print the tables and gates; exit 1 if a gate fails.

`--write FOLDER` writes them into `polling.md` and `polling.svg` there.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks.page import stamp, write
from benchmarks.polling.report import by_family, chart, table
from benchmarks.polling.trials import (
    DEFAULT_MAX_DELAY_SECONDS,
    PROGRESS_KINDS,
    Gate,
    Row,
    drift,
    gates,
    over,
    row_of_optimum,
    row_of_ours,
    rows_of_others,
    timing,
    worst,
)
from benchmarks.polling.workloads import FAMILIES


def main() -> int:
    """Run everything; return 0 if all gates are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.polling", description=__doc__)
    parser.add_argument("--jobs", type=int, default=300, help="measured jobs of each family")
    parser.add_argument("--write", type=Path, help="folder of polling.md and polling.svg")
    options = parser.parse_args()
    began = time.monotonic()
    jobs = options.jobs

    best = _named("optimum: durations known in advance", row_of_optimum(jobs))
    bounded = _named("optimum, wait at most 300 s", row_of_optimum(jobs, DEFAULT_MAX_DELAY_SECONDS))
    others = rows_of_others(jobs)
    fixed_60 = next(row for row in others if row.name == "fixed 60 s")
    cold = _named("ours, first job ever", row_of_ours(jobs, 0, "none"))
    ten = _named("ours, 10 past jobs", row_of_ours(jobs, 10, "none"))
    many = _named("ours, 200 past jobs", row_of_ours(jobs, 200, "none"))
    shipped = _named(
        "ours, 200 past jobs, wait at most 300 s", row_of_ours(jobs, 200, "none", DEFAULT_MAX_DELAY_SECONDS)
    )
    shipped_ten = row_of_ours(jobs, 10, "none", DEFAULT_MAX_DELAY_SECONDS)
    reported = {
        how: _named(f"ours, 200, {how} progress", row_of_ours(jobs, 200, how)) for how in PROGRESS_KINDS
    }
    reported_ten = {how: row_of_ours(jobs, 10, how) for how in PROGRESS_KINDS}
    reported_cold = {how: row_of_ours(jobs, 0, how) for how in PROGRESS_KINDS}
    deciding, building = timing()

    useless = ("stalling", "lying")
    all_gates = [
        *gates(
            best,
            ten,
            many,
            fixed_60,
            {how: reported[how] for how in useless},
            {how: reported_ten[how] for how in useless},
        ),
        *(
            Gate(
                f"{how} progress: cost ÷ no progress reported, first job ever",
                over(reported_cold[how], cold),
                1.10,
            )
            for how in useless
        ),
        *(
            Gate(
                f"{how} progress in the worst family: cost ÷ no progress reported, {past} past jobs",
                worst(row, none),
                1.10,
            )
            for past, rows, none in ((200, reported, many), (10, reported_ten, ten))
            for how, row in rows.items()
            if how in useless
        ),
        Gate("wait at most 300 s: cost ÷ optimum within that, 200 past jobs", over(shipped, bounded), 1.10),
        Gate(
            "wait at most 300 s: cost ÷ optimum within that, 10 past jobs", over(shipped_ten, bounded), 1.25
        ),
        Gate("one decision, 99th percentile, ms", deciding, 1.0),
    ]

    rows = [*others, cold, ten, many, *reported.values(), best, shipped, bounded]
    drifts = [
        "| family | durations | ours | exponential, cap 60 s | optimum of the new durations |",
        "| --- | --- | --: | --: | --: |",
    ]
    for family in FAMILIES:
        if family.name in {"long", "regular"}:
            for factor in (2.0, 4.0, 0.25):
                mine, backoff, ideal = drift(family, factor, 100)
                drifts.append(f"| {family.name} | × {factor:g} | {mine:.0f} | {backoff:.0f} | {ideal:.0f} |")
    kept = ["| gate | value | limit | |", "| --- | --: | --: | --- |"]
    kept += [
        f"| {gate.name} | {gate.value:.3f} | {gate.limit:.2f} | {'kept' if gate.kept else 'FAILED'} |"
        for gate in all_gates
    ]
    names = [family.name for family in FAMILIES]
    text = "\n".join(
        [
            f"{stamp()}, {jobs} jobs per family, {time.monotonic() - began:.0f} s on one core of a busy machine.",
            (f"One decision takes {deciding:.2f} ms of CPU time (99th percentile); "
             f"building a history of 300 waits takes {building:.0f} ms, once a minute."),
            "", *table(rows, best),
            "", "![Cost of waiting by policy](polling.svg)",
            "", "Cost ÷ optimum in each family:",
            "", *by_family([fixed_60, others[4], others[5], cold, ten, many, *reported.values()], best, names),
            "", "Mean cost of the first 100 jobs after the vendor has suddenly become slower or faster:",
            "", *drifts,
            "", "Gates:",
            "", *kept,
        ]
    )  # fmt: skip
    sys.stdout.write(text + "\n")
    if options.write is not None:
        write(options.write / "polling.md", "polling", text)
        (options.write / "polling.svg").write_text(chart(rows, best))
    return 0 if all(gate.kept for gate in all_gates) else 1


def _named(name: str, row: Row) -> Row:
    row.name = name
    return row


if __name__ == "__main__":
    sys.exit(main())
