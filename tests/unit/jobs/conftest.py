from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.core import World
from tests.support.sandbox_harness import Desk


@pytest.fixture
def desk(tmp_path: Path, sqlite_url: str) -> Iterator[Desk]:
    with Sandbox(world=World(job_seconds=0, queue_seconds=0)) as sandbox:
        made = Desk(sandbox, tmp_path, sqlite_url)
        yield made
        made.close()
