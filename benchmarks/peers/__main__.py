"""`python -m benchmarks.peers`: the same jobs with what a user would pick instead, in turns, in one run.

`--write FOLDER` puts the tables into `performance.md` there, and the picture beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.page import stamp, write
from benchmarks.peers import report
from benchmarks.peers.contenders import CONTENDERS, OTHERS, Contender
from benchmarks.peers.rounds import Crash, Speed, Waiting, crash, say, speed, waiting
from benchmarks.peers.site import Installation, Site
from benchmarks.peers.vendor import Drawn, Vendor

#: Vendor jobs take so many seconds in the middle, log-normal: a 15th of minutes, as the others' second between
#: two looks is a 15th of 15 s.
MEDIAN, SIGMA = 4.0, 0.5


def main() -> int:
    """Run the trials that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[one.key for one in CONTENDERS], help="contenders")
    parser.add_argument("--trials", nargs="+", default=["speed", "crash", "waiting"])
    parser.add_argument("--rounds", type=int, default=5, help="of the speed trial")
    parser.add_argument("--jobs", type=int, default=200, help="in each of them")
    parser.add_argument("--kills", type=int, default=10, help="kill -9 of all workers")
    parser.add_argument("--crash-jobs", type=int, default=120, help="jobs meanwhile")
    parser.add_argument("--waiting", type=int, default=100_000, help="jobs that wait, at most")
    parser.add_argument("--write", type=Path, help="folder of performance.md")
    options = parser.parse_args()
    if not OTHERS.exists():
        sys.exit("run `make bench-peers`: it makes .venv-peers first")
    contenders = [one for one in CONTENDERS if one.key in options.only]
    with Vendor(Drawn(MEDIAN, SIGMA)) as vendor, closing(Site(vendor)) as site:
        site.start()
        results = {
            "speed": lambda: report.speeds(_speeds(site, contenders, options.rounds, options.jobs)),
            "crash": lambda: report.crashes(_crashes(site, contenders, options.crash_jobs, options.kills)),
            "waiting": lambda: report.waits(_waits(site, contenders, options.waiting)),
        }
        for trial in options.trials:
            text, picture = results[trial]()
            sys.stdout.write(f"\n{text}\n")
            if options.write is not None:
                write(options.write / "performance.md", f"peers {trial}", f"{stamp()}, two cores.\n\n{text}")
                if picture:
                    (options.write / f"peers-{trial}.svg").write_text(picture)
    return 0


def _speeds(
    site: Site, contenders: Sequence[Contender], rounds: int, jobs: int
) -> dict[Contender, list[Speed]]:
    found: dict[Contender, list[Speed]] = {one: [] for one in contenders}
    installations = [Installation(site, one) for one in contenders]
    try:
        for number in range(rounds):
            turned = installations[number % len(contenders) :] + installations[: number % len(contenders)]
            for installation in turned:
                one = speed(site, installation, jobs, number)
                found[installation.contender].append(one)
                say(f"{installation.contender.title}: {one}")
    finally:
        for installation in installations:
            installation.close()
    return found


def _crashes(
    site: Site, contenders: Sequence[Contender], jobs: int, kills: int
) -> dict[Contender, list[Crash]]:
    found: dict[Contender, list[Crash]] = {one: [] for one in contenders}
    for contender in contenders:
        for fresh in (True, False):
            with closing(Installation(site, contender, fresh_names=fresh)) as installation:
                one = crash(site, installation, jobs, kills, f"{contender.key}{'f' if fresh else 'p'}")
            found[contender].append(one)
            say(f"{contender.title}: {one}")
    return found


def _waits(site: Site, contenders: Sequence[Contender], jobs: int) -> dict[Contender, Waiting]:
    found: dict[Contender, Waiting] = {}
    for contender in contenders:
        with closing(Installation(site, contender)) as installation:
            found[contender] = waiting(site, installation, min(jobs, contender.waiting))
        say(f"{contender.title}: {found[contender]}")
    return found


if __name__ == "__main__":
    sys.exit(main())
