"""pytest fixtures for projects that work with these vendors.

In a `conftest.py`:

    pytest_plugins = ["sandbox.fixtures"]

Each test that asks for `kyb_sandbox` has vendors of its own. Override `kyb_sandbox_state` to change how they are.
Nothing else in this package needs pytest.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.core import SandboxState
from sandbox.server import Sandbox


@pytest.fixture
def kyb_sandbox_state() -> SandboxState:
    """The initial state of the simulators: vendor jobs end after a third of a second."""
    return SandboxState(job_seconds=0.3, queue_seconds=0.05)


@pytest.fixture
def kyb_sandbox(kyb_sandbox_state: SandboxState) -> Iterator[Sandbox]:
    """The three simulators on a free port; counters, faults and durations are in `kyb_sandbox.state`."""
    with Sandbox(state=kyb_sandbox_state) as sandbox:
        yield sandbox


@pytest.fixture
def kyb_environment(kyb_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The `KYB_…` variables that point at `kyb_sandbox`, set for the time of the test."""
    variables = kyb_sandbox.environment()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return variables
