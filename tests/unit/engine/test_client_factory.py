"""The assumptions about what Data8 does not document can be set in the environment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clients.data8 import Data8
from clients.data8.assumptions import Assumptions
from sandbox import Sandbox
from sandbox.core import SandboxState
from workers.engine.client_factory import build_data8_client, data8_assumptions_from
from workers.jobs.data8.start_job import poll_job
from workers.settings import Data8Assumptions, SettingsError, load

Connect = Callable[..., Data8]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Build Data8's client from environment variables, for a sandbox whose jobs end at once."""
    made: list[Data8] = []

    def connected(**assumptions: str) -> Data8:
        for name, value in assumptions.items():
            monkeypatch.setenv(f"KYB_DATA8__ASSUMPTIONS__{name}", value)
        settings = load().data8
        assert settings is not None
        made.append(build_data8_client(settings))
        return made[-1]

    with Sandbox(state=SandboxState(job_seconds=0, queue_seconds=0)) as sandbox:
        for name, value in sandbox.environment().items():
            monkeypatch.setenv(name, value)
        yield connected
    for client in made:
        client.close()


def finished(data8: Data8) -> str:
    data8.datasets.create("rows", {"a": 0})
    data8.datasets.upload("rows", 1, [{"a": "x"}])
    data8.datasets.update("rows", record_count=1)
    data8.jobs.create("job", "Echo", input_datasets={"Rows": "rows"})
    return "job"


@pytest.mark.parametrize(
    ("codes", "state"),
    [
        ({}, "done"),
        ({"COMPLETE": "5", "FAILED": "2"}, "failed"),
        ({"COMPLETE": "Finished", "FAILED": "3"}, "done"),  # decided by its outputs, which can all be read
    ],
)
def test_job_state_follows_the_configured_status_codes(
    connect: Connect, codes: dict[str, str], state: str
) -> None:
    data8 = connect(**codes)
    assert poll_job(data8, finished(data8)).state == state


def test_client_sends_the_configured_parameter_names(connect: Connect) -> None:
    data8 = connect(COUNT="number")
    name = finished(data8)
    output = data8.jobs.get(name).output_datasets["Rows"]
    assert list(data8.datasets.download(output, 1, 0)) == [{"a": "x"}]  # `count=0` would be refused


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Assumptions()),
        ({"__COMPLETE": "7", "__FAILED": "8, Broken"}, {"complete": {7}, "failed": {8, "Broken"}}),
        ({"__COMPLETE": "[7, 9]"}, {"complete": {7, 9}}),
        ({"__TEXT": "5", "__WHOLE_NUMBER": "6"}, {"text": 5, "whole_number": 6}),
        ({"__TOKEN_LIFETIME": "20m"}, {"token_lifetime": 1_200.0}),
        (
            {"": json.dumps({"complete": [7], "include_input": "in"})},
            {"complete": {7}, "include_input": "in"},
        ),
    ],
)
def test_assumptions_can_be_overridden_by_settings(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: Any
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"KYB_DATA8__ASSUMPTIONS{name}", value)
    assumptions = expected if isinstance(expected, Assumptions) else Assumptions(**expected)
    assert connect().assumptions == assumptions


def test_settings_have_a_field_for_each_assumption() -> None:
    assert set(Data8Assumptions.model_fields) == set(Assumptions.__dataclass_fields__)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("__COMPLET", "2", "KYB_DATA8__ASSUMPTIONS__COMPLET: Extra inputs"),
        ("__TEXT", "words", "KYB_DATA8__ASSUMPTIONS__TEXT: Input should be a valid integer"),
        ("", "words", "a JSON object"),
    ],
)
def test_settings_error_names_the_variable_when_an_assumption_is_invalid(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"KYB_DATA8__ASSUMPTIONS{name}", value)
    with pytest.raises(SettingsError, match=message) as refused:
        connect()
    assert "words" not in str(refused.value)


def test_settings_error_is_raised_when_a_code_means_success_and_failure() -> None:
    with pytest.raises(SettingsError, match="status 3 cannot be both complete and failed"):
        data8_assumptions_from(Data8Assumptions(complete=frozenset({3})))
