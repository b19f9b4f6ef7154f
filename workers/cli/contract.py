"""`kyb contract`: the contract as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from messages.asyncapi import asyncapi
from messages.schemas import schemas
from workers.cli.console import out, usage

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def contract(
    output: Annotated[Path, typer.Option(help="the folder to write to; made if need be")] = Path("contract"),
) -> None:
    """Write the JSON Schema of every command and event, and asyncapi.json."""
    documents = {**schemas(), "asyncapi.json": asyncapi()}
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, document in documents.items():
            text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
            (output / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise usage(f"--output: {output} cannot be written: {error.strerror}") from None
    out.print(f"{len(documents)} files in {output}", markup=False)
