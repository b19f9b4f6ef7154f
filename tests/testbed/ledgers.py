"""SQLite ledgers as `kyb ledger upgrade` makes them, made once and copied from then on."""

from __future__ import annotations

import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from workers.ledger.database import Database


def ledger_at(path: Path) -> str:
    """The URL of a new ledger at `path`, in a folder that is there."""
    path.write_bytes(_upgraded())
    return f"sqlite:///{path}"


@cache
def _upgraded() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        with closing(Database(f"sqlite:///{path}")) as database:
            database.upgrade()
        return path.read_bytes()
