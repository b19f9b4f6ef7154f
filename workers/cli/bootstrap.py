"""Set-up that most commands share: settings, quiet logs on standard error, and the ledger."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import ArgumentError

from workers.ledger.database import Database, LedgerOutdated, LedgerUnavailable
from workers.ledger.ledger import Ledger
from workers.observability import logs
from workers.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from workers.files.storage import Storage

#: Connections to the ledger of a command with one thread.
MAX_CONNECTIONS = 2


def settings() -> Settings:
    """Load the settings and configure logs for warnings only. Raises `SettingsError`."""
    configured = load()
    quiet = configured.log.level if configured.log.level in {"debug", "error"} else "warning"
    logs.configure(configured.log.model_copy(update={"level": quiet}))
    if quiet != "debug":
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # its errors are raised as exceptions too
    return configured


@contextmanager
def open_ledger(configured: Settings) -> Iterator[Ledger]:
    """Yield the ledger, ready to use.

    A SQLite ledger is created and migrated here; a PostgreSQL ledger must be at this version already.
    Raises `LedgerUnavailable`, `LedgerOutdated`, `SettingsError`.
    """
    database = open_database(configured)
    try:
        try:
            database.check()
        except LedgerOutdated:
            if not database.sqlite:
                raise
            database.upgrade()
        yield Ledger(database)
    finally:
        database.close()


def open_database(configured: Settings) -> Database:
    """Return the ledger's database without a check of its tables."""
    try:
        return Database(configured.ledger_url.get_secret_value(), MAX_CONNECTIONS)
    except (ArgumentError, ValueError):
        raise SettingsError(
            "KYB_LEDGER_URL: must look like sqlite:///PATH or postgresql://user@host/name"
        ) from None
    except OSError as error:
        raise LedgerUnavailable(f"its folder cannot be made ({error.strerror})") from None


def broker_urls(configured: Settings) -> str:
    """Return the URLs of RabbitMQ's nodes. Raises `SettingsError` for an invalid one."""
    from workers.broker.tls import url_parameters  # noqa: PLC0415 - commands about the ledger alone do without it

    urls = configured.broker_url.get_secret_value()
    for url in urls.split(";"):
        try:
            url_parameters(url.strip())
        except ValueError as error:
            raise SettingsError(f"KYB_BROKER_URL: {error}") from None
    return urls


def open_storage(configured: Settings) -> Storage:
    """Return the storage of inputs and results. Raises `SettingsError`."""
    from workers.files.storage import Storage  # noqa: PLC0415 - only commands that read files need it

    try:
        return Storage.of(configured.storage)
    except ValueError as error:
        raise SettingsError(f"KYB_STORAGE__…: {error}") from None
