"""Migrated ledgers for tests: the migrations run once per process, and each test gets a copy."""

from __future__ import annotations

import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Protocol

from workers.ledger.database import Database


class DatabaseServer(Protocol):
    """Creates and drops databases."""

    def fresh_url(self, template: str | None = None) -> str:
        """Create a database, empty or a copy of `template`; return its URL."""

    def drop(self, url: str) -> None:
        """Drop the database of this URL."""


class PostgresLedgers:
    """Migrated ledgers on a PostgreSQL server, copied from one template.

    Args:
        server: where they are.
    """

    def __init__(self, server: DatabaseServer) -> None:
        self.server = server
        self._template: str | None = None

    def fresh_url(self) -> str:
        """Create a migrated ledger; return its URL."""
        if self._template is None:
            template = self.server.fresh_url()
            with closing(Database(template)) as database:
                database.upgrade()
            self._template = template
        return self.server.fresh_url(self._template)


def ledger_at(path: Path) -> str:
    """Create a migrated SQLite ledger at `path`, whose folder exists; return its URL."""
    path.write_bytes(_migrated())
    return f"sqlite:///{path}"


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        with closing(Database(f"sqlite:///{path}")) as database:
            database.upgrade()
        return path.read_bytes()
