"""`python -m benchmarks.bulk`: many rows to vendors and back, against bare httpx loops; exit 1 if a gate fails.

`--write FOLDER` puts the numbers into `performance.md` there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bulk.inputs import companies, ids, names, records
from benchmarks.bulk.installation import NO_CHECKPOINTS, Run, Worker, bare, latency, vendor
from benchmarks.page import stamp, write

#: Calls at once, of workers and of bare loops.
AT_ONCE = 8
#: Seconds that a vendor takes for a block, where it takes any.
LATENCY = 0.2
#: Seconds of a slice that never ends.
NO_SLICES = 86_400.0
#: MB by which a worker may grow.
GROWTH = 150.0
#: Throughput of a bare loop that is to be reached.
THROUGHPUT = 0.8
#: What checkpoints and slices may cost.
COST = 0.02

#: Runs one job on a worker.
Job = Callable[[Worker], Run]


@dataclass
class Compared:
    """The same work by a worker, by one without slices and checkpoints, and by a bare loop; a run of each a round."""

    what: str
    ours: list[Run]
    plain: list[Run]
    loops: list[Run]

    def ratio(self, one: list[Run], other: list[Run], of: Callable[[Run], float]) -> float:
        """The median of `one` ÷ `other` within each round."""
        return median(of(a) / of(b) for a, b in zip(one, other, strict=False))


class Trial:
    """All measurements.

    Args:
        folder: for inputs, results and ledgers.
        rounds: how often everything is repeated.
    """

    def __init__(self, folder: Path, rounds: int) -> None:
        self._folder = folder
        self._rounds = rounds
        self._small = companies(folder / "small.csv", 10_000)

    def compare(self, what: str, job: Job, loop: str, source: Path, delay: float = 0.0) -> Compared:
        """Interleaved: each round begins with another of the three."""
        found = Compared(what, [], [], [])
        kinds = ["ours", "plain", "loops"]
        for number in range(self._rounds):
            shift = number % len(kinds)
            for kind in kinds[shift:] + kinds[:shift]:
                run = self.run(kind, job, loop, source, delay)
                getattr(found, kind).append(run)
                told = f"{what}, {kind}: {run.seconds:.1f} s, {run.cpu:.1f} s of cpu, {run.grown:.0f} MB, {run.turns} turns"
                print(told, file=sys.stderr, flush=True)  # noqa: T201 - progress
        return found

    def run(self, kind: str, job: Job, loop: str, source: Path, delay: float) -> Run:
        """One of the three: `ours`, `plain` or `loops`."""
        with vendor() as url:
            latency(url, delay)
            if kind == "loops":
                return bare(loop, url, source, AT_ONCE)
            with self._worker(url, plain=kind == "plain") as worker:
                return job(worker)

    def memory(self) -> Run:
        """Ten thousand rows, for the memory that they take."""
        with vendor() as url, self._worker(url, plain=False) as worker:
            return start_job(self._small)(worker)

    @contextmanager
    def _worker(self, url: str, *, plain: bool) -> Iterator[Worker]:
        turn, preamble = (NO_SLICES, NO_CHECKPOINTS) if plain else (15.0, "")
        with closing(Worker(self._folder, url, AT_ONCE, turn, preamble)) as worker:
            start_job(companies(self._folder / "warm.csv", 20))(worker)
            yield worker


def start_job(source: Path) -> Job:
    """Rows through `data8.start_job` and back."""
    inputs = {"In": {"file": str(source)}}
    return lambda worker: worker.run("data8.start_job", workflow="Echo", inputs=inputs)


def import_file(source: Path) -> Job:
    """A file into a new portfolio."""
    return lambda worker: worker.run("creditsafe.import_file", file=str(source), portfolio={"name": "p"})


def resolve(source: Path) -> Job:
    """Names to be resolved."""
    return lambda worker: worker.run("sayari.resolve_entities", file=str(source))


def fetch(source: Path) -> Job:
    """Entities by id."""
    return lambda worker: worker.run("sayari.fetch_entities", file=str(source), detail="summary")


def main() -> int:
    """Run everything; 0 if all gates are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="through data8.start_job and back")
    parser.add_argument("--megabytes", type=int, default=2_000, help="of the CSV into Creditsafe")
    parser.add_argument("--names", type=int, default=200_000, help="to be resolved by Sayari")
    parser.add_argument("--entities", type=int, default=20_000, help="to be fetched from Sayari one by one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="folder of performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trial = Trial(folder, options.rounds)
        small = trial.memory()
        found: list[Compared] = []
        kept = True
        for comparison in comparisons(trial, folder, options):
            found.append(comparison)
            kept = report(found, small, options)
    return 0 if kept else 1


def comparisons(trial: Trial, folder: Path, options: Any) -> Iterator[Compared]:
    """Each kind of work, one after the other."""
    rows = companies(folder / "companies.csv", options.rows)
    what = f"Data8, {options.rows:,} rows up and back"
    yield trial.compare(f"{what}, each block answered at once", start_job(rows), "data8", rows)
    records_ = records(folder / "records.csv", options.megabytes * 1_000_000)
    yield trial.compare(
        f"Creditsafe, {options.megabytes:,} MB in parts", import_file(records_), "creditsafe", records_
    )
    records_.unlink()
    list_ = names(folder / "names.csv", options.names)
    yield trial.compare(f"Sayari, {options.names:,} names resolved", resolve(list_), "sayari", list_)
    yield trial.compare(
        f"{what}, each block answered after {LATENCY:g} s", start_job(rows), "data8", rows, LATENCY
    )
    list_ = ids(folder / "ids.csv", options.entities)
    yield trial.compare(f"Sayari, {options.entities:,} entities fetched", fetch(list_), "entities", list_)


def report(all_: list[Compared], small: Run, options: Any) -> bool:
    """Print the tables, write them where asked to, and say whether the gates are kept."""
    text = [f"{stamp()}, two cores, {options.rounds} rounds, {AT_ONCE} calls at once.", ""]
    text += ["| | bare loop, s | ours, s | throughput ÷ bare loop's | bound | processor time ÷ bare loop's |"]
    text += ["| --- | --: | --: | --: | --: | --: |"]
    kept = True
    for each in all_:
        reached = each.ratio(each.loops, each.ours, lambda run: run.seconds)
        cpu = each.ratio(each.ours, each.loops, lambda run: run.cpu)
        kept = kept and reached >= THROUGHPUT
        seconds = [median(run.seconds for run in runs) for runs in (each.loops, each.ours)]
        text += [
            f"| {each.what} | {seconds[0]:.1f} | {seconds[1]:.1f} | {reached:.2f} | {THROUGHPUT:g} | {cpu:.2f} |"
        ]
    text += [
        "",
        "| worker's memory, grown while a job runs, MB | after a tenth | half | nine tenths | at most | bound |",
    ]
    text += ["| --- | --: | --: | --: | --: | --: |"]
    for what, run in [("Data8, 10,000 rows", small), *((each.what, each.ours[-1]) for each in all_)]:
        kept = kept and run.grown <= GROWTH
        places = [run.memory[int(len(run.memory) * share)] - run.idle for share in (0.1, 0.5, 0.9)]
        shown = " | ".join(f"{value:.0f}" for value in [*places, run.grown, GROWTH])
        text += [f"| {what} | {shown} |"]
    text += ["", "| checkpoints and slices of 15 s ÷ none | turns | time | processor time | bound |"]
    text += ["| --- | --: | --: | --: | --: |"]
    for each in (one for one in all_ if one.plain):
        time = each.ratio(each.ours, each.plain, lambda run: run.seconds)
        cpu = each.ratio(each.ours, each.plain, lambda run: run.cpu)
        turns = f"{each.ours[-1].turns} to {each.plain[-1].turns}"
        text += [f"| {each.what} | {turns} | {time:.3f} | {cpu:.3f} | {1 + COST:g} |"]
    sys.stdout.write("\n".join(text) + "\n")
    if options.write is not None:
        write(options.write / "performance.md", "bulk", "\n".join(text))
    return kept


if __name__ == "__main__":
    sys.exit(main())
