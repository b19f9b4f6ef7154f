"""Findings as lines of text, as a JSON file and as a section of docs/explanation/reliability.md."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from benchmarks.page import write as write_section
from tests.chaos.trial import Disturbance, Finding


def line(finding: Finding) -> str:
    """Return one finding as a line of text."""
    return (
        f"{finding.name:38} jobs {finding.jobs:4} done {finding.completed:4} unknown {finding.unknown:2}"
        f" lost {finding.lost} doubled {finding.doubled} late median {_seconds(finding.median):5}"
        f" p99 {_seconds(finding.p99):5} in doubt {finding.in_doubt:2}"
        f" last {finding.last:5.1f} total {finding.seconds:5.1f} deaths {finding.deaths}"
        f" {'; '.join(finding.notes)} {'WRONG' if finding.wrong else 'ok'}"
    )


def read(path: Path) -> list[Finding]:
    """Return the findings of earlier runs; none if there is no such file."""
    return [Finding(**each) for each in json.loads(path.read_text())] if path.exists() else []


def write(path: Path, findings: Sequence[Finding]) -> None:
    """Write findings to a JSON file, without the results of the jobs."""
    path.write_text(
        json.dumps([asdict(each) | {"results": {}, "effects": {}} for each in findings], indent=1)
    )


def merged(findings: Sequence[Finding], new: Finding) -> list[Finding]:
    """Return the findings with `new` in place of an earlier one of the same disturbance and version."""
    return [each for each in findings if (each.rabbitmq, each.name) != (new.rabbitmq, new.name)] + [new]


def write_page(page: Path, findings: Sequence[Finding], order: Sequence[Disturbance]) -> None:
    """Write the results into the section `reliability` of a page, in the order of the disturbances."""
    write_section(page, "reliability", section(findings, order))


def section(findings: Sequence[Finding], order: Sequence[Disturbance]) -> str:
    """Return the results as Markdown: a summary, then one table per version of RabbitMQ."""
    places = {disturbance.name: place for place, disturbance in enumerate(order)}
    rows = [each for each in findings if each.name in places]
    rows.sort(key=lambda each: ([int(part) for part in each.rabbitmq.split(".")], places[each.name]))
    tables = []
    for version, group in groupby(rows, lambda each: each.rabbitmq):
        body = "\n".join(map(_row, group))
        tables.append(f"### RabbitMQ {version}\n\n{_HEAD}\n{body}")
    violations = [f"* {f.name} on RabbitMQ {f.rabbitmq}: {each}" for f in rows for each in f.wrong]
    return _SECTION.format(
        date=time.strftime("%Y-%m-%d"),
        python=platform.python_version(),
        postgres=rows[0].postgres,
        cores=os.cpu_count(),
        disturbed=sum(each.name != order[0].name for each in rows),
        total=sum(each.jobs for each in rows),
        unknown=sum(each.unknown for each in rows),
        lost=sum(each.lost for each in rows),
        doubled=sum(each.doubled for each in rows),
        tables="\n\n".join(tables),
        violations="\n".join(["Violations:", "", *violations]) if violations else "All other checks passed.",
    )


def _row(f: Finding) -> str:
    name = f"{f.name} ({f.notes[-1]})" if f.notes else f.name
    return (
        f"| {name} | {f.completed} | {f.unknown} | {f.lost} | {f.doubled} | {_seconds(f.median)} "
        f"| {_seconds(f.p99)} | {f.in_doubt} | {_seconds(f.last)} | {_seconds(f.seconds)} | {f.deaths} |"
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


_HEAD = """| disturbance | completed | unknown | lost | repeated effects | recovery, median s | recovery, p99 s | in doubt | last end, s | duration, s | deaths |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""

_SECTION = """\
Measured by `make chaos` on {date}, with Python {python}, PostgreSQL {postgres} and {cores} processor cores.

**{disturbed} disturbances, {total} jobs: {lost} lost, {doubled} repeated effects, {unknown} that need a person's decision.**

{tables}

{violations}"""
