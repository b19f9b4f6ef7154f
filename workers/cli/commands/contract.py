"""`kyb contract`: the contract as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from messages import examples
from messages.asyncapi import asyncapi
from messages.compatibility import breaking
from messages.envelope import read_json
from messages.html import pages
from messages.schemas import schemas
from workers.cli.console import error_line, out, usage

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: Exit code when the contract is not what `--check` holds it against.
BROKEN = 1


@app.command()
def contract(
    output: Annotated[
        Path | None, typer.Option(help="the folder to write to; made if need be  [default: contract]")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="a folder written before: anything not additive to it ends with 1")
    ] = None,
) -> None:
    """Write the JSON Schema of every command and event, an example of each, asyncapi.json and its HTML pages.

    With --check alone nothing is written.
    """
    if check is not None:
        reasons = breaking(_written(check), schemas())
        for reason in reasons:
            error_line(reason)
        if reasons:
            raise typer.Exit(BROKEN)
        out.print(f"additive to {check}", markup=False)
        if output is None:
            return
    folder = output or Path("contract")
    files = documents()
    try:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise usage(f"--output: {folder} cannot be written: {error.strerror}") from None
    out.print(f"{len(files)} files in {folder}", markup=False)


def documents() -> dict[str, str]:
    """All that is written, by path in the folder."""
    given = examples.commands() | examples.events()
    files: dict[str, Any] = {**schemas(), **{f"examples/{type_}.json": given[type_] for type_ in given}}
    files["asyncapi.json"] = document = asyncapi()
    texts = {name: json.dumps(each, ensure_ascii=False, indent=2) + "\n" for name, each in files.items()}
    return texts | {f"html/{name}": text for name, text in pages(document).items()}


def _written(folder: Path) -> dict[str, dict[str, Any]]:
    """The schemas that a folder holds. Raises wrong usage."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            document = read_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise usage(f"--check: {path.name} cannot be read: {error}") from None
        if isinstance(document, dict) and "$schema" in document:
            found[path.name] = document
    if not found:
        raise usage(f"--check: {folder} holds no schemas")
    return found
