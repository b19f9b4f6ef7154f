"""Commands of Data8's batch cleansing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from messages.base import Command, File, Line, Model, Name, Rejects, Result, Strict, Uri, one_of

#: Characters that a file name cannot hold, which Data8 refuses in the name of a job.
JobName = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r'^[^/\\:*?"<>|\x00-\x1f]+$')
]
Slot = Annotated[Line, StringConstraints(max_length=128)]
#: Pydantic exports the pattern of a dictionary's keys, but not that there are no others.
_KEYS: dict[str, JsonValue] = {"additionalProperties": False}


class Input(Model):
    """What goes into one slot of a workflow: a `file` of ours, or a completed `dataset` at Data8."""

    model_config = ConfigDict(json_schema_extra=one_of("file", "dataset"))

    file: Uri | None = None
    dataset: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=255)] | None = None

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

    strict: bool = Strict

    def inputs(self) -> Iterator[tuple[str, str]]:
        """The files of all slots."""
        for slot, given in self.inputs_.items():
            if given.file is not None:
                yield f"inputs.{slot}.file", given.file


COMMANDS: tuple[type[Command], ...] = (StartJob,)
