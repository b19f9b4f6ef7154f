"""`data8.start_job`: files into datasets, a workflow over them, and what it produces into files."""

from __future__ import annotations

import json
from collections.abc import Generator
from decimal import Decimal
from functools import partial
from typing import Any, TypedDict

from clients.data8 import Data8, Dataset, Job
from clients.data8.assumptions import BLOCK_LIMIT
from clients.errors import NotFound
from messages.base import File, TableFormat
from messages.data8 import StartJob, StartJobResult
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.files.formats.csv_table import csv_line, csv_lines
from workers.files.storage import Appender, Storage
from workers.jobs.data8.dataset_upload import (
    NAME_LIMIT,
    DeclaredTypes,
    blocks_at_once,
    dataset_name,
    digest,
    inspect,
    load,
    once_by_unique_name,
)
from workers.jobs.input import intake
from workers.jobs.results import publish_table
from workers.polling.next_poll import PollResult

#: Fractions of more digits than this, leading zeros included, keep their exponent.
_PLAIN_DIGITS = 100


class DownloadCheckpoint(TypedDict):
    """Checkpoint of a download: the next row, bytes written, and rows."""

    start: int
    offset: int
    done: int


def start_job(command: StartJob, run: Run, services: Services) -> StartJobResult:
    """Run a workflow over files or datasets and fetch what it produces.

    All files are read through once before anything is sent, so that a bad one leaves nothing at Data8.
    """
    data8, storage = services.data8, services.storage
    sources = {
        slot: intake(run, storage, given.file, name=slot, strict=command.strict)
        for slot, given in command.inputs_.items()
        if given.file is not None
    }
    tables = {
        slot: run.transfer(
            f"inspect {slot}", partial(inspect, source, data8.assumptions, DeclaredTypes({})), kind="inspect"
        )
        for slot, source in sources.items()
    }
    datasets = {slot: given.dataset for slot, given in command.inputs_.items() if given.dataset is not None}
    for slot, source in sources.items():
        datasets[slot] = dataset_name(run.job_id, slot)
        load(run, data8, slot, datasets[slot], source, tables[slot])
        source.discard(run, slot)
    name = start(run, data8, command, datasets)
    rows = sum(table["done"] for table in tables.values())
    finished = run.poll("finish", partial(poll_job, data8, name), size=rows or None, redo=("start",))
    rejects = {slot: source.publish_rejects(run, f"rejects {slot}") for slot, source in sources.items()}
    return StartJobResult(
        job_name=name,
        statistics=finished["statistics"],
        outputs={
            output["slot"]: fetch(run, storage, data8, output, command.format)
            for output in finished["outputs"]
        },
        output_filenames=finished["output_filenames"],
        rejects={slot: file for slot, file in rejects.items() if file is not None} or None,
    )


def start(run: Run, data8: Data8, command: StartJob, datasets: dict[str, str]) -> str:
    """Start the job; gives its name. A retry after a failure at Data8 is a new job with a new name."""
    generation = run.generation("start")
    name = job_name(run.job_id, generation)
    if command.name is not None:
        name = command.name if generation == 1 else f"{command.name} {generation}"

    def started() -> bool:
        try:
            job = data8.jobs.get(name)
        except NotFound:
            return False
        same_workflow = job.workflow_name in {None, command.workflow}
        return same_workflow and job.input_datasets in ({}, datasets)

    create = partial(
        data8.jobs.create,
        name,
        command.workflow,
        input_filename=command.input_filename,
        input_datasets=datasets,
        parameters=command.parameters,
    )
    once_by_unique_name(run, "start", create, started)
    return name


def job_name(job_id: str, generation: int) -> str:
    """The job's name at Data8, in characters that a file name can hold; a name can be used only once."""
    return f"kyb_{job_id.replace(':', '_')[:NAME_LIMIT]}_{digest(job_id, str(generation))}"


def poll_job(data8: Data8, name: str) -> PollResult:
    """Ask how the job does. It is done when its output datasets can be read, too."""
    job = data8.jobs.get(name)
    verdict = job.verdict(data8.assumptions)
    if verdict == "failed":
        return PollResult("failed", percent=job.percent_complete, detail=f"status {job.status}")
    if job.finished:
        outputs = {slot: data8.datasets.get(dataset) for slot, dataset in job.output_datasets.items()}
        verdict = job.verdict(data8.assumptions, outputs.values())
        if verdict == "done" and all(map(readable, outputs.values())):
            return PollResult("done", finding(job, outputs), percent=100.0, done_at=job.completed_at)
    return PollResult("running", percent=job.percent_complete, eta=job.estimated_finish_time)


def finding(found: Job, outputs: dict[str, Dataset]) -> dict[str, Any]:
    """Return what is recorded of a job that is done."""
    return {
        "statistics": found.statistics,
        "output_filenames": found.output_filenames,
        "outputs": [contents(slot, dataset) for slot, dataset in outputs.items()],
    }


def readable(dataset: Dataset) -> bool:
    """Return whether an output dataset is complete and says how many records it has, so that none is left behind."""
    return dataset.completed is not False and dataset.record_count is not None


def contents(slot: str, dataset: Dataset) -> dict[str, Any]:
    """Return what `fetch` needs to know of a readable dataset."""
    return {
        "slot": slot,
        "dataset": dataset.name,
        "columns": list(dataset.columns),
        "records": dataset.record_count,
    }


def fetch(run: Run, storage: Storage, data8: Data8, output: dict[str, Any], format: TableFormat) -> File:
    """Download an output dataset into the job's file `<slot>.<format>`."""
    slot, columns, records = output["slot"], output["columns"], output["records"]
    out = Appender(storage.draft(run.job_id, f"{slot}.csv"))

    def read(start: int) -> bytes:
        end = min(start + BLOCK_LIMIT, records + 1)
        lines = b""
        while start < end:  # a page may hold fewer than were asked for
            page = data8.datasets.page(output["dataset"], columns, start, end - start)
            lines += csv_lines(map(cell_of, map(record.get, columns)) for record in page)
            start += len(page)
        return lines

    def download(at: DownloadCheckpoint | None) -> Generator[DownloadCheckpoint]:
        if at is not None and out.size >= at["offset"]:
            out.begin(at["offset"])
        else:
            out.begin(0)
            out.write(csv_line(columns))
            at = {"start": 1, "offset": out.tell(), "done": 0}
            yield at
        starts = range(at["start"], records + 1, BLOCK_LIMIT)
        for start, lines in run.map_ordered(read, starts, blocks_at_once(data8)):
            out.write(lines)
            done = min(start + BLOCK_LIMIT - 1, records)
            yield {"start": done + 1, "offset": out.tell(), "done": done}

    run.transfer(f"download {slot}", download, kind="download", total=records, store=out.store)
    return publish_table(run, storage, slot, records, format)


def cell_of(value: Any) -> str:
    """A value of a record as a cell, as the vendor spelled it."""
    if isinstance(value, str):  # nearly always
        return value
    if type(value) is int:  # True is none
        return str(value)
    match value:
        case None:
            return ""
        case Decimal() if value.is_finite() and abs(value.adjusted()) < _PLAIN_DIGITS:
            return format(value, "f")
        case Decimal():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False, default=float)
