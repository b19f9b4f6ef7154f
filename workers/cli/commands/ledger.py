"""`kyb ledger`: its tables, and what to do when it was restored from a back-up."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated, Any

import typer

from workers.cli.bootstrap import opened_database, opened_ledger, settings
from workers.cli.commands.events import of_stream, start_of
from workers.cli.console import error_line, out, print_json, print_table, usage
from workers.cli.exit_codes import JOB_FAILED
from workers.ledger.disaster_recovery import finish_recovery, start_recovery
from workers.settings import seconds

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _ledger() -> None:
    """The ledger's tables, and its restoration from a back-up."""


@app.command()
def upgrade() -> None:
    """Create or migrate the tables; safe to repeat, and to run from several machines at once."""
    with closing(opened_database(settings())) as database:
        database.upgrade()
        database.check()
    out.print("the ledger is ready")


@app.command()
def restored(
    repeats_for: Annotated[
        str, typer.Option(help="how long commands may be repeats of forgotten ones, e.g. 12h")
    ] = "24h",
) -> None:
    """Say that the ledger was just restored from a back-up, before any worker is started.

    Its jobs, and new ones for so long, look at the vendor for what the ledger may have forgotten before they do it.
    """
    try:
        window = float(str(seconds(repeats_for)))
    except ValueError as error:
        raise usage(f"--repeats-for: {error}") from None
    with (
        opened_ledger(settings()) as ledger,
        ledger.database.connect() as connection,
        ledger.try_lead(connection) as alone,
    ):
        marked = start_recovery(ledger.database, window) if alone else None
    if marked is None:
        error_line("a worker uses this ledger: stop all workers, restore the ledger again, then repeat this")
        raise typer.Exit(JOB_FAILED)
    out.print(f"{marked} jobs may have done more than the ledger knows: they will look before they act")


@app.command()
def settled() -> None:
    """Say that all forgotten commands were sent again: new ones are new from now on."""
    with opened_ledger(settings()) as ledger:
        changed = finish_recovery(ledger.database)
    out.print("new commands are taken as new" if changed else "nothing to settle")


@app.command()
def forgotten(
    since: Annotated[
        str, typer.Option("--from", help="since when; the age of the back-up and a little more")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """List the jobs that RabbitMQ's event log tells of and the ledger does not know: send their commands again."""
    found = settings()
    if found.embedded:
        raise usage("with the embedded broker there is no event log beside the ledger")
    jobs: dict[str, dict[str, Any]] = {}
    with opened_ledger(found) as ledger:
        for event in of_stream(found, start_of(since, everything=False), follow=False):
            data = event["data"]
            if "sequence" in event and (data["job_id"] in jobs or ledger.job(data["job_id"]) is None):
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
    print_table(("job", "command", "it was", "accepted", "correlation"), rows, empty="no job was forgotten")
