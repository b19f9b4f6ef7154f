"""`kyb dlq`: list, show, redrive and discard dead letters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from workers.broker import topology
from workers.broker.dead_letters import DEAD_LETTER_QUEUES, DeadLetter, DeadLetterQueues, describe
from workers.cli.bootstrap import broker_urls, open_ledger, settings
from workers.cli.console import error_line, out, print_json, print_table, printable, usage
from workers.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Dead letters.")

#: Characters shown of what a message says of itself.
SHOWN = 200

Queue = Annotated[
    str | None, typer.Argument(help="e.g. kyb.data8, kyb.data8.dead or kyb.unroutable; all if left out")
]
Id = Annotated[str | None, typer.Option(help="only dead letters of this job")]
All = Annotated[bool, typer.Option("--all", help="every dead letter")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only say what would be done")]
AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document")]
Limit = Annotated[int, typer.Option(min=1, help="dead letters per queue")]


@app.command("list")
def list_(queue: Queue = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Count dead letters and list the first of them; all stay in their queues."""
    configured = settings()
    names = _queues(queue)
    if configured.embedded:
        _list_rejected(configured, as_json=as_json)
        return
    with DeadLetterQueues(broker_urls(configured)) as letters:
        counts = {name: letters.count(name) for name in names}
        browsed = {name: _browse(letters, name, limit, None) for name in names if counts[name]}
    if as_json:
        print_json([{"queue": n, "count": counts[n], "letters": browsed.get(n, [])} for n in names])
        return
    print_table(("queue", "letters"), counts.items(), empty="")
    if browsed:
        out.print()
        rows = [(letter["queue"], letter["job_id"] or "-", letter["type"] or "-", letter["reason"])
                for shown in browsed.values() for letter in shown]  # fmt: skip
        print_table(("queue", "job", "type", "reason"), [[_cut(c) for c in row] for row in rows], empty="")


@app.command()
def show(queue: Queue = None, id: Id = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """Show everything about dead letters except the commands' data."""
    configured = settings()
    names = _queues(queue)
    if configured.embedded:
        _list_rejected(configured, as_json=as_json)
        return
    with DeadLetterQueues(broker_urls(configured)) as letters:
        shown = [entry for name in names for entry in _browse(letters, name, limit, id)]
    if as_json:
        print_json(shown)
        return
    for described in shown:
        for member, value in described.items():
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)
            out.print(f"{member:15} {printable(text)[: 5 * SHOWN]}", markup=False)
        out.print()
    if not shown:
        out.print("no dead letters")


@app.command()
def redrive(
    queue: Queue = None, id: Id = None, all: All = False, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Send dead letters back to the queue that they came from."""

    def redrive_letter(letters: DeadLetterQueues, channel: Any, letter: DeadLetter) -> str:
        if dry_run:
            return "would go back" if letter.to_redrive() is not None else "would stay: no queue takes it"
        return "went back" if letters.redrive(channel, letter) else "stays: no queue takes it"

    _settle(queue, id, redrive_letter, every=all, as_json=as_json)


@app.command()
def discard(
    queue: Queue = None,
    id: Id = None,
    all: All = False,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: AsJson = False,
) -> None:
    """Discard dead letters permanently."""
    if (all or id is not None) and not dry_run and not yes and not settings().embedded:
        typer.confirm(
            f"discard {'every dead letter' if all else f'the dead letters of {id}'}?", abort=True, err=True
        )

    def discard_letter(_: DeadLetterQueues, channel: Any, letter: DeadLetter) -> str:
        if dry_run:
            return "would be discarded"
        channel.basic_ack(letter.tag)
        return "discarded"

    _settle(queue, id, discard_letter, every=all, as_json=as_json)


def _settle(queue: str | None, id: str | None, settle: Any, *, every: bool, as_json: bool) -> None:
    if every == (id is not None):
        raise usage("give either --id ID or --all")
    configured = settings()
    names = _queues(queue)
    if configured.embedded:
        _list_rejected(configured, as_json=as_json)
        return
    done: list[dict[str, Any]] = []
    with DeadLetterQueues(broker_urls(configured)) as letters:
        for name in names:
            with letters.browse(name, letters.count(name)) as (channel, messages):
                done.extend(
                    {**describe(letter), "outcome": settle(letters, channel, letter)}
                    for letter in messages
                    if every or letter.job_id == id
                )
    if as_json:
        print_json(done)
        return
    rows = [[_cut(d[column]) for column in ("queue", "job_id", "type", "outcome")] for d in done]
    print_table(("queue", "job", "type", "outcome"), rows, empty="no such letters")


def _browse(letters: DeadLetterQueues, name: str, limit: int, id: str | None) -> list[dict[str, Any]]:
    with letters.browse(name, limit if id is None else letters.count(name)) as (_, messages):
        described = [describe(letter) for letter in messages if id is None or letter.job_id == id]
    return described[:limit]


def _queues(queue: str | None) -> tuple[str, ...]:
    if queue is None:
        return DEAD_LETTER_QUEUES
    for name in (queue, topology.dead_letter_queue(queue)):
        if name in DEAD_LETTER_QUEUES:
            return (name,)
    raise usage(f"{queue}: no queue of dead letters; there are {', '.join(DEAD_LETTER_QUEUES)}")


def _list_rejected(configured: Settings, *, as_json: bool) -> None:
    """Print the rejected commands of the ledger, since the embedded broker has no dead letters."""
    rejected = list(_rejected(configured))
    error_line("the embedded broker has no dead letters; these commands were rejected:")
    if as_json:
        print_json(rejected)
        return
    rows = [(e["time"], _cut(e["subject"]), _cut(e["data"]["command"]), _cut(e["data"]["error"]["message"]))
            for e in rejected]  # fmt: skip
    print_table(("time", "job", "type", "reason"), rows, empty="none")


def _rejected(configured: Settings) -> Iterator[dict[str, Any]]:
    number = 0
    with open_ledger(configured) as ledger:
        while batch := ledger.queries.events(after=number):
            number = batch[-1].number
            for stored in batch:
                if stored.type.endswith(".rejected"):
                    yield json.loads(stored.body)


def _cut(value: object) -> str:
    return printable(value)[:SHOWN]
