"""Data8's models: tolerant when read (new fields, nulls, absences), exact when written."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, PlainSerializer
from pydantic.alias_generators import to_camel

from clients.data8.assumptions import Assumptions

T = TypeVar("T")

#: One record, keyed by column, as the vendor gave it; fractions are `decimal.Decimal`.
Record = dict[str, Any]
Verdict = Literal["running", "done", "failed"]


def as_utc(moment: datetime) -> datetime:
    """The moment in UTC; without a zone it is taken to be UTC, the zone of all of Data8's examples."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def as_stamp(moment: datetime) -> str:
    """The moment as Data8 writes it: UTC with seven fractional digits."""
    return as_utc(moment).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def _no_null(value: Any) -> Any:
    return (
        {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value
    )


Timestamp = Annotated[datetime, AfterValidator(as_utc), PlainSerializer(as_stamp, return_type=str)]
#: A list or a map that may come as null.
Strings = Annotated[list[str], BeforeValidator(lambda value: [] if value is None else value)]
Map = Annotated[dict[str, T], BeforeValidator(lambda value: {} if value is None else value)]
#: A map from slot to name; slots that are not filled yet come as null and are left out.
Names = Annotated[Map[str], BeforeValidator(_no_null)]


class Answer(BaseModel):
    """Something read: unknown fields are kept, absent ones are empty."""

    model_config = ConfigDict(
        extra="allow", alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


class Body(BaseModel):
    """Something written: documented fields only, those not given are left out. Errors repeat no values."""

    model_config = ConfigDict(
        extra="forbid", alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )

    def json_body(self) -> dict[str, Any]:
        """The body as the document spells it."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ApiKeyRef(Answer):
    """An API key in the list. The shape of the list's items is not documented: all but `key` is optional."""

    key: str = Field(repr=False)
    description: str | None = None
    username: str | None = None
    location: str | None = None


class ApiKey(Answer):
    """An API key in full. `is_client_key` can be set but is never told."""

    key: str = Field(repr=False)
    description: str | None = None
    username: str | None = None
    expires_on: Timestamp | None = None
    max_requests_per_ip_per_day: int | None = Field(default=None, alias="maxRequestsPerIPPerDay")
    allowed_domains: Strings = []
    allowed_ips: Strings = Field(default=[], alias="allowedIPs")
    allowed_services: Strings = []


class ApiKeyBody(Body):
    """The fields of an API key that can be set."""

    key: str | None = None
    description: str | None = None
    username: str | None = None
    expires_on: Timestamp | None = None
    max_requests_per_ip_per_day: int | None = Field(default=None, alias="maxRequestsPerIPPerDay")
    is_client_key: bool | None = None


class ClientSecret(Answer):
    """A client secret, without its value."""

    client_secret_id: int
    expires: Timestamp | None = None
    description: str | None = None


class NewClientSecret(ClientSecret):
    """A client secret with its value, which the vendor returns only once."""

    generated_secret: str = Field(repr=False)


class ClientSecretBody(Body):
    """The fields of a client secret that can be set."""

    expires: Timestamp | None = None
    description: str | None = None


class ClientCredential(Answer):
    """A client credential; `secrets` is None in the list, where the vendor never tells them."""

    client_id: str
    description: str | None = None
    secrets: list[ClientSecret] | None = None


class ClientCredentialBody(Body):
    """The fields of a client credential that can be set; its id and secrets are generated."""

    description: str | None = None


class DatasetRef(Answer):
    """A dataset in the list; `location` is the URL of its details."""

    name: str
    input: bool | None = None
    completed: bool | None = None
    location: str | None = None


class Dataset(Answer):
    """A dataset: input (ours) or output (created when a job starts). `columns` keeps the vendor's order."""

    name: str
    columns: Map[int | str] = {}
    input: bool | None = None
    record_count: int | None = None
    completed: bool | None = None


class DatasetBody(Body):
    """A dataset to create."""

    name: str
    columns: dict[str, int]


class DatasetUpdate(Body):
    """A dataset to mark as complete. `record_count` is assumed to be all records that were uploaded."""

    record_count: int | None = None
    completed: bool | None = None


class JobRef(Answer):
    """A job in the list. The items' shape is described as basic details only: all but `name` is optional."""

    name: str
    workflow_name: str | None = None
    submitted_at: Timestamp | None = None
    completed_at: Timestamp | None = None
    status: int | str | None = Field(default=None, union_mode="left_to_right")
    location: str | None = None


class Job(JobRef):
    """A job in full."""

    percent_complete: float | None = None
    estimated_finish_time: Timestamp | None = None
    statistics: Map[JsonValue] = {}
    input_datasets: Names = {}
    output_datasets: Names = {}
    parameters: Map[str | None] = {}
    input_filename: str | None = None
    output_filenames: Names = {}

    @property
    def finished(self) -> bool:
        """Whether the job is finished: it has a time of completion, or all of it is done."""
        return self.completed_at is not None or (self.percent_complete or 0) >= 100  # noqa: PLR2004 - percent

    def verdict(self, codes: Assumptions, outputs: Collection[Dataset] = ()) -> Verdict:
        """Return the state of the job, without trusting the unpublished status codes alone.

        Args:
            codes: the status codes of success and failure.
            outputs: its output datasets, if the caller read them: all complete means success, too.

        Returns:
            `failed` by a code of failure; `done` when finished and confirmed by code or by its outputs; otherwise `running`.
        """
        if self.status in codes.failed:
            return "failed"
        if not self.finished:
            return "running"
        completed = {dataset.name for dataset in outputs if dataset.completed}
        by_outputs = bool(self.output_datasets) and completed >= set(self.output_datasets.values())
        return "done" if self.status in codes.complete or by_outputs else "running"


class JobBody(Body):
    """A job to start."""

    name: str
    workflow_name: str
    input_filename: str | None = None
    input_datasets: dict[str, str] | None = None
    parameters: dict[str, str] | None = None
