"""Examples of Data8's commands, each with the result of a job that completed."""

from __future__ import annotations

from messages.base import Command, Result
from messages.data8 import Input, StartJob, StartJobResult
from messages.examples.shared import BATCH, file_of

JOBS: list[tuple[Command, Result]] = [
    (
        StartJob(
            workflow="Cleanse companies",
            name=BATCH,
            inputs={"Customers": Input(file="file:///data/customers.csv")},
            parameters={"Country": "GB"},
        ),
        StartJobResult(
            job_name=BATCH,
            statistics={"Customers": {"Read": 48_211}, "Cleansed": {"Written": 47_950}},
            outputs={"Cleansed": file_of("start_job", "Cleansed.csv", "text/csv", 47_950, 9_120_344)},
            output_filenames={"Cleansed": "cleansed.csv"},
        ),
    ),
]
