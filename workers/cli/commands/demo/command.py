"""`kyb demo`: sandbox vendors, embedded broker, ledger and one worker in this process."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from messages.events import Status
from sandbox import Sandbox
from sandbox.core import SandboxState
from workers.cli.bootstrap import open_storage
from workers.cli.commands.demo.plan import Planned, demo_plan, write_entities
from workers.cli.commands.demo.view import View, print_report
from workers.cli.console import usage
from workers.cli.exit_codes import JOB_FAILED
from workers.cli.submission import JobSnapshot, job_in_ledger, record_command
from workers.engine.admission import Admission
from workers.engine.worker import Worker
from workers.observability import logs
from workers.settings import Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: Where everything that the demo makes lies.
FOLDER = Path("kyb-demo")
#: How long a vendor's job takes in the demo: long enough to watch, in seconds.
JOB_SECONDS = 2.0
#: Seconds between two looks into the ledger.
POLL_INTERVAL_SECONDS = 0.1


class DemoSettings(Settings):
    """Settings of the demo, which ignore the environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - as pydantic calls it
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given in code."""
        return (init_settings,)


@app.command()
def demo(
    file: Annotated[
        Path | None,
        typer.Argument(
            exists=True, dir_okay=False, readable=True, help="a CSV of companies; default: a sample"
        ),
    ] = None,
    job_seconds: Annotated[
        float, typer.Option(min=0.0, help="how long the simulators' jobs take")
    ] = JOB_SECONDS,
) -> None:
    """Run the main jobs against the vendors' simulators, on FILE, in a fresh folder ./kyb-demo.

    Nothing needs to be installed or configured, and nothing leaves this machine.
    """
    with as_file(files("workers").joinpath("cli/commands/demo/sample.csv")) as sample:
        snapshots = run_demo(file.absolute() if file is not None else sample, job_seconds)
    if any(snapshot is None or snapshot.status is not Status.COMPLETED for snapshot in snapshots):
        raise typer.Exit(JOB_FAILED)


def run_demo(source: Path, job_seconds: float) -> list[JobSnapshot | None]:
    """Run the demo; gives how each job ended, None for one that was not sent."""
    ledger_url = fresh_folder()
    plan = demo_plan(source, write_entities(source, FOLDER / "entities.csv"))
    with (
        (FOLDER / "kyb.log").open("w", encoding="utf-8") as log,
        Sandbox(state=SandboxState(job_seconds)) as sandbox,
    ):
        settings = demo_settings(sandbox, ledger_url, source)
        logs.configure(settings.log, log)
        try:
            with worker_of(settings) as worker:
                view = View(plan)
                with view:
                    snapshots = carry_out(plan, worker, settings, view)
                events = [json.loads(stored.body) for stored in worker.ledger.queries.events()]
        finally:
            logging.getLogger().handlers.clear()  # it writes into a file that is closed now
    print_report(plan, snapshots, events, ledger_url, FOLDER)
    return snapshots


def fresh_folder() -> str:
    """Make the folder, or clear what an earlier demo left in it; gives the ledger's URL."""
    try:
        FOLDER.mkdir(exist_ok=True)
        for leftover in FOLDER.glob("kyb.db*"):
            leftover.unlink()
        (FOLDER / "kyb.log").write_bytes(b"")
    except OSError as error:
        raise usage(
            f"the demo writes into ./{FOLDER}, which cannot be done here ({error.strerror}): go where it can"
        ) from None
    shutil.rmtree(FOLDER / "results", ignore_errors=True)
    return f"sqlite:///{FOLDER / 'kyb.db'}"


def demo_settings(sandbox: Sandbox, ledger_url: str, source: Path) -> Settings:
    """A worker's settings for the simulators."""
    vendors: dict[str, dict[str, str]] = {}
    for name, value in sandbox.environment().items():
        vendor, _, member = name.removeprefix("KYB_").lower().partition("__")
        vendors.setdefault(vendor, {})[member] = value
    values: dict[str, Any] = {
        **vendors,
        "ledger_url": ledger_url,
        "storage": {"inputs": f"{source.parent},{FOLDER}", "results": str(FOLDER / "results")},
        "polling": {"min_delay": 0.3, "max_delay": 1.0},
        "log": {"format": "json"},
    }
    return DemoSettings(**values)


@contextmanager
def worker_of(settings: Settings) -> Iterator[Worker]:
    """A worker that serves for the time of the block."""
    worker = Worker(settings)
    worker.ledger.database.upgrade()
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def carry_out(
    plan: list[Planned], worker: Worker, settings: Settings, view: View
) -> list[JobSnapshot | None]:
    """Send every command as soon as the one before it allows, and watch until all have ended."""
    admission = Admission(worker.ledger.jobs, open_storage(settings), settings.polling.deadline)
    snapshots: dict[str, JobSnapshot] = {}
    waiting = {planned.id: planned for planned in plan}
    while waiting or not all(snapshot.status.ended for snapshot in snapshots.values()):
        for planned in list(waiting.values()):
            before = snapshots.get(planned.after) if planned.after is not None else None
            if planned.after is None or (before is not None and before.status is Status.COMPLETED):
                del waiting[planned.id]
                request = planned.request(before)
                snapshots[planned.id] = JobSnapshot(planned.id, planned.command, Status.ACCEPTED)
                for rejected in record_command(worker.ledger, admission, request, watch=False):
                    snapshots[planned.id] = rejected
            elif planned.after not in waiting and (before is None or before.status.ended):
                del waiting[planned.id]  # what it needs did not come about
        for id, snapshot in snapshots.items():
            if not snapshot.status.ended:
                snapshots[id] = job_in_ledger(worker.ledger, id) or snapshot
            view.show(snapshots[id])
        time.sleep(POLL_INTERVAL_SECONDS)
    return [snapshots.get(planned.id) for planned in plan]
