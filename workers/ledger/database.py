"""The ledger's database: one engine for SQLite (WAL) or PostgreSQL, short transactions, typed errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg.errors import ProgramLimitExceeded
from sqlalchemy import Connection, Engine, Table, create_engine, event, exc, inspect, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import ConnectionPoolEntry

#: The database's clock is read this often; between two readings a monotonic clock extrapolates it.
CLOCK_COMPARE_INTERVAL_SECONDS = 300.0
#: A pooled connection that was idle for longer is tested before use.
IDLE_TEST_AFTER_SECONDS = 5.0
MIGRATIONS = Path(__file__).parent / "migrations"

#: A connection whose other end has vanished without closing it ends after about half a minute.
_NETWORK = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}


class LedgerUnavailable(Exception):
    """The database cannot be reached or cannot take writes at the moment. Nothing was changed."""


class LedgerOutdated(Exception):
    """The tables are missing or of another version: run `kyb ledger upgrade`."""


class Database:
    """Connections to the ledger's database.

    Args:
        url: `sqlite:///PATH` or `postgresql://…`, or a function that returns the current one; for PostgreSQL it is
            called for every new connection.
        connections: size of the pool.
    """

    def __init__(self, url: str | Callable[[], str], connections: int = 12) -> None:
        parsed = make_url(url if isinstance(url, str) else url())
        self.sqlite = parsed.get_backend_name() == "sqlite"
        if self.sqlite:
            if parsed.database and parsed.database != ":memory:":
                Path(parsed.database).absolute().parent.mkdir(parents=True, exist_ok=True)
            self.path = Path(parsed.database or "kyb.db").absolute()
            options: dict[str, Any] = {"connect_args": {"timeout": 30, "check_same_thread": False}}
        else:
            parsed = parsed.set(drivername="postgresql+psycopg")
            options = {"connect_args": {"application_name": "kyb-workers", **_NETWORK}}
        self.engine: Engine = create_engine(
            parsed,
            pool_size=connections,
            max_overflow=0,
            hide_parameters=True,
            **options,
        )
        if self.sqlite:
            event.listen(self.engine, "connect", _sqlite_settings)
            event.listen(self.engine, "begin", _sqlite_begin)
        else:
            event.listen(self.engine, "checkin", _record_use)
            event.listen(self.engine, "checkout", _test_if_idle)
            if not isinstance(url, str):
                event.listen(self.engine, "do_connect", _connect_as(url))
        #: When the clocks were last compared: (monotonic seconds, the database's epoch seconds).
        self._compared: tuple[float, float] | None = None

    def insert(self, table: Table) -> postgresql.Insert | sqlite.Insert:
        """Return an insert statement that supports `on_conflict_do_…`."""
        return sqlite.insert(table) if self.sqlite else postgresql.insert(table)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def now(self) -> float:
        """Return epoch seconds by the database's clock, so that workers with different clocks agree."""
        if self.sqlite:
            return time.time()
        elapsed = time.monotonic()
        if self._compared is None or elapsed - self._compared[0] > CLOCK_COMPARE_INTERVAL_SECONDS:
            with self.read() as connection:
                there = connection.scalar(text("SELECT extract(epoch FROM clock_timestamp())"))
            elapsed = time.monotonic()
            self._compared = (elapsed, float(there or 0))
        compared, there = self._compared
        return there + elapsed - compared

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yield a connection to keep for a while. Raises `LedgerUnavailable`."""
        with translated(), self.engine.connect() as connection:
            yield connection

    def for_reads(self, connection: Connection) -> Connection:
        """Return the connection for reads only; on PostgreSQL without the round trips of a transaction.

        There each statement sees what is committed when it begins, within a transaction as without one.
        """
        alone: dict[str, Any] = {} if self.sqlite else {"isolation_level": "AUTOCOMMIT"}
        return connection.execution_options(kyb_read=True, **alone)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in one transaction. Raises `LedgerUnavailable`."""
        with translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection for one consistent read. Raises `LedgerUnavailable`."""
        with translated(), self.engine.connect().execution_options(kyb_read=True) as connection:
            yield connection

    def upgrade(self, to: str = "head") -> None:
        """Create or migrate the tables. Safe to call from several processes at once.

        Args:
            to: the revision, the newest by default.
        """
        # Imported here: a worker whose tables are up to date starts sooner without Alembic, and takes less memory.
        from alembic import command as alembic  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415

        with self.write() as connection:
            if not self.sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(7201902841)"))
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            alembic.upgrade(config, to)

    def check(self) -> None:
        """Raise `LedgerOutdated` unless the tables exist and are not older than this code."""
        with self.read() as connection:
            current = _revision(connection)
        known = revisions()
        if current is None or current in known[:-1]:
            raise LedgerOutdated(f"the ledger's tables are at {current or 'nothing'}, this version needs {known[-1]}: "
                                 "run `kyb ledger upgrade`")  # fmt: skip


@cache
def revisions() -> list[str]:
    """Return the revisions of the tables that this code knows, in order, by the names of their files."""
    return sorted(path.name[1:5] for path in (MIGRATIONS / "versions").glob("v*.py"))


def _revision(connection: Connection) -> str | None:
    """Return the revision of the tables as Alembic recorded it; None if there are no tables."""
    try:
        return cast("str | None", connection.scalar(text("SELECT version_num FROM alembic_version")))
    except exc.DBAPIError:
        connection.rollback()
        if inspect(connection).has_table("alembic_version"):
            raise
        return None


@contextmanager
def translated() -> Iterator[None]:
    """Turn the driver's errors for a database that is unreachable, full or read-only into `LedgerUnavailable`."""
    try:
        yield
    except (exc.IntegrityError, exc.ProgrammingError, exc.DataError):
        raise
    except (exc.DBAPIError, exc.TimeoutError) as error:
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, ProgramLimitExceeded):  # too much for a row or an index: a retry cannot help
            raise
        raise LedgerUnavailable(
            f"{type(cause).__name__}: {str(cause).strip().partition(chr(10))[0]}"
        ) from None


def _connect_as(url: Callable[[], str]) -> Callable[..., None]:
    """Return a listener that connects with the current user and password."""

    def do_connect(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
        current = make_url(url())
        parameters |= {"user": current.username, "password": current.password}

    return do_connect


def _record_use(_: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = time.monotonic()


def _test_if_idle(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
    """Test a connection that was idle for a while; a broken one is replaced."""
    if time.monotonic() - record.info.get("used_at", time.monotonic()) < IDLE_TEST_AFTER_SECONDS:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except psycopg.Error as error:
        raise exc.DisconnectionError(str(error)) from error


def _sqlite_settings(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("kyb_read", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
