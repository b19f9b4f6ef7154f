"""`kyb jobs`: list, show, cancel, retry, purge and erase jobs."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

import typer

from messages.control import CancelJob, RetryJob
from messages.envelope import Request
from messages.errors import Code
from messages.events import Status
from workers.cli.bootstrap import open_ledger, settings
from workers.cli.commands.submit import build_request
from workers.cli.console import (
    error_line,
    format_local_time,
    out,
    print_json,
    print_table,
    printable,
    styled_status,
    usage,
)
from workers.cli.exit_codes import JOB_FAILED
from workers.cli.progress import describe_progress, error_lines, finish, watch_job
from workers.cli.submission import JobSnapshot, sender
from workers.ledger.queries import NotErasable
from workers.ledger.records import Job, decode, to_datetime
from workers.settings import Settings, parse_duration

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="The ledger's jobs."
)

#: The most jobs that `retry --failed` retries at once.
RETRY_LIMIT = 10_000

AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document")]
Wait = Annotated[bool, typer.Option("--wait", help="wait for the outcome of the command itself")]


@app.command("list")
def list_(
    status: Annotated[list[Status] | None, typer.Option(help="only these; may be repeated")] = None,
    command: Annotated[str | None, typer.Option(help="only this type, e.g. data8.start_job")] = None,
    limit: Annotated[int, typer.Option(min=1, help="so many, the last accepted first")] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs."""
    with open_ledger(settings()) as ledger:
        jobs = ledger.queries.jobs(statuses=[s.value for s in status or ()], command=command, limit=limit)
    if as_json:
        print_json([job_document(job) for job in jobs])
        return
    rows = [
        (
            job.id,
            job.command,
            styled_status(job.status),
            _note(job),
            format_local_time(job.accepted_at),
            format_local_time(job.updated_at),
        )
        for job in jobs
    ]
    print_table(("job", "command", "status", "", "accepted", "updated"), rows, empty="no jobs")


@app.command()
def show(id: Annotated[str, typer.Argument(help="the job")], as_json: AsJson = False) -> None:
    """Show one job, its steps and its events."""
    with open_ledger(settings()) as ledger:
        job = ledger.queries.job(id)
        if job is None:
            error_line(f"there is no job {printable(id)}")
            raise typer.Exit(JOB_FAILED)
        document = job_document(job)
        steps = [_step_document(step) for step in ledger.queries.steps(id)]
        events = [decode(stored.body) for stored in ledger.queries.events(job_id=id)]
    if as_json:
        print_json({**document, "steps": steps, "events": events})
        return
    for name in ("id", "command", "status", "source", "accepted_at", "updated_at", "ended_at", "due_at"):
        out.print(f"{name:12} {printable(document.get(name) or '-')}", markup=False)
    stats = ", ".join(f"{name} {job_stat}" for name, job_stat in document["stats"].items())
    out.print(f"{'stats':12} {stats}", markup=False)
    for line in error_lines(job.error):
        out.print(line, style="red", markup=False)
    if job.result is not None:
        print_json(job.result)
    out.print()
    print_table(
        ("step", "kind", "state", "polls", "started", "ended"),
        [(s["name"], s["kind"], s["state"], s["polls"], s["started_at"], s["ended_at"]) for s in steps],
        empty="no steps yet",
    )
    out.print()
    rows = [(e.get("sequence", ""), e["time"], styled_status(e["type"].rpartition(".")[2])) for e in events]
    print_table(("event", "time", "outcome"), rows, empty="no events")


@app.command()
def cancel(
    id: Annotated[str, typer.Argument(help="the job")], wait: Wait = False, as_json: AsJson = False
) -> None:
    """Ask a job to end; sends job.cancel and prints that command's own job id."""
    request = build_request(CancelJob, {"job_id": id})
    _send(settings(), request, wait=wait, as_json=as_json)


@app.command()
def retry(
    id: Annotated[str | None, typer.Argument(help="the job")] = None,
    failed: Annotated[Code | None, typer.Option(help="every job that failed with this code")] = None,
    repeat_effect: Annotated[
        bool, typer.Option(help="do an effect again that may have happened (outcome_unknown)")
    ] = False,
    wait: Wait = False,
    as_json: AsJson = False,
) -> None:
    """Retry a failed or cancelled job from its last recorded step; sends job.retry."""
    if (id is None) == (failed is None):
        raise usage("give either a job or --failed CODE")
    configured = settings()
    if id is not None:
        _send(configured, _retry_request(id, repeat_effect=repeat_effect), wait=wait, as_json=as_json)
    with open_ledger(configured) as ledger:
        jobs = ledger.queries.jobs(code=failed, limit=RETRY_LIMIT)
    sent_for = []
    with sender(configured, watch=wait) as send:
        for job in jobs:
            request = _retry_request(job.id, repeat_effect=repeat_effect)
            last: JobSnapshot | None = watch_job(send(request))
            outcome = {"status": last.status.value} if last is not None else {}
            sent_for.append({"retried": job.id, "command": job.command, "job_id": request.id, **outcome})
    if as_json:
        print_json(sent_for)
    else:
        rows = [(s["retried"], s["command"], s["job_id"], s.get("status")) for s in sent_for]
        print_table(("job", "command", "sent as", "status"), rows, empty=f"no job has failed with {failed}")
    bad = any(s.get("status", Status.COMPLETED) != Status.COMPLETED for s in sent_for)
    raise typer.Exit(JOB_FAILED if bad else 0)


@app.command()
def purge(
    older_than: Annotated[str, typer.Option(help="e.g. 30d or 12h: ended longer ago than that")],
    as_json: AsJson = False,
) -> None:
    """Delete jobs that ended long ago, with their steps and events; their result files stay."""
    try:
        age = float(str(parse_duration(older_than)))
    except ValueError as error:
        raise usage(f"--older-than: {error}") from None
    with open_ledger(settings()) as ledger:
        purged = ledger.queries.purge(age)
    if as_json:
        print_json({"purged": purged})
    else:
        out.print(f"{purged} jobs purged")


@app.command()
def erase(id: Annotated[str, typer.Argument(help="the job; it must have ended")]) -> None:
    """Delete one job with its steps, events and data; print the path of its results, which stay.

    The same command sent again is a new job then.
    """
    configured = settings()
    try:
        with open_ledger(configured) as ledger:
            ledger.queries.erase(id)
    except NotErasable as error:
        error_line(printable(error))
        raise typer.Exit(JOB_FAILED) from None
    out.print(
        f"erased; delete its results too: {configured.storage.results.rstrip('/')}/{printable(id)}/",
        markup=False,
    )


def job_document(job: Job) -> dict[str, Any]:
    """Return a job for `--json`."""
    times = {"accepted_at": job.accepted_at, "updated_at": job.updated_at, "ended_at": job.ended_at,
             "due_at": job.due_at, "deadline_at": job.deadline_at}  # fmt: skip
    stats = {"turns": job.turns, "polls": job.polls, "vendor_calls": job.vendor_calls, "retries": job.retries}
    return {
        "id": job.id, "command": job.command, "vendor": job.vendor, "queue": job.queue, "source": job.source,
        "correlation_id": job.correlation_id, "status": job.status.value, "attempt": job.attempt,
        "cancel_requested": job.cancel_requested, **{name: _iso(at) for name, at in times.items()},
        "stats": stats, "data": job.data, "progress": job.progress, "result": job.result, "error": job.error,
    }  # fmt: skip


def _step_document(step: Any) -> dict[str, Any]:
    times = {"started_at": _iso(step.started_at), "ended_at": _iso(step.ended_at)}
    return {
        "name": step.name, "kind": step.kind, "state": step.state, "generation": step.generation,
        "polls": step.polls, **times, "value": step.value,
    }  # fmt: skip


def _send(configured: Settings, request: Request, *, wait: bool, as_json: bool) -> NoReturn:
    with sender(configured, watch=wait) as send:
        code = finish(send(request), watch=wait, job_id=request.id, as_json=as_json)
    raise typer.Exit(code)


def _retry_request(job_id: str, *, repeat_effect: bool) -> Request:
    return build_request(RetryJob, {"job_id": job_id, "repeat_effect": repeat_effect})


def _note(job: Job) -> str:
    if job.error is not None:
        return str(job.error["code"])
    if job.scheduled_for is not None:
        return f"not before {format_local_time(job.scheduled_for)}"
    if job.status is Status.RUNNING:
        return describe_progress(JobSnapshot(job.id, job.command, job.status, job.progress))
    return ""


def _iso(at: float | None) -> str | None:
    return None if at is None else to_datetime(at).isoformat().replace("+00:00", "Z")
