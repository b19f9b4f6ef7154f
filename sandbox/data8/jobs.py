"""`/Job`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import SandboxState, TimedJob, serves
from sandbox.data8.answers import Body, absent, body, done, here, invalid, moment, page_of
from sandbox.data8.datasets import Dataset, Datasets, Row
from sandbox.data8.workflows import WORKFLOWS, Workflow

#: Characters that a file name cannot hold: `\` and control characters are assumed, the others documented.
FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f]')
#: Status codes, assumed: the document shows a number and no list.
QUEUED, RUNNING, COMPLETE, FAILED = range(4)


class JobBody(Body):
    """A job as it is sent."""

    name: str
    workflow_name: str
    input_filename: str | None = None
    input_datasets: dict[str, str] | None = None
    parameters: dict[str, str] | None = None


#: In seconds.
TEN_YEARS = 315_576_000.0


@dataclass
class Job:
    """A job. What its inputs were when it started is what it works on."""

    sent: JobBody
    workflow: Workflow
    inputs: Mapping[str, Dataset]
    timed: TimedJob
    outputs: dict[str, str] = field(default_factory=dict)
    results: dict[str, list[Row]] | None = None

    def status(self, now: float) -> int:
        """By the clock."""
        if self.timed.queued(now):
            return QUEUED
        if not self.timed.ended(now):
            return RUNNING
        return FAILED if self.timed.fails else COMPLETE

    def rows(self, slot: str, now: float) -> list[Row] | None:
        """The rows of an output slot once the job has ended well; worked out when first asked for."""
        if self.status(now) != COMPLETE:
            return None
        if self.results is None:
            self.results = self.workflow.run(self.inputs, self.sent.parameters or {})
        return self.results[slot]

    def basics(self, request: Request, now: float) -> dict[str, object]:
        """As it is listed (assumed)."""
        return {
            "name": self.sent.name,
            "workflowName": self.sent.workflow_name,
            "submittedAt": moment(self.timed.started),
            "status": self.status(now),
            "location": here(request, f"/Job/{quote(self.sent.name, safe='')}"),
        }

    def shown(self, now: float) -> dict[str, object]:
        """In full."""
        ended = self.timed.ended(now)
        filename = self.sent.input_filename
        counts = {f"{slot}Records": len(self.rows(slot, now) or ()) for slot in self.outputs} if ended else {}
        return {
            "name": self.sent.name,
            "workflowName": self.sent.workflow_name,
            "submittedAt": moment(self.timed.started),
            "completedAt": moment(self.timed.ends_at) if ended else None,
            "status": self.status(now),
            "percentComplete": int(self.timed.percent(now)),
            "estimatedFinishTime": moment(self.timed.ends_at),
            "statistics": counts,
            "inputDatasets": self.sent.input_datasets or {},
            "outputDatasets": self.outputs,
            "parameters": self.sent.parameters or {},
            "inputFilename": filename,
            "outputFilenames": {
                slot: f"/FromData8/{self.sent.name} {slot}.csv" for slot in self.outputs if filename and ended
            },
        }


class Jobs(Datasets):
    """`/Job`. A job's output datasets are there from its start, and incomplete until it has ended well."""

    def __init__(self, state: SandboxState) -> None:
        super().__init__(state)
        self._jobs: dict[str, Job] = {}

    @serves("GET /Job")
    async def jobs__list(self, request: Request) -> Response:
        """100 a page, the latest first; the dates bound `submittedAt` and are inclusive (assumed)."""
        workflow = request.query_params.get("workflow")
        earliest, latest = _bound(request, "startDate", time.min), _bound(request, "endDate", time.max)
        jobs = [
            job
            for job in reversed(self._jobs.values())
            if workflow in {None, job.sent.workflow_name}
            and (earliest is None or job.timed.started >= earliest)
            and (latest is None or job.timed.started <= latest)
        ]
        now = self.state.clock()
        return JSONResponse([job.basics(request, now) for job in page_of(jobs, request)])

    @serves("POST /Job")
    async def jobs__create(self, request: Request) -> Response:
        """Start a job. All refusals are validation problems: the document knows no other, not even for names taken."""
        sent = await body(request, JobBody)
        if not sent.name.strip() or FORBIDDEN.search(sent.name):
            raise invalid("name", "must be fit for a file name")
        if sent.name in self._jobs:
            raise invalid("name", "another job has this name")
        workflow = WORKFLOWS.get(sent.workflow_name)
        if workflow is None:
            raise invalid("workflowName", f"no workflow {sent.workflow_name}")
        if not workflow.parameters >= set(sent.parameters or {}):
            raise invalid("parameters", f"the workflow knows {sorted(workflow.parameters)}")
        inputs = self._inputs(workflow, sent.input_datasets or {})
        seconds = self.state.job_seconds if workflow.ends else TEN_YEARS
        timed = TimedJob(self.state.clock(), self.state.queue_seconds, seconds, fails=workflow.fails)
        job = Job(sent, workflow, inputs, timed)
        for slot, columns in workflow.columns(inputs).items():
            job.outputs[slot] = self._output(job, slot, columns)
        self._jobs[sent.name] = job
        self.state.effect("data8.jobs.create", sent.name)
        return done(201, here(request, f"/Job/{quote(sent.name, safe='')}"))

    @serves("GET /Job/{name}")
    async def jobs__get(self, request: Request) -> Response:
        """One job."""
        try:
            job = self._jobs[request.path_params["name"]]
        except KeyError:
            raise absent() from None
        return JSONResponse(job.shown(self.state.clock()))

    def _inputs(self, workflow: Workflow, named: Mapping[str, str]) -> dict[str, Dataset]:
        if workflow.slots is None:
            fitting = len(named) >= 1 if workflow.several else len(named) == 1
        else:
            fitting = workflow.slots == named.keys()
        if not fitting:
            needed = sorted(workflow.slots or ["at least one" if workflow.several else "exactly one"])
            raise invalid("inputDatasets", f"the workflow needs {', '.join(needed)}")
        inputs = {}
        for slot, name in named.items():
            dataset = self._datasets.get(name)
            if dataset is None or not dataset.input or not dataset.completed:
                raise invalid(f"inputDatasets.{slot}", f"{name} is no completed input dataset")
            inputs[slot] = dataset
        return inputs

    def _output(self, job: Job, slot: str, columns: dict[str, int]) -> str:
        """A new output dataset; how the vendor names them is not published."""
        stem = "out_" + re.sub("[^a-z0-9]+", "_", f"{job.sent.name} {slot}".lower()).strip("_")
        name, number = stem, 2
        while name in self._datasets or name in self._burned:
            name, number = f"{stem}_{number}", number + 1
        self._datasets[name] = Dataset(
            name, columns, input=False, result=lambda: job.rows(slot, self.state.clock())
        )
        return name


def _bound(request: Request, name: str, of_day: time) -> float | None:
    """A date or a moment in the query as epoch seconds; a bare end date means the end of that day."""
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(name, "must be a date") from None
    if len(text) == len("2000-01-01"):
        moment = datetime.combine(moment, of_day)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
