from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.support.sandbox_harness import SandboxHarness


@pytest.fixture
def harness(tmp_path: Path, sqlite_url: str) -> Iterator[SandboxHarness]:
    with Sandbox(state=SandboxState(job_seconds=0, queue_seconds=0)) as sandbox:
        made = SandboxHarness(sandbox, tmp_path, sqlite_url)
        yield made
        made.close()
