"""`data8.upload_dataset`, `data8.download_dataset`, `data8.delete_dataset`: datasets on their own."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Any

from clients.data8 import Data8
from clients.errors import NotFound
from messages.data8 import (
    DeleteDataset,
    DeleteDatasetResult,
    DownloadDataset,
    DownloadDatasetResult,
    UploadDataset,
    UploadDatasetResult,
)
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.registry import Services
from workers.jobs.data8.start_job import contents, fetch, readable
from workers.jobs.data8.upload import DeclaredTypes, dataset_name, inspect, load
from workers.jobs.input import intake
from workers.polling.next_poll import PollResult

#: What the steps of an upload are called after, as those of `data8.start_job` are after its slots.
WHAT = "dataset"


def upload_dataset(command: UploadDataset, run: Run, services: Services) -> UploadDatasetResult:
    """Upload a file into a new dataset; it is read through once before anything is sent."""
    data8 = services.data8
    declared = DeclaredTypes(command.columns)
    source = intake(
        run,
        services.storage,
        command.file,
        strict=command.strict,
        check_header=declared.check_header,
        check_row=declared.check_row,
    )
    look = partial(inspect, source, data8.assumptions, declared)
    table = run.transfer(f"inspect {WHAT}", look, kind="inspect")
    name = command.name or dataset_name(run.job_id, "")
    load(run, data8, WHAT, name, source, table)
    source.discard(run)
    words = {data8.assumptions.text: "text", data8.assumptions.whole_number: "whole_number"}
    return UploadDatasetResult.model_validate(
        {
            "dataset": name,
            "records": table["done"],
            "columns": {column: words[code] for column, code in table["columns"]},
            "rejects": source.publish_rejects(run),
        }
    )


def download_dataset(command: DownloadDataset, run: Run, services: Services) -> DownloadDatasetResult:
    """Download an output dataset into `<dataset>.<format>`. One that a job still fills is waited for."""
    look = partial(contents_now, services.data8, command.dataset)
    found = run.once("look", look, recover=repeatable)
    if not found:
        found = run.poll(
            "complete", lambda: PollResult("done", there) if (there := look()) else PollResult("running")
        )
    records = fetch(run, services.storage, services.data8, found, command.format)
    return DownloadDatasetResult(dataset=command.dataset, records=records)


def contents_now(data8: Data8, name: str) -> dict[str, Any]:
    """What `fetch` needs to know; nothing while a job fills the dataset.

    An input dataset can never be downloaded: Data8 says so when it is tried.
    """
    found = data8.datasets.get(name)
    return contents(name, found) if readable(found) or found.input else {}


def delete_dataset(command: DeleteDataset, run: Run, services: Services) -> DeleteDatasetResult:
    """Delete a dataset. One that is not there is what was wanted; its name is never used for another."""

    def delete() -> bool:
        with suppress(NotFound):
            services.data8.datasets.delete(command.dataset)
        return True

    run.once("delete", delete, recover=repeatable)
    return DeleteDatasetResult(dataset=command.dataset)
