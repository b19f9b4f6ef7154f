"""`python -m tests.chaos`: run all disturbances, each with six jobs of each of 18 commands.

`--report docs/explanation/reliability.md` writes the results into that page. With `--findings FILE` a run may be split:
the file keeps the earlier findings that a later run does not replace.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg

from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.chaos import report
from tests.chaos.disturbances import DISTURBANCES
from tests.chaos.installation import Installation
from tests.chaos.trial import Disturbance, Finding, Trial, undisturbed
from tests.testbed import rabbitmq, rabbitmq4
from tests.testbed.cluster import Cluster
from tests.testbed.disk import small_disk
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import Programs, RabbitMQ

#: The version that the system has installed.
SYSTEM = "system"
FIRST = Disturbance("undisturbed", undisturbed)


def main() -> int:
    """Return the exit status: 0 if there is no violation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=108)
    parser.add_argument("--only", default="", help="disturbances whose name matches this")
    parser.add_argument("--keep", help="folder for logs and files, kept")
    parser.add_argument(
        "--rabbitmq",
        default=SYSTEM,
        help=f"versions, comma-separated: {SYSTEM}, {', '.join(rabbitmq4.RELEASES)}",
    )
    parser.add_argument("--findings", type=Path, help="file of earlier findings, to be added to")
    parser.add_argument("--report", type=Path, help="page whose results are replaced")
    arguments = parser.parse_args()
    folder = Path(arguments.keep or tempfile.mkdtemp(prefix="kyb-chaos-"))
    findings = report.read(arguments.findings) if arguments.findings else []
    failed = False
    with closing(Postgres()) as postgres:
        postgres.start()
        for version in arguments.rabbitmq.split(","):
            for finding in trials(folder / version, version, arguments.only, arguments.jobs, postgres):
                findings = report.merged(findings, finding)
                sys.stdout.write(report.line(finding) + "\n")
                sys.stdout.writelines(f"    WRONG {each}\n" for each in finding.wrong)
                sys.stdout.flush()
                failed = failed or bool(finding.wrong)
                if arguments.findings:
                    report.write(arguments.findings, findings)
    if arguments.report:
        report.write_page(arguments.report, findings, [FIRST, *DISTURBANCES])
    return 1 if failed else 0


def trials(folder: Path, version: str, only: str, jobs: int, postgres: Postgres) -> Iterator[Finding]:
    """Yield the findings of an undisturbed trial and of all disturbances, on this version of RabbitMQ."""
    of = rabbitmq.programs() if version == SYSTEM else rabbitmq4.programs(version)
    versions = (version_of(of), version_of_postgres(postgres))
    first = version == SYSTEM  # the embedded broker is the same with all
    chosen = [each for each in DISTURBANCES if re.search(only, each.name) and (first or not each.embedded)]
    expected: Finding | None = None
    for number, disturbance in enumerate([FIRST, *chosen]):
        finding = trial(folder / str(number), disturbance, jobs, expected, postgres, of)
        expected = expected or finding
        if disturbance.within is not None and (finding.p99 or 0.0) > disturbance.within:
            finding.wrong.append(
                f"work went on {finding.p99:.1f} s too late, not within {disturbance.within} s"
            )
        finding.rabbitmq, finding.postgres = versions
        yield finding


def version_of(of: Programs) -> str:
    """Return the version of RabbitMQ."""
    with closing(RabbitMQ(of)) as node:
        node.start()
        return node.ctl("version").strip()


def version_of_postgres(postgres: Postgres) -> str:
    """Return the version of PostgreSQL."""
    with psycopg.connect(postgres.url) as connection:
        number = connection.info.server_version
    return f"{number // 10_000}.{number % 10_000}"


def trial(
    folder: Path,
    disturbance: Disturbance,
    jobs: int,
    expected: Finding | None,
    postgres: Postgres,
    of: Programs,
) -> Finding:
    """One disturbance with a RabbitMQ, a database and vendors of its own."""
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        broker: RabbitMQ | Cluster | None = None
        if not disturbance.embedded:
            broker = stack.enter_context(closing(Cluster(of) if disturbance.cluster else RabbitMQ(of)))
            broker.start()
        if disturbance.small_disk:
            disk = stack.enter_context(small_disk(160))
            postgres = stack.enter_context(closing(Postgres(disk=disk)))
            postgres.start()
        sandbox = stack.enter_context(Sandbox(state=SandboxState(job_seconds=3.0)))
        installation = stack.enter_context(
            closing(Installation(folder, sandbox, broker, None if disturbance.embedded else postgres))
        )
        return Trial(installation, disturbance, jobs, expected).play(spread=9.0, length=8.0)


if __name__ == "__main__":
    sys.exit(main())
