"""Findings as lines and as a page."""

from __future__ import annotations

import os
import platform
import time

from tests.chaos.trial import Finding


def line(finding: Finding) -> str:
    """One finding."""
    first = "" if finding.first_turn is None else f"{finding.first_turn:5.1f}"
    return (
        f"{finding.name:38} jobs {finding.jobs:4} done {finding.completed:4} unknown {finding.unknown:2}"
        f" lost {finding.lost} doubled {finding.doubled} first turn {first:5} median {finding.median:5.1f}"
        f" p99 {finding.p99:5.1f} total {finding.seconds:5.1f} deaths {finding.deaths}"
        f" {'; '.join(finding.notes)} {'WRONG' if finding.wrong else 'ok'}"
    )


def document(findings: list[Finding], rabbitmq: str, postgres: str) -> str:
    """The page `docs/reliability.md`."""
    jobs = findings[0].jobs
    rows = [
        f"| {f.name} | {f.completed} | {f.unknown} | {f.lost} | {f.doubled} | {_seconds(f.first_turn)} "
        f"| {_seconds(f.median)} | {_seconds(f.p99)} | {_seconds(f.seconds)} | {f.deaths} |"
        for f in findings
    ]
    wrong = [f"* {f.name}: {each}" for f in findings for each in f.wrong]
    return _PAGE.format(
        date=time.strftime("%Y-%m-%d"),
        python=platform.python_version(),
        rabbitmq=rabbitmq,
        postgres=postgres,
        cores=os.cpu_count(),
        jobs=jobs,
        total=sum(f.jobs for f in findings),
        rows="\n".join(rows),
        wrong="\n".join(["What was wrong:", "", *wrong]) if wrong else "Nothing else was wrong.",
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


_PAGE = """# Reliability, measured

Made by `make chaos` on {date}: Python {python}, RabbitMQ {rabbitmq}, PostgreSQL {postgres}, {cores} processor cores.

Each line is one disturbance of a whole installation: a RabbitMQ node, a PostgreSQL ledger, two worker processes with four threads
each, and the vendors' stand-ins, whose jobs take 3 s. An upstream in bare pika publishes {jobs} jobs, a quarter each of
`creditsafe.import_file`, `creditsafe.run_matching`, `data8.start_job` and `sayari.resolve_entities`, while the disturbance goes on; {total} jobs
in all. After each:

* every job has ended, with exactly one final event id, in the ledger and as heard by the upstream;
* every effect happened at its vendor exactly once, by the vendors' own count; the start of an *unknown* run at most once;
* every result, its files byte by byte but for the vendors' ids and times, is that of the undisturbed run;
* no message is left in a dead-letter queue, but for those that were rejected.

*Unknown* are matching runs that ended as `outcome_unknown`, and Creditsafe has no way to tell. That is allowed to no other job, and only
where calls, answers, processes or ledger connections are cut; whether the one start in question was hit is not checked job by job. Nothing else
may end as failed, but for the jobs that kill their process, which come on top and must end as `internal_error`. The embedded line is one
process with the embedded broker and SQLite. Seconds are counted from the end of the
disturbance: to the end of the first turn after it, and to the end of the job, for the job in the middle and for all but one in a hundred.
0.0 is a job that ended before. In the undisturbed run they are counted from the first publish on: jobs are published within 6 s, and one
takes some 4 s. *Deaths* are workers killed, or killed from inside.

| disturbance | completed | unknown | lost | effects doubled | first turn, s | median, s | p99, s | whole run, s | deaths |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

{wrong}

When RabbitMQ loses its data, commands that no worker had taken yet are lost with it: the upstream sends again what has not ended after 10 s,
as the table counts it. The same id is the same job, and a job that has ended tells its final event again.
"""
