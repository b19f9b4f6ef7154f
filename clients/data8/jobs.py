"""`/Job`: workflows at work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

from pydantic import TypeAdapter

from clients.data8.assumptions import PAGE_SIZE
from clients.data8.models import Job, JobBody, JobRef, as_stamp
from clients.operation import Call
from clients.resource import Resource, operation

_REFS = TypeAdapter(list[JobRef] | None)


class Jobs(Resource):
    """`/Job`."""

    group = "jobs"

    @operation("GET /Job")
    def list(
        self,
        call: Call,
        page: int = 1,
        *,
        workflow: str | None = None,
        start_date: date | None = None,
        end_date: date | None = None,
    ) -> Sequence[JobRef]:
        """Retrieve a list of jobs that have already been submitted: 100 a page, the most recent first.

        Args:
            page: the page's number, from 1.
            workflow: only jobs of this workflow.
            start_date: the earliest date, or moment, of the job.
            end_date: the latest date, or moment, of the job.
        """
        params = {
            "page": page, "workflow": workflow, "startDate": _spelled(start_date), "endDate": _spelled(end_date)
        }  # fmt: skip
        return call(params=params).adapt(_REFS) or []

    def all(
        self, *, workflow: str | None = None, start_date: date | None = None, end_date: date | None = None
    ) -> Iterator[JobRef]:
        """Yield every job that `list` would find; fetch one page at a time."""
        page = 1
        while found := self.list(page, workflow=workflow, start_date=start_date, end_date=end_date):
            yield from found
            if len(found) < PAGE_SIZE:
                return
            page += 1

    @operation("POST /Job")
    def create(
        self,
        call: Call,
        name: str,
        workflow_name: str,
        *,
        input_filename: str | None = None,
        input_datasets: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        """Start a new job; what it takes besides its name is agreed for each workflow.

        The answer's body is not documented and not read: ask `get`.

        Args:
            name: unique for all time, without characters that a file name cannot hold.
            workflow_name: the workflow.
            input_filename: a file in the vendor's transfer area.
            input_datasets: completed input datasets by slot.
            parameters: values by name.

        Raises:
            Rejected: not valid; also when a job of that name exists, for which no own error is documented.
        """
        body = JobBody(
            name=name,
            workflow_name=workflow_name,
            input_filename=input_filename,
            input_datasets=dict(input_datasets) if input_datasets else None,
            parameters=dict(parameters) if parameters else None,
        )
        call(json=body.json_body())

    @operation("GET /Job/{name}")
    def get(self, call: Call, name: str) -> Job:
        """Retrieve the full details of a job."""
        return call(path={"name": name}).model(Job)


def _spelled(day: date | None) -> str | None:
    """A bound of the list as it is sent: a date in ISO 8601 or a moment as in Data8's answers (assumed)."""
    if isinstance(day, datetime):
        return as_stamp(day)
    return day.isoformat() if day is not None else None
