"""`python -m benchmarks.bulk`: move bulk data, compared with baseline loops of httpx; exit 1 if a bound is missed.

`--write FOLDER` writes the tables into `bulk.md` there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.bulk import report
from benchmarks.bulk.inputs import companies, ids, names, records
from benchmarks.bulk.installation import Run
from benchmarks.bulk.trials import Comparison, Trial, Work, fetch, import_file, resolve, start_job
from benchmarks.page import write

#: How long a slow vendor takes for a block or an entity.
LATENCY_SECONDS = 0.2
#: How long it takes for a page of results, which come one at a time.
PAGE_LATENCY_SECONDS = 0.02


def main() -> int:
    """Run everything; return 0 if all bounds are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows through data8.start_job and back")
    parser.add_argument("--megabytes", type=int, default=2_000, help="size of the CSV for Creditsafe")
    parser.add_argument("--names", type=int, default=200_000, help="names for Sayari to resolve")
    parser.add_argument(
        "--entities", type=int, default=20_000, help="entities to fetch from Sayari one by one"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, help="folder of bulk.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trial = Trial(folder)
        cost = trial.cost(
            start_job(companies(folder / "cost.csv", max(options.rows // 5, 1))), 2 * options.rounds + 1
        )
        memory = list(smaller(trial, folder, options))
        compared = list(comparisons(trial, folder, options))
    text, kept = report.tables(compared, memory, cost)
    sys.stdout.write(text + "\n")
    if options.write is not None:
        write(options.write / "bulk.md", "bulk", text)
    return 0 if kept else 1


def smaller(trial: Trial, folder: Path, options: Any) -> Iterator[tuple[str, Run]]:
    """Yield runs of the same work with fewer rows, to measure the memory."""
    for share in (100, 10, 3):
        rows = options.rows // share
        yield f"Data8, {rows:,} rows", trial.run(start_job(companies(folder / "few.csv", rows)))
    size = options.megabytes // 10
    yield f"Creditsafe, {size:,} MB", trial.run(import_file(records(folder / "few.csv", size * 1_000_000)))
    count = options.names // 10
    yield f"Sayari, {count:,} names", trial.run(resolve(names(folder / "few.csv", count)))


def comparisons(trial: Trial, folder: Path, options: Any) -> Iterator[Comparison]:
    """Yield the comparison of each kind of work; with slow vendors the numbers are smaller."""

    def compare(title: str, work: Work, *, bound: bool = True, delay: float = 0.0) -> Comparison:
        return trial.compare(title, work, options.rounds, bound=bound, delay=delay)

    rows, after = options.rows, f"each answered after {LATENCY_SECONDS:g} s"
    yield compare(f"Data8, {rows:,} rows up and back", start_job(companies(folder / "rows.csv", rows)))
    rows //= 4
    work = start_job(companies(folder / "rows.csv", rows))
    yield compare(f"Data8, {rows:,} rows, {after}", work, delay=LATENCY_SECONDS)
    source = records(folder / "records.csv", options.megabytes * 1_000_000)
    yield compare(f"Creditsafe, {options.megabytes:,} MB in parts", import_file(source))
    source.unlink()
    count = options.names
    work = resolve(names(folder / "names.csv", count))
    yield compare(
        f"Sayari, {count:,} names resolved, each page answered after {PAGE_LATENCY_SECONDS:g} s",
        work,
        delay=PAGE_LATENCY_SECONDS,
    )
    count //= 4
    work = resolve(names(folder / "names.csv", count))
    yield compare(f"Sayari, {count:,} names resolved, each page answered at once", work, bound=False)
    count = options.entities // 20
    work = fetch(ids(folder / "ids.csv", count))
    yield compare(f"Sayari, {count:,} entities one by one, {after}", work, delay=LATENCY_SECONDS)
    count = options.entities
    work = fetch(ids(folder / "ids.csv", count))
    yield compare(f"Sayari, {count:,} entities one by one, each answered at once", work, bound=False)


if __name__ == "__main__":
    sys.exit(main())
