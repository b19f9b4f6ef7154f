"""Download an output dataset: `data8.download_dataset`."""

from __future__ import annotations

from functools import partial
from typing import Any

from clients.data8 import Data8
from messages.data8 import (
    DownloadDataset,
    DownloadDatasetResult,
)
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.registry import Services
from workers.jobs.data8.start_job import contents, fetch, readable
from workers.polling.next_poll import PollResult


def download_dataset(command: DownloadDataset, run: Run, services: Services) -> DownloadDatasetResult:
    """Download an output dataset into `<dataset>.<format>`. One that a job still fills is waited for."""
    look = partial(contents_now, services.data8, command.dataset)
    output = run.once("look", look, recover=repeatable)
    if not output:
        output = run.poll(
            "complete", lambda: PollResult("done", there) if (there := look()) else PollResult("running")
        )
    records = fetch(run, services.storage, services.data8, output, command.format)
    return DownloadDatasetResult(dataset=command.dataset, records=records)


def contents_now(data8: Data8, name: str) -> dict[str, Any]:
    """Return what `fetch` needs to know; empty while a job fills the dataset.

    An input dataset can never be downloaded: Data8 refuses the attempt.
    """
    dataset = data8.datasets.get(name)
    return contents(name, dataset) if readable(dataset) or dataset.input else {}
