"""`kyb ledger`: migrate the ledger, and recover one that was restored from a back-up."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any

import typer

from workers.cli.bootstrap import open_database, open_ledger, settings
from workers.cli.commands.events import of_stream, start_of
from workers.cli.console import error_line, out, print_json, print_table, usage
from workers.cli.exit_codes import JOB_FAILED
from workers.ledger.disaster_recovery import finish_recovery, start_recovery
from workers.settings import parse_duration

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)
recovery = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(recovery, name="recovery", help="Recover a ledger that was restored from a back-up.")


@app.callback()
def _ledger() -> None:
    """The ledger's tables, and the recovery of a restored ledger."""


@app.command()
def upgrade() -> None:
    """Create or migrate the tables; safe to repeat, and to run from several machines at once."""
    with closing(open_database(settings())) as database:
        database.upgrade()
        database.check()
    out.print("the ledger is ready")


@recovery.command()
def start(
    window: Annotated[str, typer.Option(help="how long new commands may repeat lost ones, e.g. 12h")] = "24h",
) -> None:
    """Mark the ledger as restored from a back-up. Run this before any worker starts.

    Until the recovery ends, jobs check at the vendor whether an effect has already happened before they perform it.
    """
    try:
        window_seconds = float(str(parse_duration(window)))
    except ValueError as error:
        raise usage(f"--window: {error}") from None
    with (
        open_ledger(settings()) as ledger,
        ledger.database.connect() as connection,
        ledger.dispatch.try_lead(connection) as is_leader,
    ):
        marked = start_recovery(ledger.database, window_seconds) if is_leader else None
    if marked is None:
        error_line("a worker uses this ledger: stop all workers, restore the ledger again, then repeat this")
        raise typer.Exit(JOB_FAILED)
    out.print(f"{marked} jobs may have done more than the ledger knows: they check before they act")


@recovery.command("lost-jobs")
def lost_jobs(
    since: Annotated[
        str, typer.Option("--from", help="how far back to look: the age of the back-up and a little more")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """List the jobs of RabbitMQ's event log that the ledger lacks: their commands must be sent again."""
    configured = settings()
    if configured.embedded:
        raise usage("the embedded broker has no event log besides the ledger")
    jobs: dict[str, dict[str, Any]] = {}
    with open_ledger(configured) as ledger:
        for event in of_stream(configured, start_of(since, everything=False), follow=False):
            data = event["data"]
            if "sequence" in event and (data["job_id"] in jobs or ledger.queries.job(data["job_id"]) is None):
                jobs[data["job_id"]] = {
                    "job_id": data["job_id"],
                    "command": data["command"],
                    "status": data["status"],
                    "accepted_at": data["accepted_at"],
                    "correlation_id": event["correlationid"],
                }
    if as_json:
        print_json(list(jobs.values()))
        return
    rows = [tuple(job.values()) for job in jobs.values()]
    columns = ("job", "command", "last status", "accepted", "correlation")
    print_table(columns, rows, empty="no job was lost")


@recovery.command()
def finish() -> None:
    """End the recovery: new commands count as new from now on."""
    with open_ledger(settings()) as ledger:
        changed = finish_recovery(ledger.database)
    out.print("the recovery has ended" if changed else "no recovery is in progress")
