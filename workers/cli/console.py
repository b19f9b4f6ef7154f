"""Output: tables and lines for people, JSON documents for programs. Standard output has nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from io import StringIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

#: Columns of a table that does not go to a terminal.
MAX_TABLE_COLUMNS = 10_000

_COLOURS = {
    "completed": "green", "failed": "red", "rejected": "red", "cancelled": "yellow",
    "running": "cyan", "progressed": "cyan", "accepted": "blue",
}  # fmt: skip


def print_json(document: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def print_json_line(document: object) -> None:
    """Print one JSON document on one line, and flush."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print a table, or `empty` if it has no rows."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*[cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row])
    if not table.row_count:
        out.print(empty)
    elif out.is_terminal:
        Console(highlight=False).print(table)
    else:  # for files and pipes: one line per row, however long
        page = Console(highlight=False, width=MAX_TABLE_COLUMNS, file=StringIO())
        with page.capture() as captured:
            page.print(table)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def printable(value: object) -> str:
    """Return a value as one line of text; replace control characters, which vendors and messages may contain."""
    text = "" if value is None else str(value)
    return "".join(character if character.isprintable() else " " for character in text)


def styled_status(status: str) -> Text:
    """Return a status or outcome in its colour."""
    return Text(status, style=_COLOURS.get(status, ""))


def format_local_time(seconds: float | None) -> str:
    """Format epoch seconds as local time."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def error_line(text: str) -> None:
    """Print one line on standard error."""
    err.print(Text(text))


def usage(message: str) -> typer.BadParameter:
    """Return the error to raise for wrong usage (exit code 2)."""
    return typer.BadParameter(message)
