"""Thousands of histories of the turn protocol; `KYB_TEST_HISTORIES` and `KYB_TEST_STEPS` ask for more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import machine_on

HISTORIES = int(os.environ.get("KYB_TEST_HISTORIES", "60"))
STEPS = int(os.environ.get("KYB_TEST_STEPS", "40"))
#: Shrinking a failing history takes minutes: 1 gives it as it was found.
FIND_ONLY = os.environ.get("KYB_TEST_FIND_ONLY") == "1"


def profile(histories: int) -> settings:
    return settings(
        max_examples=histories,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
        # the same histories each time, so that a change is judged by itself; others when more are asked for
        derandomize="KYB_TEST_HISTORIES" not in os.environ,
        report_multiple_bugs=False,
        phases=[Phase.generate] if FIND_ONLY else list(Phase),
    )


@pytest.mark.long
@pytest.mark.timeout(max(120, HISTORIES))
def test_turn_protocol_on_sqlite(tmp_path: Path, sqlite_url: str) -> None:
    run_state_machine_as_test(machine_on(sqlite_url, str(tmp_path)), settings=profile(HISTORIES))


@pytest.mark.timeout(max(120, HISTORIES))
def test_turn_protocol_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    run_state_machine_as_test(
        machine_on(postgres_url, str(tmp_path)), settings=profile(max(HISTORIES // 20, 5))
    )
