"""`python -m benchmarks.peers`: run the same jobs with other tools, in turns.

`--write FOLDER` writes the tables into `peers.md` there, and the chart beside it. `--trials profile` shows where the
CPU time of our own workers goes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.page import stamp, write
from benchmarks.peers import report
from benchmarks.peers.contenders import CONTENDERS, PEER_BIN, Contender
from benchmarks.peers.profile import profile
from benchmarks.peers.rounds import Crash, Speed, Waiting, crash, say, speed, waiting
from benchmarks.peers.site import Installation, Site
from benchmarks.peers.summary import summary
from benchmarks.peers.vendor import RandomDurations, Vendor

#: The log-normal durations of vendor jobs, in seconds: a 15th of minutes, as the second between two polls of the
#: other contenders is a 15th of 15 s.
MEDIAN_SECONDS, SIGMA = 4.0, 0.5
TRIALS = ["speed", "crash", "waiting", "profile"]


def main() -> int:
    """Run the requested trials."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[one.key for one in CONTENDERS], help="contenders")
    parser.add_argument("--trials", nargs="+", default=TRIALS, choices=TRIALS)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the speed trial")
    parser.add_argument("--jobs", type=int, default=150, help="jobs per round, and in the profile")
    parser.add_argument("--kills", type=int, default=6, help="kill -9 of all workers")
    parser.add_argument("--crash-jobs", type=int, default=96, help="jobs during the kills")
    parser.add_argument("--waiting", type=int, default=100_000, help="waiting jobs, at most")
    parser.add_argument("--write", type=Path, help="folder of peers.md")
    options = parser.parse_args()
    if not PEER_BIN.exists():
        sys.exit("run `make bench-peers`: it creates .venv-peers first")
    contenders = [one for one in CONTENDERS if one.key in options.only]
    with Vendor(RandomDurations(MEDIAN_SECONDS, SIGMA)) as vendor, closing(Site(vendor)) as site:
        site.start()
        tables: dict[str, str] = {}
        if "speed" in options.trials:
            speeds = _speeds(site, _in(contenders, "speed"), options.rounds, options.jobs)
            tables["speed"], chart = report.speeds(speeds)
            if options.write is not None:
                (options.write / "peers-speed.svg").write_text(chart)
        if "crash" in options.trials:
            crashes = _crashes(site, _in(contenders, "crash"), options.crash_jobs, options.kills)
            tables["crash"] = report.crashes(crashes)
        if "waiting" in options.trials:
            waits = _waits(site, _in(contenders, "waiting"), options.waiting)
            tables["waiting"] = report.waits(waits)
        if "profile" in options.trials:
            tables["profile"] = profile(site, options.jobs)
        if {"speed", "crash", "waiting"} <= tables.keys() and len(contenders) == len(CONTENDERS):
            tables["summary"] = summary(speeds, crashes, waits)
    for name, text in tables.items():
        sys.stdout.write(f"\n{text}\n")
        if options.write is not None:
            write(options.write / "peers.md", f"peers {name}", f"{stamp()}, two cores.\n\n{text}")
    return 0


def _in(contenders: Sequence[Contender], trial: str) -> list[Contender]:
    return [one for one in contenders if trial in one.trials]


def _speeds(
    site: Site, contenders: Sequence[Contender], rounds: int, jobs: int
) -> dict[Contender, list[Speed]]:
    results: dict[Contender, list[Speed]] = {one: [] for one in contenders}
    installations = [Installation(site, one) for one in contenders]
    try:
        for number in range(rounds):
            rotated = installations[number % len(contenders) :] + installations[: number % len(contenders)]
            for installation in rotated:
                one = speed(site, installation, jobs, number)
                results[installation.contender].append(one)
                say(f"{installation.contender.title}: {one}")
    finally:
        for installation in installations:
            installation.close()
    return results


def _crashes(site: Site, contenders: Sequence[Contender], jobs: int, kills: int) -> dict[Contender, Crash]:
    results: dict[Contender, Crash] = {}
    for contender in contenders:
        with closing(Installation(site, contender)) as installation:
            results[contender] = crash(site, installation, jobs, kills)
        say(f"{contender.title}: {results[contender]}")
    return results


def _waits(site: Site, contenders: Sequence[Contender], jobs: int) -> dict[Contender, Waiting]:
    results: dict[Contender, Waiting] = {}
    for contender in contenders:
        with closing(Installation(site, contender)) as installation:
            results[contender] = waiting(site, installation, min(jobs, contender.waiting))
        say(f"{contender.title}: {results[contender]}")
    return results


if __name__ == "__main__":
    sys.exit(main())
