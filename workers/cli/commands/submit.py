"""`kyb submit`: send a command."""

from __future__ import annotations

import json
import uuid
from typing import Annotated

import typer

from messages.base import Command
from messages.catalogue import COMMANDS
from messages.envelope import InvalidCommand, Request, parse
from workers.cli.arguments import build_data, parse_json, parse_options
from workers.cli.bootstrap import settings
from workers.cli.console import usage
from workers.cli.progress import finish
from workers.cli.submission import sender

#: The `source` of commands that people send.
SOURCE = "/kyb/cli"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog="Commands: " + ", ".join(COMMANDS),
)
def submit(
    context: typer.Context,
    type: Annotated[
        str, typer.Argument(help="the command, e.g. creditsafe.run_matching", show_default=False)
    ],
    data: Annotated[str, typer.Option(help="the command's data, JSON or @FILE")] = "{}",
    id: Annotated[str | None, typer.Option(help="the job's id; by default a new UUID")] = None,
    source: Annotated[str, typer.Option(help="who asks, a URI reference")] = SOURCE,
    not_before: Annotated[
        str | None, typer.Option(help="when the job may begin, e.g. 2026-08-04T06:00:00Z", show_default=False)
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="show the progress, end with the outcome")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document")] = False,
) -> None:
    """Send a command; print the job's id.

    Any field of the command can be given as --field value, with dots for what is nested:
    --portfolio.name "Suppliers". Values that the field does not take as text are read as JSON.
    """
    command = COMMANDS.get(type)
    if command is None:
        raise usage(f"{type}: no such command; there are {', '.join(COMMANDS)}")
    options = parse_options(context.args)
    fields = build_data(command, parse_json("--data", data), options)
    request = build_request(command, fields, id, source, not_before)
    with sender(settings(), watch=wait) as send:
        code = finish(send(request), watch=wait, job_id=request.id, as_json=as_json)
    raise typer.Exit(code)


def build_request(
    command: type[Command],
    data: dict[str, object],
    id: str | None = None,
    source: str = SOURCE,
    not_before: str | None = None,
) -> Request:
    """Return the command, validated as the worker validates it. Raises `typer.BadParameter`."""
    event = {"specversion": "1.0", "id": id or str(uuid.uuid4()), "source": source, "type": command.type_}
    if not_before is not None:
        event["notbefore"] = not_before
    try:
        return parse(json.dumps({**event, "data": data}).encode())
    except InvalidCommand as invalid:
        raise usage(f"{command.type_} cannot be sent so:\n{str(invalid).replace('; ', chr(10))}") from None
