"""Locks that end with the process or the database connection that holds them, never with a timer.

On PostgreSQL they are session-level advisory locks on the holder's connection. On SQLite they are byte-range locks on
a file beside the database, which the kernel releases with the process.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString, Protocol, cast

import psycopg
from sqlalchemy import Connection

from workers.ledger.database import Database, LedgerUnavailable, translated


class Locks(Protocol):
    """Exclusive locks by name."""

    @contextmanager
    def hold(self, connection: Connection, name: str) -> Iterator[bool]:
        """Hold the lock `name` within the block; yield False at once if another holder has it."""


def build_locks(database: Database) -> Locks:
    """Return the locks for this kind of database."""
    return (
        FileLocks(database.path.with_name(database.path.name + ".lock"))
        if database.sqlite
        else AdvisoryLocks()
    )


class AdvisoryLocks:
    """PostgreSQL's session-level advisory locks."""

    @contextmanager
    def hold(self, connection: Connection, name: str) -> Iterator[bool]:
        """Hold the lock `name` on this connection. It ends with the connection."""
        key = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
        held = self._run(connection, "SELECT pg_try_advisory_lock(%s)", key)
        try:
            yield held
        finally:
            if held and not connection.closed and not connection.invalidated:
                with translated():
                    connection.rollback()
                self._run(connection, "SELECT pg_advisory_unlock(%s)", key)

    def _run(self, connection: Connection, statement: LiteralString, key: int) -> bool:
        """Run a statement in autocommit, without SQLAlchemy: one round trip instead of three, twice a turn."""
        raw = cast("psycopg.Connection[tuple[bool]]", connection.connection.driver_connection)
        try:
            raw.autocommit = True
            row = raw.execute(statement, [key]).fetchone()
            raw.autocommit = False
        except psycopg.Error as error:
            connection.invalidate()
            raise LedgerUnavailable(f"{type(error).__name__}: {error}".partition("\n")[0]) from None
        return bool(row and row[0])


class FileLocks:
    """One byte of a lock file for each name.

    The kernel's locks belong to the process, so `_held` separates its threads. The file is opened for the first lock and
    never closed: closing any descriptor of it would release every lock of the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._held: set[int] = set()
        self._guard = threading.Lock()

    @contextmanager
    def hold(self, connection: Connection, name: str) -> Iterator[bool]:  # noqa: ARG002 - as Locks has it
        """Hold the lock `name` for this process and this thread."""
        place = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest())
        held = self._acquire(place)
        try:
            yield held
        finally:
            if held:
                with self._guard:
                    fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)
                    self._held.discard(place)

    def _acquire(self, place: int) -> bool:
        with self._guard:
            if place in self._held:
                return False
            if self._file < 0:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except (BlockingIOError, PermissionError):
                return False
            self._held.add(place)
            return True
