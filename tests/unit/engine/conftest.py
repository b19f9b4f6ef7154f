from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.errors import (
    OutcomeUnknown,
)
from clients.transport import before_effect
from tests.support.turn_harness import LIMITS, TurnHarness
from workers.engine.context import Run
from workers.engine.run_limits import RunLimits

JobFunction = Callable[[Run], dict[str, Any]]
HarnessFactory = Callable[..., TurnHarness]


class EffectVendor:
    """A vendor that records its effects; answers can be lost after them."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.lose_answers = 0
        self.refuse: Exception | None = None

    def do(self, name: str) -> dict[str, Any]:
        before_effect.get()()
        if self.refuse is not None:
            error, self.refuse = self.refuse, None
            raise error
        self.done.append(name)
        if self.lose_answers:
            self.lose_answers -= 1
            raise OutcomeUnknown("data8", "jobs.create", "the answer was lost")
        return {"name": name}

    def find(self, name: str) -> dict[str, Any] | None:
        return {"name": name} if name in self.done else None


@pytest.fixture
def vendor() -> EffectVendor:
    return EffectVendor()


@pytest.fixture
def harness_of(tmp_path: Path, sqlite_url: str) -> Iterator[HarnessFactory]:
    harnesses: list[TurnHarness] = []

    def build(job_function: JobFunction, limits: RunLimits = LIMITS, deadline: float = 60.0) -> TurnHarness:
        harnesses.append(TurnHarness(sqlite_url, tmp_path, job_function, limits, deadline))
        return harnesses[-1]

    yield build
    for harness in harnesses:
        harness.database.close()


def error_code(harness: TurnHarness) -> str:
    """Return the error code of the failed job."""
    error = harness.job().error
    assert error is not None
    return str(error["code"])
