from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from clients.errors import (
    VendorUnavailable,
)
from messages.events import Status
from tests.unit.engine.conftest import EffectVendor, HarnessFactory
from workers.engine.context import Run
from workers.errors import StorageUnavailable


def test_transfer_continues_at_its_checkpoint_when_the_vendor_was_unavailable(
    harness_of: HarnessFactory,
) -> None:
    pieces: list[int] = []
    errors = [VendorUnavailable("data8", "datasets.data.upload", "cannot be reached")]

    def work(checkpoint: Any) -> Generator[dict[str, int]]:
        for number in range(checkpoint["done"] if checkpoint else 0, 6):
            if number == 4 and errors:
                raise errors.pop()
            pieces.append(number)
            yield {"done": number + 1}

    harness = harness_of(lambda run: {"moved": run.transfer("upload", work, kind="upload", total=6)})
    harness.arrive()
    assert harness.job().progress == {"step": "upload", "percent": 66.7, "done": 4, "total": 6}
    assert harness.drive().status is Status.COMPLETED
    assert pieces == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    "error", [VendorUnavailable("data8", "datasets.data.download", "cannot be reached"), None]
)
def test_transfer_records_a_checkpoint_only_when_its_data_is_stored(
    harness_of: HarnessFactory, error: Exception | None
) -> None:
    recorded: list[Any] = []
    errors = [StorageUnavailable("the results cannot be stored: No space left on device")]

    def work(checkpoint: Any) -> Generator[dict[str, int]]:
        yield {"done": (checkpoint["done"] if checkpoint else 0) + 1}
        if error and not recorded:
            raise error

    def store() -> None:
        recorded.append([step.value for step in harness.ledger.queries.steps("job")])
        if errors:
            raise errors.pop()

    harness = harness_of(lambda run: {"moved": run.transfer("download", work, kind="download", store=store)})
    harness.arrive()
    assert recorded == [[]]
    assert harness.ledger.queries.steps("job") == [], "what could not be stored is not recorded"
    assert harness.drive().status is Status.COMPLETED
    assert recorded[-1] == []
    assert [step.value for step in harness.ledger.queries.steps("job")] == [{"done": 1}]


def test_transfer_ends_its_slice_when_the_process_stops(harness_of: HarnessFactory) -> None:
    def work(checkpoint: Any) -> Generator[dict[str, int]]:
        for number in range(checkpoint["done"] if checkpoint else 0, 3):
            yield {"done": number + 1}

    harness = harness_of(lambda run: {"moved": run.transfer("upload", work, kind="upload")})
    harness.stopping = True
    harness.arrive()
    assert harness.job().turns == 1
    assert [step.value for step in harness.ledger.queries.steps("job")] == [{"done": 1}]
    harness.stopping = False
    assert harness.drive().status is Status.COMPLETED


def test_transfer_repeats_no_piece_when_the_storage_was_unavailable(
    harness_of: HarnessFactory, vendor: EffectVendor
) -> None:
    start_errors = [StorageUnavailable("s3://bucket cannot be reached", retry_after=0.5)]
    errors = [StorageUnavailable("s3://bucket cannot be reached")]

    def work(at: Any) -> Generator[dict[str, Any]]:
        for done in range(at["done"] + 1 if at else 1, 4):
            if done == 3 and errors:
                raise errors.pop()
            vendor.do(str(done))
            yield {"done": done}

    def start() -> dict[str, Any]:
        if start_errors:
            raise start_errors.pop()
        return vendor.do("a")

    def job_function(run: Run) -> dict[str, Any]:
        return {"started": run.once("start", start), "moved": run.transfer("move", work, kind="upload")}

    harness = harness_of(job_function)
    harness.arrive()
    assert harness.job().status is Status.RUNNING
    assert harness.drive().status is Status.COMPLETED
    assert vendor.done == [
        "a",
        "1",
        "2",
        "3",
    ]
    assert harness.job().retries == 2
