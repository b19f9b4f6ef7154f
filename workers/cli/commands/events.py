"""`kyb events`: replay and follow events."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer
from rich.text import Text

from workers.cli.bootstrap import broker_urls, open_ledger, settings
from workers.cli.console import out, print_json, print_json_line, printable, styled_status, usage
from workers.cli.progress import describe_step
from workers.settings import Settings, parse_duration

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)

#: Time between two reads of the ledger.
POLL_INTERVAL_SECONDS = 0.2
#: After this time without an event, a stream has been read to its end.
IDLE_TIMEOUT_SECONDS = 1.5


@app.callback()
def _events() -> None:
    """Events, from RabbitMQ's stream or, with the embedded broker, from the ledger."""


@app.command()
def tail(
    job: Annotated[str | None, typer.Option(help="only of this job")] = None,
    since: Annotated[str | None, typer.Option("--from", help="begin so long ago, e.g. 1h or 7d")] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="go on with what comes, or end with what is there")
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="a JSON array; one JSON object a line while following")
    ] = False,
) -> None:
    """Print events. Without --from: all of a job or with --no-follow, otherwise what comes from now on."""
    configured = settings()
    start = start_of(since, everything=job is not None or not follow)
    events = (
        _of_ledger(configured, start, job, follow=follow)
        if configured.embedded
        else of_stream(configured, start, follow=follow)
    )
    mine = (event for event in events if job is None or event["subject"] == job)
    with suppress(KeyboardInterrupt):
        if as_json and not follow:
            print_json(list(mine))
        else:
            for event in mine:
                print_json_line(event) if as_json else print_event(event)


def print_event(event: dict[str, Any]) -> None:
    """Print one event as one line."""
    command, _, outcome = event["type"].rpartition(".")
    data = event["data"]
    detail = ""
    if data.get("progress"):
        detail = describe_step(data["progress"])
    elif data.get("error"):
        detail = f"{data['error']['code']}: {data['error']['message']}"
    elif data.get("stats"):
        detail = f"{data['stats']['seconds']:.1f} s"
    at = datetime.fromisoformat(event["time"]).astimezone().strftime("%H:%M:%S")
    out.print(
        Text.assemble(
            f"{at}  ",
            f"{printable(event['subject'])}  {printable(command)} ",
            styled_status(outcome),
            f"  {printable(detail)}",
        )
    )


def start_of(since: str | None, *, everything: bool) -> float:
    """Return `--from` in epoch seconds; without it 0 for `everything`, else now."""
    if since is None:
        return 0.0 if everything else time.time()
    try:
        return time.time() - float(str(parse_duration(since)))
    except ValueError as error:
        raise usage(f"--from: {error}") from None


def _of_ledger(
    configured: Settings, start: float, job: str | None, *, follow: bool
) -> Iterator[dict[str, Any]]:
    number = 0
    with open_ledger(configured) as ledger:
        while True:
            batch = ledger.queries.events(after=number, since=start, job_id=job)
            for stored in batch:
                number = stored.number
                yield json.loads(stored.body)
            if not batch:
                if not follow:
                    return
                time.sleep(POLL_INTERVAL_SECONDS)


def of_stream(configured: Settings, start: float, *, follow: bool) -> Iterator[dict[str, Any]]:
    """Yield the events of RabbitMQ's stream from `start` (epoch seconds); without `follow`, only the existing ones."""
    from workers.broker.event_stream import EventStream  # noqa: PLC0415 - the embedded broker does without pika

    started = datetime.now(UTC)
    offset: datetime | Literal["first"] = datetime.fromtimestamp(start, UTC) if start else "first"
    with EventStream(broker_urls(configured), offset) as stream:
        while True:
            body = stream.read(IDLE_TIMEOUT_SECONDS)
            if body is None:
                if not follow:
                    return
                continue
            event = json.loads(body)
            event_time = datetime.fromisoformat(event["time"])
            if not follow and event_time > started:
                return
            if event_time.timestamp() >= start:
                yield event
