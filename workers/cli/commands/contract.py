"""`kyb contract`: write the contract to files, and check that it changes by addition only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from messages import examples
from messages.asyncapi import asyncapi
from messages.compatibility import breaking
from messages.envelope import read_json
from messages.pages import refresh_page
from messages.schemas import schemas
from workers.cli.console import error_line, out, usage

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: The exit code when `--check` finds a breaking change.
BREAKING_EXIT_CODE = 1


@app.command()
def contract(
    output: Annotated[
        Path | None,
        typer.Option(help="the folder to write to; made if it does not exist  [default: contract]"),
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="a folder written before: a change that is not additive ends with 1")
    ] = None,
    pages: Annotated[
        list[Path] | None,
        typer.Option(help="a Markdown page, or a folder of them, whose generated parts are to be updated"),
    ] = None,
) -> None:
    """Write the JSON Schema of every command and event, an example of each, and asyncapi.json.

    With --check alone, nothing is written.
    """
    if check is not None:
        _check(check)
        if output is None and not pages:
            return
    folder = output or Path("contract")
    try:
        files = _write(folder)
        updated = [page for page in _markdown_files(pages or []) if _update(page)]
    except OSError as error:
        raise usage(f"{error.filename or folder} cannot be written: {error.strerror}") from None
    out.print(f"{files} files in {folder}", markup=False)
    for page in updated:
        out.print(f"updated {page}", markup=False)


def contract_files() -> dict[str, str]:
    """Return the text of every file of the contract, by its path in the folder."""
    messages = examples.commands() | examples.events()
    files: dict[str, Any] = {
        **schemas(),
        **{f"examples/{type_}.json": message for type_, message in messages.items()},
        "asyncapi.json": asyncapi(),
    }
    return {name: json.dumps(file, ensure_ascii=False, indent=2) + "\n" for name, file in files.items()}


def _check(folder: Path) -> None:
    reasons = breaking(_read_schemas(folder), schemas())
    for reason in reasons:
        error_line(reason)
    if reasons:
        raise typer.Exit(BREAKING_EXIT_CODE)
    out.print(f"additive to {folder}", markup=False)


def _write(folder: Path) -> int:
    files = contract_files()
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return len(files)


def _markdown_files(paths: list[Path]) -> list[Path]:
    return [page for path in paths for page in (sorted(path.rglob("*.md")) if path.is_dir() else [path])]


def _update(page: Path) -> bool:
    """Update the generated parts of a page. Return whether it has changed."""
    before = page.read_text(encoding="utf-8")
    after = refresh_page(before, page)
    if after != before:
        page.write_text(after, encoding="utf-8")
    return after != before


def _read_schemas(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the schemas in a folder, by file name. Raises a usage error."""
    by_name: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            document = read_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise usage(f"--check: {path.name} cannot be read: {error}") from None
        if isinstance(document, dict) and "$schema" in document:
            by_name[path.name] = document
    if not by_name:
        raise usage(f"--check: {folder} holds no schemas")
    return by_name
