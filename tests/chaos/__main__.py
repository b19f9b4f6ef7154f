"""`python -m tests.chaos`: all disturbances, each with many jobs; a table, and docs/reliability.md."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg

from sandbox import Sandbox
from sandbox.core import World
from tests.chaos import report
from tests.chaos.plant import Plant
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.trial import Expected, Finding, Scenario, Trial, undisturbed
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ


def main() -> int:
    """Exit status: 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--only", default="", help="scenarios whose name matches this")
    parser.add_argument("--keep", help="folder for logs and files, kept")
    parser.add_argument("--report", type=Path, help="write the report there")
    given = parser.parse_args()
    folder = Path(given.keep or tempfile.mkdtemp(prefix="kyb-chaos-"))
    chosen = [scenario for scenario in SCENARIOS if re.search(given.only, scenario.name)]
    findings: list[Finding] = []
    with closing(Postgres()) as postgres:
        postgres.start()
        first = trial(folder / "0", Scenario("undisturbed", undisturbed), given.jobs, None, postgres)
        findings.append(first)
        sys.stdout.write(report.line(first) + "\n")
        for number, scenario in enumerate(chosen, start=1):
            finding = trial(folder / str(number), scenario, given.jobs, first.results, postgres)
            findings.append(finding)
            sys.stdout.write(report.line(finding) + "\n")
            sys.stdout.writelines(f"    WRONG {wrong}\n" for wrong in finding.wrong)
            sys.stdout.flush()
    if given.report:
        given.report.write_text(report.document(findings, *versions()))
    return 1 if any(finding.wrong for finding in findings) else 0


def versions() -> tuple[str, str]:
    """Of RabbitMQ and PostgreSQL."""
    with closing(RabbitMQ()) as rabbitmq, closing(Postgres()) as postgres:
        rabbitmq.start()
        postgres.start()
        with psycopg.connect(postgres.url) as connection:
            number = connection.info.server_version
        version = rabbitmq.ctl("version").strip()
        return version, f"{number // 10_000}.{number % 10_000}"


def trial(
    folder: Path, scenario: Scenario, jobs: int, expected: Expected | None, postgres: Postgres
) -> Finding:
    """One disturbance with a RabbitMQ, a database and vendors of its own."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        rabbitmq = None
        if not scenario.embedded:
            rabbitmq = stack.enter_context(closing(RabbitMQ()))
            rabbitmq.start()
        sandbox = stack.enter_context(Sandbox(world=World(job_seconds=3.0)))
        plant = stack.enter_context(
            closing(Plant(folder, sandbox, rabbitmq, None if scenario.embedded else postgres))
        )
        return Trial(plant, scenario, jobs, expected).play(spread=6.0, length=8.0)


if __name__ == "__main__":
    sys.exit(main())
