"""`python -m benchmarks.scaling`: measure what a job costs, predict a third point, and extrapolate.

`--write docs/benchmarks` writes the tables to scaling.md there. Exit with 1 if the simulation misses the measured point.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from benchmarks.page import stamp, write
from benchmarks.scaling.costs import MeasuredInstallation, Sample
from benchmarks.scaling.model import STATIONS, Cost, fitted, simulate
from sandbox.core import SandboxState
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ

#: Largest relative error of the simulation.
MAX_RELATIVE_ERROR = 0.35
#: Turns of each extrapolated job.
TURNS_PER_JOB = 6
DAY_SECONDS = 86_400.0
JOBS_PER_DAY = (1_000, 100_000, 1_000_000, 10_000_000)


def main() -> int:
    """Return the exit status: 0 if the simulation reproduces the measured point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling")
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    samples = [measure(arguments.jobs, seconds) for seconds in (0.2, 6.0, 3.0)]
    short, long, middle = samples
    costs = fitted(short, long)
    comparison, worst_error = comparison_table(costs, middle)
    text = "\n".join(
        [
            f"{stamp()}, {arguments.jobs} jobs per sample.",
            "",
            *costs_table(costs),
            "",
            *comparison,
            "",
            *extrapolation_table(costs),
        ]
    )
    print(text)  # noqa: T201 - what it is for
    if arguments.write:
        write(arguments.write / "scaling.md", "scaling", text)
    return int(worst_error > MAX_RELATIVE_ERROR)


def measure(jobs: int, vendor_seconds: float) -> Sample:
    """Return one sample, measured on a new installation."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(RabbitMQ()) as rabbitmq,
        closing(Postgres()) as postgres,
    ):
        rabbitmq.start()
        postgres.start()
        with closing(
            MeasuredInstallation(Path(folder), rabbitmq, postgres, SandboxState(queue_seconds=0.0))
        ) as harness:
            return harness.run(jobs, vendor_seconds)


def costs_table(costs: dict[str, Cost]) -> list[str]:
    """Return the lines of the table of costs per job and per turn."""
    units = {
        "worker": ("CPU of workers, ms", 1e3), "postgresql": ("CPU of PostgreSQL, ms", 1e3),
        "rabbitmq": ("CPU of RabbitMQ, ms", 1e3), "commits": ("transactions", 1.0),
        "messages": ("messages through RabbitMQ", 1.0), "wal": ("PostgreSQL WAL, kB", 1e-3),
        "stored": ("ledger on disk, kB", 1e-3),
    }  # fmt: skip
    rows = [
        f"| {name} | {costs[key].job * unit:.1f} | {costs[key].turn * unit:.2f} | {costs[key].of(TURNS_PER_JOB) * unit:.1f} |"
        for key, (name, unit) in units.items()
    ]
    return [
        f"| resource | per job | per turn | job of {TURNS_PER_JOB} turns |",
        "| --- | --: | --: | --: |",
        *rows,
    ]


def comparison_table(costs: dict[str, Cost], middle: Sample) -> tuple[list[str], float]:
    """Return the lines of the table that compares simulated and measured CPU time, and the largest error."""
    turns = round(middle.turns / middle.jobs)
    cores = dict.fromkeys(STATIONS, 64)  # enough that no turn queues: only CPU time is compared
    rate, seconds = 5.0, 600.0
    forecast = simulate(costs, cores, rate, turns, 0.5, seconds)
    rows, worst_error = [], 0.0
    for name in STATIONS:
        simulated = forecast.busy[name] * cores[name] * seconds / forecast.done * 1e3
        measured = middle.cpu[name] / middle.jobs * 1e3
        error = simulated / measured - 1
        worst_error = max(worst_error, abs(error))
        rows.append(f"| {name} | {simulated:.1f} | {measured:.1f} | {error:+.0%} |")
    head = f"| CPU, ms per job of {turns} turns | simulated | measured | error |"
    return [head, "| --- | --: | --: | --: |", *rows], worst_error


def extrapolation_table(costs: dict[str, Cost]) -> list[str]:
    """Return the lines of the table of cores at 60 % use, and of simulated turns, for each number of jobs per day."""
    rows = []
    for jobs_per_day in JOBS_PER_DAY:
        rate = jobs_per_day / DAY_SECONDS * 3  # the busiest hour has three times the average
        cores = {name: max(1, math.ceil(rate * costs[name].of(TURNS_PER_JOB) / 0.6)) for name in STATIONS}
        forecast = simulate(
            costs, cores, rate, TURNS_PER_JOB, 30.0, max(300.0, 2_000 / rate) if rate < 50 else 300.0
        )
        rows.append(
            f"| {jobs_per_day:,} | {rate:.2f} | {rate * TURNS_PER_JOB:.1f} | {cores['worker']} | {cores['postgresql']} "
            f"| {cores['rabbitmq']} | {rate * costs['wal'].of(TURNS_PER_JOB) / 1e6:.2f} "
            f"| {jobs_per_day * costs['stored'].of(TURNS_PER_JOB) / 1e9:.2f} | {forecast.turn_median * 1e3:.0f} | {forecast.turn_p99 * 1e3:.0f} |"
        )
    head = "| jobs/day | jobs/s, busiest hour | turns/s | worker cores | PostgreSQL cores | RabbitMQ cores | WAL MB/s | ledger GB/day | turn, median ms | turn, p99 ms |"
    return [head, "| --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |", *rows]


if __name__ == "__main__":
    sys.exit(main())
