"""Findings as lines, as a file to be added to, and as a page."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from tests.chaos.trial import Disturbance, Finding


def line(finding: Finding) -> str:
    """One finding."""
    return (
        f"{finding.name:38} jobs {finding.jobs:4} done {finding.completed:4} unknown {finding.unknown:2}"
        f" lost {finding.lost} doubled {finding.doubled} late median {_seconds(finding.median):5}"
        f" p99 {_seconds(finding.p99):5} in doubt {finding.in_doubt:2}"
        f" last {finding.last:5.1f} total {finding.seconds:5.1f} deaths {finding.deaths}"
        f" {'; '.join(finding.notes)} {'WRONG' if finding.wrong else 'ok'}"
    )


def read(path: Path) -> list[Finding]:
    """The findings of earlier runs; none if there is no such file."""
    return [Finding(**each) for each in json.loads(path.read_text())] if path.exists() else []


def write(path: Path, findings: Sequence[Finding]) -> None:
    """Keep findings, without the results of the jobs."""
    path.write_text(
        json.dumps([asdict(each) | {"results": {}, "effects": {}} for each in findings], indent=1)
    )


def merged(findings: Sequence[Finding], new: Finding) -> list[Finding]:
    """`new` in the place of an earlier one of the same kind."""
    return [each for each in findings if (each.rabbitmq, each.name) != (new.rabbitmq, new.name)] + [new]


def document(findings: Sequence[Finding], order: Sequence[Disturbance]) -> str:
    """The page `docs/reliability.md`, with the findings in this order."""
    places = {disturbance.name: place for place, disturbance in enumerate(order)}
    known = [each for each in findings if each.name in places]
    known.sort(key=lambda each: ([int(part) for part in each.rabbitmq.split(".")], places[each.name]))
    parts = []
    for version, some in groupby(known, lambda each: each.rabbitmq):
        rows = "\n".join(map(_row, some))
        parts.append(f"## RabbitMQ {version}\n\n{_HEAD}\n{rows}")
    wrong = [f"* {f.name} on RabbitMQ {f.rabbitmq}: {each}" for f in known for each in f.wrong]
    disturbed = [each for each in known if each.name != order[0].name]
    return _PAGE.format(
        date=time.strftime("%Y-%m-%d"),
        python=platform.python_version(),
        postgres=known[0].postgres,
        cores=os.cpu_count(),
        jobs=known[0].jobs,
        disturbed=len(disturbed),
        total=sum(each.jobs for each in known),
        unknown=sum(each.unknown for each in known),
        lost=sum(each.lost for each in known),
        doubled=sum(each.doubled for each in known),
        parts="\n\n".join(parts),
        wrong="\n".join(["What was wrong:", "", *wrong]) if wrong else "Nothing else was wrong.",
    )


def _row(f: Finding) -> str:
    name = f"{f.name} ({f.notes[-1]})" if f.notes else f.name
    return (
        f"| {name} | {f.completed} | {f.unknown} | {f.lost} | {f.doubled} | {_seconds(f.median)} "
        f"| {_seconds(f.p99)} | {f.in_doubt} | {_seconds(f.last)} | {_seconds(f.seconds)} | {f.deaths} |"
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


_HEAD = """| disturbance | completed | unknown | lost | effects doubled | late, median s | late, p99 s | in doubt | last end, s | whole run, s | deaths |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""

_PAGE = """# Reliability, measured

Made by `make chaos` on {date}: Python {python}, PostgreSQL {postgres}, {cores} processor cores.

**{disturbed} disturbances, {total} jobs: {lost} lost, {doubled} effects doubled, {unknown} that need a person's look.**

Each line is one disturbance of a whole installation: a RabbitMQ node or three, a PostgreSQL ledger, two worker processes with four
threads each, and the vendors' stand-ins, whose jobs take 3 s. An upstream in bare pika publishes {jobs} jobs within 9 s, as many of each of the
18 commands of [the contract](contract.md) that work with vendors, while the disturbance goes on. After each:

* every job has ended, with exactly one final event id, in the ledger and as heard by the upstream;
* every effect happened at its vendor exactly once, by the vendors' own count (but for the request to identify duplicates, which changes nothing); the start of an *unknown* run at most once; there are as many of each kind as undisturbed;
* every result, its files byte by byte but for the vendors' ids and times, is that of the undisturbed run;
* no message is left in a dead-letter queue, but for those that were rejected.

*Unknown* are matching and enrichment runs that ended as `outcome_unknown`: Creditsafe has no way to tell. That is allowed to no other job, and only
where calls, answers, processes or ledger connections are cut; whether the one start in question was hit is not checked job by job. Nothing else
may end as failed, but for the jobs that are made to: those that kill their process (`internal_error`), that fail at the vendor
(`vendor_failed`) or never end there (`deadline_exceeded`). They come on top. The embedded line is one process with the embedded
broker and SQLite.

*Late* is how soon work goes on when the disturbance has ended, or when a worker, a node or a database was killed: of every job that had not
ended, by how many seconds its next turn ended after that moment, or after the turn's own time if that came later; in the middle, and for all
but one in a hundred. After a worker's death it must be
within 5 s and after a broker's return within 15 s, or the run fails. *In doubt* are jobs that waited two vendor timeouts on purpose, as an
effect of theirs that has no unique name could still have been under way. *Last end* is when the last job ended after the disturbance;
a job takes some 4 s, `portfolio.process` 20 s. *Deaths* are workers killed, or killed from inside.

{parts}

{wrong}

When RabbitMQ loses its data, commands that no worker had taken yet are lost with it: the upstream sends again what has not ended after 10 s,
as the table counts it. The same id is the same job, and a job that has ended tells its final event again. In the line with three nodes one node is
killed and brought back after the other: the one that the workers consume from, the one that leads their queues, the third. Where clocks are
a minute apart, so are the times in the logs, and nothing can be said of lateness.
"""
