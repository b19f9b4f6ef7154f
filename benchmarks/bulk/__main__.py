"""`python -m benchmarks.bulk`: many rows to vendors and back, against bare httpx loops; exit 1 if a bound is broken.

`--write FOLDER` puts the numbers into `performance.md` there.
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
from benchmarks.bulk.trials import Compared, Trial, Work, fetch, import_file, resolve, start_job
from benchmarks.page import write

#: Seconds that a vendor takes for a block or an entity, where it takes any.
LATENCY = 0.2
#: And for a page of results, of which there is one at a time.
PAGE_LATENCY = 0.02


def main() -> int:
    """Run everything; 0 if all bounds are kept."""
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
        trial = Trial(folder)
        cost = trial.cost(
            start_job(companies(folder / "cost.csv", max(options.rows // 5, 1))), 2 * options.rounds + 1
        )
        memory = list(smaller(trial, folder, options))
        compared = list(comparisons(trial, folder, options))
    text, kept = report.tables(compared, memory, cost)
    sys.stdout.write(text + "\n")
    if options.write is not None:
        write(options.write / "performance.md", "bulk", text)
    return 0 if kept else 1


def smaller(trial: Trial, folder: Path, options: Any) -> Iterator[tuple[str, Run]]:
    """The same work with fewer rows, for the memory that it takes."""
    for share in (100, 10, 3):
        rows = options.rows // share
        yield f"Data8, {rows:,} rows", trial.run(start_job(companies(folder / "few.csv", rows)))
    size = options.megabytes // 10
    yield f"Creditsafe, {size:,} MB", trial.run(import_file(records(folder / "few.csv", size * 1_000_000)))
    count = options.names // 10
    yield f"Sayari, {count:,} names", trial.run(resolve(names(folder / "few.csv", count)))


def comparisons(trial: Trial, folder: Path, options: Any) -> Iterator[Compared]:
    """Each kind of work, one after the other; what answers after a while in smaller numbers."""

    def compare(what: str, work: Work, *, bound: bool = True, delay: float = 0.0) -> Compared:
        return trial.compare(what, work, options.rounds, bound=bound, delay=delay)

    rows, after = options.rows, f"each answered after {LATENCY:g} s"
    yield compare(f"Data8, {rows:,} rows up and back", start_job(companies(folder / "rows.csv", rows)))
    rows //= 4
    work = start_job(companies(folder / "rows.csv", rows))
    yield compare(f"Data8, {rows:,} rows, {after}", work, delay=LATENCY)
    source = records(folder / "records.csv", options.megabytes * 1_000_000)
    yield compare(f"Creditsafe, {options.megabytes:,} MB in parts", import_file(source))
    source.unlink()
    count = options.names
    work = resolve(names(folder / "names.csv", count))
    yield compare(
        f"Sayari, {count:,} names resolved, each page after {PAGE_LATENCY:g} s", work, delay=PAGE_LATENCY
    )
    count //= 4
    work = resolve(names(folder / "names.csv", count))
    yield compare(f"Sayari, {count:,} names resolved, each page at once", work, bound=False)
    count = options.entities // 20
    work = fetch(ids(folder / "ids.csv", count))
    yield compare(f"Sayari, {count:,} entities one by one, {after}", work, delay=LATENCY)
    count = options.entities
    work = fetch(ids(folder / "ids.csv", count))
    yield compare(f"Sayari, {count:,} entities one by one, each answered at once", work, bound=False)


if __name__ == "__main__":
    sys.exit(main())
