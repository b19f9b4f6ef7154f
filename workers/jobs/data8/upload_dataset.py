"""Upload a file into a new dataset: `data8.upload_dataset`."""

from __future__ import annotations

from functools import partial

from messages.data8 import (
    UploadDataset,
    UploadDatasetResult,
)
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.jobs.data8.dataset_upload import DeclaredTypes, dataset_name, inspect, load
from workers.jobs.input import intake

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
