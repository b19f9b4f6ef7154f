"""`python -m benchmarks.scaling`: measure what a job costs, predict a third point, and project larger loads.

`--write FOLDER` writes the tables into `scaling.md` there. Exit 1 if the simulation misses the measured point.
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

#: How far the simulation may be from the measurement, as a share.
ERROR_LIMIT = 0.35
#: How many turns a projected job has.
TURNS = 6
DAY_SECONDS = 86_400.0
#: Projected loads, in jobs a day.
JOBS_PER_DAY = (1_000, 100_000, 1_000_000, 10_000_000)


def main() -> int:
    """Run everything; return 0 if the simulation reproduces the measured point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling")
    parser.add_argument("--jobs", type=int, default=60, help="jobs per sample")
    parser.add_argument("--write", type=Path, help="folder of scaling.md")
    options = parser.parse_args()
    samples = [measured(options.jobs, seconds) for seconds in (0.2, 6.0, 3.0)]
    short, long, middle = samples
    costs = fitted(short, long)
    lines, worst = compared(costs, middle)
    text = "\n".join(
        [
            f"{stamp()}, {options.jobs} jobs a sample.",
            "",
            *costs_table(costs),
            "",
            *lines,
            "",
            *projection(costs),
        ]
    )
    print(text)  # noqa: T201 - the output of this command
    if options.write:
        write(options.write / "scaling.md", "scaling", text)
    return int(worst > ERROR_LIMIT)


def measured(jobs: int, vendor_seconds: float) -> Sample:
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
        ) as installation:
            return installation.run(jobs, vendor_seconds)


def costs_table(costs: dict[str, Cost]) -> list[str]:
    """Return a table of the resources that a job and each of its turns use."""
    units = {
        "worker": ("CPU of workers, ms", 1e3), "postgresql": ("CPU of PostgreSQL, ms", 1e3),
        "rabbitmq": ("CPU of RabbitMQ, ms", 1e3), "commits": ("transactions", 1.0),
        "messages": ("messages through RabbitMQ", 1.0), "wal": ("PostgreSQL's log, kB", 1e-3),
        "stored": ("ledger on disk, kB", 1e-3),
    }  # fmt: skip
    rows = [
        f"| {name} | {costs[key].job * unit:.1f} | {costs[key].turn * unit:.2f} | {costs[key].of(TURNS) * unit:.1f} |"
        for key, (name, unit) in units.items()
    ]
    return [f"| what | a job | each turn | a job of {TURNS} turns |", "| --- | --: | --: | --: |", *rows]


def compared(costs: dict[str, Cost], middle: Sample) -> tuple[list[str], float]:
    """Compare simulated and measured CPU time at a third point, which the fit does not know."""
    turns = round(middle.turns / middle.jobs)
    cores = dict.fromkeys(STATIONS, 64)  # CPU seconds used, without queueing
    rate, seconds = 5.0, 600.0
    forecast = simulate(costs, cores, rate, turns, 0.5, seconds)
    rows, worst = [], 0.0
    for name in STATIONS:
        predicted = forecast.busy[name] * cores[name] * seconds / forecast.done * 1e3
        actual = middle.cpu[name] / middle.jobs * 1e3
        error = predicted / actual - 1
        worst = max(worst, abs(error))
        rows.append(f"| {name} | {predicted:.1f} | {actual:.1f} | {error:+.0%} |")
    head = f"| CPU ms a job of {turns} turns | simulated | measured | error |"
    return [head, "| --- | --: | --: | --: |", *rows], worst


def projection(costs: dict[str, Cost]) -> list[str]:
    """Return a row per load: the cores at 60 % use, and the simulated time of a turn with them."""
    rows = []
    for demand in JOBS_PER_DAY:
        rate = demand / DAY_SECONDS * 3  # the busiest hour has three times the average
        cores = {name: max(1, math.ceil(rate * costs[name].of(TURNS) / 0.6)) for name in STATIONS}
        forecast = simulate(costs, cores, rate, TURNS, 30.0, max(300.0, 2_000 / rate) if rate < 50 else 300.0)
        rows.append(
            f"| {demand:,} | {rate:.2f} | {rate * TURNS:.1f} | {cores['worker']} | {cores['postgresql']} "
            f"| {cores['rabbitmq']} | {rate * costs['wal'].of(TURNS) / 1e6:.2f} "
            f"| {demand * costs['stored'].of(TURNS) / 1e9:.2f} | {forecast.turn_median * 1e3:.0f} | {forecast.turn_p99 * 1e3:.0f} |"
        )
    head = "| jobs a day | jobs/s, busiest hour | turns/s | worker cores | PostgreSQL cores | RabbitMQ cores | log MB/s | ledger GB a day | turn ms | p99 |"
    return [head, "| --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |", *rows]


if __name__ == "__main__":
    sys.exit(main())
