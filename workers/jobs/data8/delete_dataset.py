"""Delete a dataset: `data8.delete_dataset`."""

from __future__ import annotations

from contextlib import suppress

from clients.errors import NotFound
from messages.data8 import (
    DeleteDataset,
    DeleteDatasetResult,
)
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.registry import Services


def delete_dataset(command: DeleteDataset, run: Run, services: Services) -> DeleteDatasetResult:
    """Delete a dataset. One that is not there is what was wanted; its name is never used for another."""

    def delete() -> bool:
        with suppress(NotFound):
            services.data8.datasets.delete(command.dataset)
        return True

    run.once("delete", delete, recover=repeatable)
    return DeleteDatasetResult(dataset=command.dataset)
