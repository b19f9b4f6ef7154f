"""`kyb ledger`: its tables."""

from __future__ import annotations

from contextlib import closing

import typer

from workers.cli.console import out
from workers.cli.start import opened_database, settings

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _ledger() -> None:
    """The ledger's tables."""


@app.command()
def upgrade() -> None:
    """Create or migrate the tables; safe to repeat, and to run from several machines at once."""
    with closing(opened_database(settings())) as database:
        database.upgrade()
        database.check()
    out.print("the ledger is ready")
