"""Examples of Data8's commands, each with the result of a job that completed."""

from __future__ import annotations

from messages.base import Command, Result
from messages.data8 import (
    DeleteDataset,
    DeleteDatasetResult,
    DownloadDataset,
    DownloadDatasetResult,
    Input,
    StartJob,
    StartJobResult,
    UploadDataset,
    UploadDatasetResult,
)
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
    (
        UploadDataset(
            file="file:///data/accounts.csv",
            name="accounts_2026_08",
            columns={"Account No.": "text", "Priority": "whole_number"},
        ),
        UploadDatasetResult(
            dataset="accounts_2026_08",
            records=1_204,
            columns={"account_no": "text", "owner": "text", "priority": "whole_number"},
        ),
    ),
    (
        DownloadDataset(dataset="customers_cleansed"),
        DownloadDatasetResult(
            dataset="customers_cleansed",
            records=file_of("download_dataset", "customers_cleansed.csv", "text/csv", 47_950, 9_120_344),
        ),
    ),
    (
        DeleteDataset(dataset="accounts_2026_08"),
        DeleteDatasetResult(dataset="accounts_2026_08"),
    ),
]
