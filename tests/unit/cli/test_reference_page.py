"""docs/reference/cli.md describes every command and every option, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import typer

from workers.cli.main import COMMANDS, app

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text()


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command that does something, by its full name."""
    root: Any = typer.main.get_command(app)
    for name in COMMANDS:
        _, command, _ = root.resolve_command(click.Context(root), [name])
        yield from leaves(f"kyb {name}", command)


def leaves(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield a command, or the commands of a group."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for child, subcommand in command.commands.items():
        yield from leaves(f"{name} {child}", subcommand)


def sections() -> dict[str, str]:
    """Return the text below each heading that is a command."""
    parts = re.split(r"^#{2,3} (kyb .+)\n", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_page_has_a_section_for_each_command() -> None:
    names = {name for name, _ in commands()}
    groups = {name.rpartition(" ")[0] for name in names} | {"kyb ledger recovery"}
    assert names <= sections().keys()
    assert sections().keys() <= names | groups


def test_page_lists_the_options_of_each_command() -> None:
    for name, command in commands():
        options = {p.opts[0] for p in command.params if p.opts[0].startswith("--")} - {"--help"}
        listed = set(re.findall(r"^\| `(--[a-z-]+)", sections()[name], re.MULTILINE))
        assert listed == options, name
