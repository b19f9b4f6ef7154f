"""The quick disturbances with few jobs; `make chaos` runs all of them with many."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.chaos.disturbances import DISTURBANCES
from tests.chaos.installation import Installation
from tests.chaos.trial import Disturbance, Finding, Trial, undisturbed
from tests.support.scenarios import SCENARIOS
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ

JOBS = len(SCENARIOS)
QUICK = [each for each in DISTURBANCES if each.quick]


def trial(
    folder: Path,
    disturbance: Disturbance,
    expected: Finding | None,
    postgres: Postgres,
    rabbitmq: RabbitMQ | None,
) -> Finding:
    folder.mkdir()
    with (
        Sandbox(state=SandboxState(job_seconds=0.5, queue_seconds=0.1)) as sandbox,
        closing(
            Installation(folder, sandbox, rabbitmq, None if disturbance.embedded else postgres)
        ) as installation,
    ):
        return Trial(installation, disturbance, JOBS, expected).play(spread=1.5, length=2.5)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("half", [QUICK[::2], QUICK[1::2]], ids=["one half", "the other"])
def test_no_job_is_lost_or_repeated_when_the_installation_is_disturbed(
    tmp_path: Path, postgres: Postgres, frail_rabbitmq: RabbitMQ, half: list[Disturbance]
) -> None:
    """All run on one node in sequence, so that the remains of one must not affect the next."""
    first = trial(tmp_path / "0", Disturbance("undisturbed", undisturbed), None, postgres, frail_rabbitmq)
    assert (first.completed, first.wrong) == (JOBS, [])
    for number, disturbance in enumerate(half, start=1):
        rabbitmq = None if disturbance.embedded else frail_rabbitmq
        finding = trial(tmp_path / str(number), disturbance, first, postgres, rabbitmq)
        assert finding.wrong == [], f"{finding.name}: {finding.wrong}"
        assert finding.completed + finding.unknown == JOBS
