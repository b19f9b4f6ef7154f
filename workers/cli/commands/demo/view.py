"""The output of the demo: progress bars while it runs, and a report at its end."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from rich.text import Text

from messages.events import Status
from workers.cli.commands.demo.plan import Planned
from workers.cli.commands.events import print_event
from workers.cli.console import out, print_table, printable, styled_status
from workers.cli.progress import describe_progress, error_lines, percent_done, progress_bars
from workers.cli.submission import JobSnapshot

#: Without a terminal a line is printed for every so many percent.
PERCENT_STEP = 25


class View:
    """One bar per job on a terminal, lines otherwise.

    Args:
        plan: the commands that will be sent.
    """

    def __init__(self, plan: Sequence[Planned]) -> None:
        self._bars = progress_bars(console=out) if out.is_terminal else None
        self._tasks = {
            planned.id: self._bars.add_task(
                planned.command.ljust(24), start=False, total=100, doing="waiting"
            )
            for planned in plan
            if self._bars is not None
        }
        self._shown: dict[str, object] = {}
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self, snapshot: JobSnapshot) -> None:
        """Tell where a job stands."""
        percent = percent_done(snapshot)
        if self._bars is None:
            step = (snapshot.progress or {}).get("step")
            shown = (snapshot.status, step, int((percent or 0) // PERCENT_STEP))
            if self._shown.get(snapshot.job_id) != shown:
                self._shown[snapshot.job_id] = shown
                seconds = time.monotonic() - self._began
                out.print(Text(f"{seconds:5.1f} s  {snapshot.command:24}  {describe_progress(snapshot)}"))
            return
        task = self._tasks[snapshot.job_id]
        if snapshot.job_id not in self._shown:
            self._shown[snapshot.job_id] = True
            self._bars.start_task(task)
        known = percent is not None or snapshot.status.ended  # otherwise the bar only shows that it lives
        self._bars.update(
            task, completed=percent or 0, total=100 if known else None, doing=describe_progress(snapshot)
        )
        if snapshot.status.ended:
            self._bars.stop_task(task)


def print_report(
    plan: Sequence[Planned],
    snapshots: Sequence[JobSnapshot | None],
    events: Sequence[dict[str, Any]],
    ledger_url: str,
    folder: Path,
) -> None:
    """Return the report: the jobs' outcomes, their events, where the results are, and what to do next."""
    out.print()
    rows = [_row(planned, snapshot) for planned, snapshot in zip(plan, snapshots, strict=True)]
    columns = ("job", "command", "outcome", "result", "seconds", "turns", "polls", "vendor calls")
    print_table(columns, rows, empty="")
    for snapshot in snapshots:
        if snapshot is not None and snapshot.error is not None:
            out.print(Text("\n".join([f"\n{snapshot.job_id}:", *error_lines(snapshot.error)]), style="red"))
    out.print("\nEvents", style="bold")
    for event in events:
        print_event(event)
    out.print("\nResult files", style="bold")
    files = [file for snapshot in snapshots if snapshot is not None for file in _files(snapshot.result)]
    print_table(("file", "rows", "bytes"), [_file_row(file) for file in files], empty="none")
    out.print("\nNext", style="bold")
    out.print(Text(f"  look at the results and the log   ls -R {folder}"))
    out.print(Text(f"  ask the ledger what happened      KYB_LEDGER_URL={ledger_url} {program()} jobs list"))
    out.print(
        Text(
            f"  work with the real vendors        set KYB_DATA8__CLIENT_ID and so on, then: {program()} worker"
        )
    )


def program() -> str:
    """Return how the user calls this program: by its name only if the shell would find it."""
    return "kyb" if shutil.which("kyb") else os.path.relpath(sys.argv[0])


def _row(planned: Planned, snapshot: JobSnapshot | None) -> tuple[object, ...]:
    if snapshot is None:
        return planned.id, planned.command, "not run", f"needs {planned.after}", "", "", "", ""
    summary = planned.numbers(snapshot.result) if snapshot.result is not None else ""
    if snapshot.error is not None:
        summary = printable(snapshot.error["code"])
    stats = snapshot.stats or {"seconds": 0.0, "turns": 0, "polls": 0, "vendor_calls": 0}
    outcome = styled_status(snapshot.status if snapshot.status is not Status.ACCEPTED else "unknown")
    return (
        planned.id, planned.command, outcome, summary,
        f"{stats['seconds']:.1f}", stats["turns"], stats["polls"], stats["vendor_calls"],
    )  # fmt: skip


def _files(result: object) -> Iterator[dict[str, Any]]:
    """All files that a result names, however deep."""
    if isinstance(result, dict):
        if "sha256" in result:
            yield result
        else:
            for value in result.values():
                yield from _files(value)


def _file_row(file: dict[str, Any]) -> tuple[object, ...]:
    path = Path(unquote(urlsplit(file["uri"]).path))
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return str(shown), "" if file["records"] is None else f"{file['records']:,}", f"{file['bytes']:,}"
