"""The same work by a worker and by a baseline loop, in turns; and with frequent checkpoints and with none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.bulk.inputs import companies
from benchmarks.bulk.installation import Run, Worker, checkpoint_interval, run_baseline, set_latency, vendor
from workers.engine.context import CHECKPOINT_INTERVAL_SECONDS

#: Concurrent calls of workers and of baseline loops.
CONCURRENCY = 8
#: The default time slice.
SLICE_SECONDS = 15.0
#: A slice that never ends, and an interval of checkpoints that never come.
NEVER_SECONDS = 86_400.0
#: How many times as often as by default checkpoints and slices come where their cost is measured.
FREQUENCY = 10


class Work(NamedTuple):
    """A job of a worker, and the baseline loop that does the same.

    Attributes:
        command: type of the command.
        data: of the command.
        loop: name of the loop in `benchmarks.bulk.baseline`.
        source: the input file.
    """

    command: str
    data: Mapping[str, object]
    loop: str
    source: Path


def start_job(source: Path) -> Work:
    """Return the work of sending rows through `data8.start_job` and back."""
    data = {"workflow": "Echo", "inputs": {"In": {"file": str(source)}}}
    return Work("data8.start_job", data, "data8", source)


def import_file(source: Path) -> Work:
    """Return the work of importing a file into a new portfolio."""
    data = {"file": str(source), "portfolio": {"name": "p"}}
    return Work("creditsafe.import_file", data, "creditsafe", source)


def resolve(source: Path) -> Work:
    """Return the work of resolving names."""
    return Work("sayari.resolve_entities", {"file": str(source)}, "sayari", source)


def fetch(source: Path) -> Work:
    """Return the work of fetching entities by id."""
    data = {"file": str(source), "detail": "summary"}
    return Work("sayari.fetch_entities", data, "entities", source)


@dataclass
class Comparison:
    """Runs of two kinds, one of each per round.

    Attributes:
        title: of the work.
        ours: runs of a worker.
        baseline: runs that these are compared with.
        bound: whether the throughput has a bound.
    """

    title: str
    ours: list[Run]
    baseline: list[Run]
    bound: bool = True

    def ratios(self, measure: Callable[[Run], float]) -> list[float]:
        """Return ours ÷ baseline, by round."""
        return [measure(a) / measure(b) for a, b in zip(self.ours, self.baseline, strict=True)]

    def ratio(self, measure: Callable[[Run], float]) -> float:
        """Return the median of the ratios."""
        return median(self.ratios(measure))


class Trial:
    """All measurements.

    Args:
        folder: for inputs, results and ledgers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._warm = start_job(companies(folder / "warm.csv", 20))

    def compare(
        self, title: str, work: Work, rounds: int, *, bound: bool = True, delay: float = 0.0
    ) -> Comparison:
        """Run a worker and the baseline loop in turns; each round begins with the other one."""
        comparison = Comparison(title, [], [], bound)
        for number in range(rounds):
            for ours in (True, False) if number % 2 else (False, True):
                run = self.run(work, delay) if ours else self._run_baseline(work, delay)
                _report(title, "ours" if ours else "baseline loop", run)
                (comparison.ours if ours else comparison.baseline).append(run)
        return comparison

    def cost(self, work: Work, rounds: int) -> Comparison:
        """Run with checkpoints and slices `FREQUENCY` times as often as by default, and with none at all."""
        interval, slice = CHECKPOINT_INTERVAL_SECONDS / FREQUENCY, SLICE_SECONDS / FREQUENCY
        title = f"checkpoints every {interval:g} s and slices of {slice:g} s"
        comparison = Comparison(title, [], [])
        for number in range(rounds):
            for often in (True, False) if number % 2 else (False, True):
                times = (slice, interval) if often else (NEVER_SECONDS, NEVER_SECONDS)
                run = self.run(work, 0.0, *times)
                _report(title, "often" if often else "never", run)
                (comparison.ours if often else comparison.baseline).append(run)
        return comparison

    def run(
        self,
        work: Work,
        delay: float = 0.0,
        slice: float = SLICE_SECONDS,
        checkpoints: float = CHECKPOINT_INTERVAL_SECONDS,
    ) -> Run:
        """Run the work in a worker that has done a small job before."""
        with vendor() as url, self._worker(url, slice, checkpoints) as worker:
            worker.run(self._warm.command, self._warm.data)
            set_latency(url, delay)
            return worker.run(work.command, work.data)

    def _run_baseline(self, work: Work, delay: float) -> Run:
        with vendor() as url:
            set_latency(url, delay)
            return run_baseline(work.loop, url, work.source, CONCURRENCY)

    @contextmanager
    def _worker(self, url: str, slice: float, checkpoints: float) -> Iterator[Worker]:
        with closing(
            Worker(self._folder, url, CONCURRENCY, slice, checkpoint_interval(checkpoints))
        ) as worker:
            yield worker


def _report(title: str, who: str, run: Run) -> None:
    line = (
        f"{title}, {who}: {run.seconds:.1f} s, {run.cpu:.1f} s of cpu, {run.growth:.0f} MB, {run.turns} turns"
    )
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - progress
