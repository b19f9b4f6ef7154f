"""Commands of Data8's batch cleansing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from messages.base import Command, File, Line, Model, Name, Rejects, Result, Strict, TableFormat, Uri, one_of

#: Characters that a file name cannot hold, which Data8 refuses in the name of a job.
JobName = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r'^[^/\\:*?"<>|\x00-\x1f]+$')
]
Slot = Annotated[Line, StringConstraints(max_length=128)]
DatasetName = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=255)]
#: What a column holds. Data8 has more types, but publishes the numbers of none of them.
ColumnType = Literal["text", "whole_number"]
#: Pydantic exports the pattern of a dictionary's keys, but not that there are no others.
_KEYS: dict[str, JsonValue] = {"additionalProperties": False}


class Input(Model):
    """What goes into one slot of a workflow: a `file` of ours, or a completed `dataset` at Data8."""

    model_config = ConfigDict(json_schema_extra=one_of("file", "dataset"))

    file: Uri | None = None
    dataset: DatasetName | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Input:
        if (self.file is None) == (self.dataset is None):
            msg = "give either file or dataset"
            raise ValueError(msg)
        return self


class StartJobResult(Result):
    """What the job produced; `statistics` is Data8's own."""

    job_name: str
    statistics: dict[str, JsonValue]
    outputs: dict[str, File]
    output_filenames: dict[str, str]
    rejects: dict[str, File] | None = Rejects


class StartJob(Command):
    """Run a workflow over files or datasets and fetch what it produces."""

    type_ = "data8.start_job"
    result = StartJobResult

    workflow: Name
    name: JobName | None = None
    inputs_: dict[Slot, Input] = Field(
        default_factory=dict, alias="inputs", max_length=50, json_schema_extra=_KEYS
    )
    input_filename: Line | None = None
    parameters: dict[Slot, Annotated[str, StringConstraints(max_length=10_000)]] = Field(
        default_factory=dict, max_length=100, json_schema_extra=_KEYS
    )
    format: TableFormat = "csv"
    strict: bool = Strict

    def inputs(self) -> Iterator[tuple[str, str]]:
        """The files of all slots."""
        for slot, given in self.inputs_.items():
            if given.file is not None:
                yield f"inputs.{slot}.file", given.file


class UploadDatasetResult(Result):
    """The completed dataset; `columns` are its own names, in order, with their types."""

    dataset: str
    records: int
    columns: dict[str, ColumnType]
    rejects: File | None = Rejects


class UploadDataset(Command):
    """Upload a file into a new dataset and complete it, so that jobs can use it."""

    type_ = "data8.upload_dataset"
    result = UploadDatasetResult

    file: Uri
    name: DatasetName | None = None
    columns: dict[Line, ColumnType] = Field(
        default_factory=dict,
        max_length=1_000,
        description="types by the names in the file's header; a column that is not named gets the type that fits",
        json_schema_extra=_KEYS,
    )
    strict: bool = Strict

    def inputs(self) -> Iterator[tuple[str, str]]:
        """The file."""
        yield "file", self.file


class DownloadDatasetResult(Result):
    """What the dataset holds."""

    dataset: str
    records: File


class DownloadDataset(Command):
    """Download an output dataset, once the job that fills it has completed it."""

    type_ = "data8.download_dataset"
    result = DownloadDatasetResult

    dataset: DatasetName
    format: TableFormat = "csv"


class DeleteDatasetResult(Result):
    """The dataset that is not there any more."""

    dataset: str


class DeleteDataset(Command):
    """Delete a dataset and its data for good; Data8 never takes its name again."""

    type_ = "data8.delete_dataset"
    result = DeleteDatasetResult

    dataset: DatasetName


COMMANDS: tuple[type[Command], ...] = (StartJob, UploadDataset, DownloadDataset, DeleteDataset)
