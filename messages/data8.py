"""Commands of Data8's batch cleansing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from messages.base import Command, File, Line, Model, Name, Rejects, Result, Strict, TableFormat, Uri, one_of
from messages.example_values import BATCH, example_file

#: Data8 refuses characters in the name of a job that a file name cannot hold.
JOB_NAME_PATTERN = r'^[^/\\:*?"<>|\x00-\x1f]+$'
JobName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=JOB_NAME_PATTERN)]
Slot = Annotated[Line, StringConstraints(max_length=128)]
DatasetName = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=255)]
#: The type of a column. Data8 has more types, but does not publish their numbers.
ColumnType = Literal["text", "whole_number"]
#: Pydantic exports the pattern of a dictionary's keys, but not that no other keys are allowed.
_KEYS: dict[str, JsonValue] = {"additionalProperties": False}
#: The wording in the exported schema, which does not change.
_INPUT_DESCRIPTION: dict[str, JsonValue] = {
    "description": "What goes into one slot of a workflow: a `file` of ours, or a completed `dataset` at Data8."
}


class Input(Model):
    """The input of one slot of a workflow: a `file` that you store, or a completed `dataset` at Data8."""

    model_config = ConfigDict(json_schema_extra=one_of("file", "dataset") | _INPUT_DESCRIPTION)

    file: Uri | None = None
    """The URI of a table with a header row. The worker uploads it as a dataset of its own."""
    dataset: DatasetName | None = None
    """The name of a completed dataset at Data8."""

    @model_validator(mode="after")
    def _file_or_dataset(self) -> Input:
        if (self.file is None) == (self.dataset is None):
            msg = "give either file or dataset"
            raise ValueError(msg)
        return self


class StartJobResult(Result):
    """What the job produced; `statistics` is Data8's own."""

    job_name: str
    """The name of the job at Data8."""
    statistics: dict[str, JsonValue]
    """Data8's own figures about the job."""
    outputs: dict[str, File]
    """The stored output of each slot, by the slot's name."""
    output_filenames: dict[str, str]
    """The names of the files that Data8 left in its transfer area, by slot."""
    rejects: dict[str, File] | None = Rejects
    """For each slot, the rows that were left out, and why, as `text/csv` for people; null if there are none."""


class StartJob(Command):
    """Run a workflow over files or datasets and fetch what it produces."""

    type_ = "data8.start_job"
    result = StartJobResult

    workflow: Name
    """The name of the workflow that Data8 set up for you."""
    name: JobName | None = None
    """The name of the job at Data8, where a name can be used only once. Without it, the worker makes one from the
    job's id.
    """
    inputs_: dict[Slot, Input] = Field(
        default_factory=dict, alias="inputs", max_length=50, json_schema_extra=_KEYS
    )
    """The input of each slot of the workflow, by the slot's name."""
    input_filename: Line | None = None
    """The name of a file in Data8's own transfer area, for workflows that read one."""
    parameters: dict[Slot, Annotated[str, StringConstraints(max_length=10_000)]] = Field(
        default_factory=dict, max_length=100, json_schema_extra=_KEYS
    )
    """The parameters of the workflow, as agreed with Data8."""
    format: TableFormat = "csv"
    """The format of the outputs: CSV, JSON Lines (one object a row) or Parquet."""
    strict: bool = Strict
    """Whether the first bad row of a file ends the job; with `false`, bad rows are left out and listed in `rejects`.
    """

    @classmethod
    def example(cls) -> tuple[Self, StartJobResult]:
        """Return an example of the command and of its result."""
        command = cls(
            workflow="Cleanse companies",
            name=BATCH,
            inputs={"Customers": Input(file="file:///data/customers.csv")},
            parameters={"Country": "GB"},
        )
        return command, StartJobResult(
            job_name=BATCH,
            statistics={"Customers": {"Read": 48_211}, "Cleansed": {"Written": 47_950}},
            outputs={"Cleansed": example_file("start_job", "Cleansed.csv", "text/csv", 47_950, 9_120_344)},
            output_filenames={"Cleansed": "cleansed.csv"},
        )

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Return the files of all slots."""
        for slot, source in self.inputs_.items():
            if source.file is not None:
                yield f"inputs.{slot}.file", source.file


class UploadDatasetResult(Result):
    """The completed dataset; `columns` are its own names, in order, with their types."""

    dataset: str
    """The name of the dataset at Data8."""
    records: int
    """The number of rows that were uploaded."""
    columns: dict[str, ColumnType]
    """The columns of the dataset, in order: its own names for them, with their types."""
    rejects: File | None = Rejects
    """The rows that were left out, and why, as `text/csv` for people; null if there are none."""


class UploadDataset(Command):
    """Upload a file into a new dataset and complete it, so that jobs can use it."""

    type_ = "data8.upload_dataset"
    result = UploadDatasetResult

    file: Uri
    """The URI of the table to upload."""
    name: DatasetName | None = None
    """The name of the new dataset, which Data8 accepts only once. Without it, the worker makes one from the job's id.
    """
    columns: dict[Line, ColumnType] = Field(
        default_factory=dict,
        max_length=1_000,
        description="types by the names in the file's header; a column that is not named gets the type that fits",
        json_schema_extra=_KEYS,
    )
    """Column types, by the names in the file's header. A column that is not named gets the type that all its cells
    fit.
    """
    strict: bool = Strict
    """Whether the first bad row ends the job; with `false`, bad rows are left out and listed in `rejects`."""

    @classmethod
    def example(cls) -> tuple[Self, UploadDatasetResult]:
        """Return an example of the command and of its result."""
        command = cls(
            file="file:///data/accounts.csv",
            name="accounts_2026_08",
            columns={"Account No.": "text", "Priority": "whole_number"},
        )
        return command, UploadDatasetResult(
            dataset="accounts_2026_08",
            records=1_204,
            columns={"account_no": "text", "owner": "text", "priority": "whole_number"},
        )

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Return the file."""
        yield "file", self.file


class DownloadDatasetResult(Result):
    """What the dataset holds."""

    dataset: str
    """The name of the dataset."""
    records: File
    """The rows of the dataset, as a table."""


class DownloadDataset(Command):
    """Download an output dataset, once the job that fills it has completed it."""

    type_ = "data8.download_dataset"
    result = DownloadDatasetResult

    dataset: DatasetName
    """The name of the output dataset to download."""
    format: TableFormat = "csv"
    """The format of the table: CSV, JSON Lines (one object a row) or Parquet."""

    @classmethod
    def example(cls) -> tuple[Self, DownloadDatasetResult]:
        """Return an example of the command and of its result."""
        command = cls(dataset="customers_cleansed")
        return command, DownloadDatasetResult(
            dataset="customers_cleansed",
            records=example_file("download_dataset", "customers_cleansed.csv", "text/csv", 47_950, 9_120_344),
        )


class DeleteDatasetResult(Result):
    """The dataset that is not there any more."""

    dataset: str
    """The name of the deleted dataset."""


class DeleteDataset(Command):
    """Delete a dataset and its data for good; Data8 never takes its name again."""

    type_ = "data8.delete_dataset"
    result = DeleteDatasetResult

    dataset: DatasetName
    """The name of the dataset to delete."""

    @classmethod
    def example(cls) -> tuple[Self, DeleteDatasetResult]:
        """Return an example of the command and of its result."""
        command = cls(dataset="accounts_2026_08")
        return command, DeleteDatasetResult(dataset="accounts_2026_08")


COMMANDS: tuple[type[Command], ...] = (StartJob, UploadDataset, DownloadDataset, DeleteDataset)
