"""Progress and outcome of a job, as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.text import Text

from messages.events import Status
from workers.cli.console import err, error_line, out, print_json, printable
from workers.cli.exit_codes import JOB_FAILED
from workers.cli.submission import JobSnapshot

if TYPE_CHECKING:
    from rich.progress import Progress


def progress_bars(**options: Any) -> Progress:
    """Return bars with one line for each job: its command, its progress and its step."""
    from rich.progress import (  # noqa: PLC0415 - most commands show no bar
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[doing]}", markup=False),
        TimeElapsedColumn(),
        **options,
    )


def describe_progress(snapshot: JobSnapshot) -> str:
    """Describe a job's progress in a few words."""
    if snapshot.status is Status.ACCEPTED:
        return "accepted"
    if snapshot.status.ended:
        return snapshot.status.value
    return describe_step(snapshot.progress or {})


def describe_step(progress: dict[str, Any]) -> str:
    """Describe the progress of an event."""
    words = [printable(progress.get("step", "running"))]
    if progress.get("percent") is not None:
        words.append(f"{progress['percent']:.0f} %")
    if progress.get("done") is not None:
        total = progress.get("total")
        words.append(f"{progress['done']:,}" + (f" of {total:,}" if total else ""))
    return ", ".join(words)


def percent_done(snapshot: JobSnapshot) -> float | None:
    """Return 0 to 100, or None if it is unknown."""
    if snapshot.status is Status.COMPLETED:
        return 100.0
    percent = (snapshot.progress or {}).get("percent")
    return None if percent is None else float(percent)


def watch_job(snapshots: Iterator[JobSnapshot]) -> JobSnapshot | None:
    """Return the last snapshot, or None; show the others as a bar on a terminal."""
    last = None
    with progress_bars(console=err, transient=True, disable=not err.is_terminal) as bars:
        for snapshot in snapshots:
            if last is None:
                bar = bars.add_task(snapshot.command, total=None, doing="")
            last = snapshot
            percent = percent_done(snapshot)
            bars.update(
                bar,
                completed=percent or 0,
                total=None if percent is None else 100,
                doing=describe_progress(snapshot),
            )
    return last


def print_outcome(snapshot: JobSnapshot) -> None:
    """Print a job's status, and its result or error."""
    stats = snapshot.stats or {}
    cost = (
        f" after {stats['seconds']:.1f} s, {stats['turns']} turns, {stats['polls']} polls, "
        f"{stats['vendor_calls']} vendor calls"
        if stats
        else ""
    )
    error_line(f"{snapshot.job_id}: {snapshot.status}{cost}")
    if snapshot.result is not None:
        print_json(snapshot.result)
    for line in error_lines(snapshot.error):
        error_line(line)


def error_lines(error: dict[str, Any] | None) -> list[str]:
    """Return an event's error as lines of text."""
    if error is None:
        return []
    detail = error.get("detail")
    if isinstance(detail, list):
        return [
            str(error["code"]),
            *(f"  {printable(d['field'] or 'message')}: {printable(d['message'])}" for d in detail),
        ]
    lines = [f"{error['code']}: {printable(error['message'])}"]
    if error.get("step"):
        lines.append(f"  step: {printable(error['step'])}")
    if detail:
        lines.append(f"  detail: {printable(detail)}")
    return lines


def finish(snapshots: Iterator[JobSnapshot], *, watch: bool, job_id: str, as_json: bool) -> int:
    """Send a command, wait if `watch` is set, print the outcome, and return the exit code."""
    try:
        last = watch_job(snapshots)
    except KeyboardInterrupt:
        error_line(f"{job_id}: no longer watched, the job goes on: kyb jobs show {job_id}")
        raise
    if last is None:
        if watch:
            error_line(f"{job_id}: the ledger no longer knows it")
            return JOB_FAILED
        if as_json:
            print_json({"job_id": job_id})
        else:
            out.print(Text(job_id))
        return 0
    if as_json:
        print_json(last.document())
    else:
        print_outcome(last)
    return 0 if last.status is Status.COMPLETED else JOB_FAILED
