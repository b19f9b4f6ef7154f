"""The same work by a worker and by a bare loop, in turns, and by a worker that records its way often or never."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.bulk.inputs import companies
from benchmarks.bulk.installation import Run, Worker, bare, checkpoints_each, latency, vendor
from workers.engine.context import CHECKPOINT_INTERVAL_SECONDS

#: Calls at once, of workers and of bare loops.
AT_ONCE = 8
#: Seconds of a slice, by default.
SLICE = 15.0
#: Seconds of a slice that never ends, and between checkpoints that never come.
NEVER = 86_400.0
#: How many times as often as by default checkpoints and slices come where their cost is measured.
OFTEN = 10


class Work(NamedTuple):
    """A job on a worker, and the bare loop that does the same.

    Attributes:
        command: its type.
        data: of the command.
        loop: one of `benchmarks.bulk.loops`.
        source: the input.
    """

    command: str
    data: Mapping[str, object]
    loop: str
    source: Path


def start_job(source: Path) -> Work:
    """Rows through `data8.start_job` and back."""
    data = {"workflow": "Echo", "inputs": {"In": {"file": str(source)}}}
    return Work("data8.start_job", data, "data8", source)


def import_file(source: Path) -> Work:
    """A file into a new portfolio."""
    data = {"file": str(source), "portfolio": {"name": "p"}}
    return Work("creditsafe.import_file", data, "creditsafe", source)


def resolve(source: Path) -> Work:
    """Names to be resolved."""
    return Work("sayari.resolve_entities", {"file": str(source)}, "sayari", source)


def fetch(source: Path) -> Work:
    """Entities by id."""
    data = {"file": str(source), "detail": "summary"}
    return Work("sayari.fetch_entities", data, "entities", source)


@dataclass
class Compared:
    """Runs of two kinds, one of each a round.

    Attributes:
        what: the work.
        ours: by a worker.
        others: what it is compared with.
        bound: whether there is one.
    """

    what: str
    ours: list[Run]
    others: list[Run]
    bound: bool = True

    def ratios(self, of: Callable[[Run], float]) -> list[float]:
        """Of each round, ours ÷ the other's."""
        return [of(a) / of(b) for a, b in zip(self.ours, self.others, strict=True)]

    def ratio(self, of: Callable[[Run], float]) -> float:
        """Their median."""
        return median(self.ratios(of))


class Trial:
    """All measurements.

    Args:
        folder: for inputs, results and ledgers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._warm = start_job(companies(folder / "warm.csv", 20))

    def compare(
        self, what: str, work: Work, rounds: int, *, bound: bool = True, delay: float = 0.0
    ) -> Compared:
        """A worker and the bare loop, in turns: each round begins with the other one."""
        found = Compared(what, [], [], bound)
        for number in range(rounds):
            for ours in (True, False) if number % 2 else (False, True):
                run = self.run(work, delay) if ours else self._bare(work, delay)
                _tell(what, "ours" if ours else "bare loop", run)
                (found.ours if ours else found.others).append(run)
        return found

    def cost(self, work: Work, rounds: int) -> Compared:
        """Checkpoints and slices that come `OFTEN` times as often as by default, and none at all."""
        what = f"checkpoints each {CHECKPOINT_INTERVAL_SECONDS / OFTEN:g} s and slices of {SLICE / OFTEN:g} s"
        found = Compared(what, [], [])
        for number in range(rounds):
            for often in (True, False) if number % 2 else (False, True):
                times = (SLICE / OFTEN, CHECKPOINT_INTERVAL_SECONDS / OFTEN) if often else (NEVER, NEVER)
                run = self.run(work, 0.0, *times)
                _tell(what, "often" if often else "never", run)
                (found.ours if often else found.others).append(run)
        return found

    def run(
        self,
        work: Work,
        delay: float = 0.0,
        slice: float = SLICE,
        checkpoints: float = CHECKPOINT_INTERVAL_SECONDS,
    ) -> Run:
        """The work by a worker that has done a small job before."""
        with vendor() as url, self._worker(url, slice, checkpoints) as worker:
            worker.run(self._warm.command, self._warm.data)
            latency(url, delay)
            return worker.run(work.command, work.data)

    def _bare(self, work: Work, delay: float) -> Run:
        with vendor() as url:
            latency(url, delay)
            return bare(work.loop, url, work.source, AT_ONCE)

    @contextmanager
    def _worker(self, url: str, slice: float, checkpoints: float) -> Iterator[Worker]:
        with closing(Worker(self._folder, url, AT_ONCE, slice, checkpoints_each(checkpoints))) as worker:
            yield worker


def _tell(what: str, who: str, run: Run) -> None:
    told = (
        f"{what}, {who}: {run.seconds:.1f} s, {run.cpu:.1f} s of cpu, {run.grown:.0f} MB, {run.turns} turns"
    )
    print(told, file=sys.stderr, flush=True)  # noqa: T201 - progress
