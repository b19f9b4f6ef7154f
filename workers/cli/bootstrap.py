"""What most commands begin with: settings, quiet logs on standard error, and the ledger."""

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

#: Connections to the ledger of a command that looks at it from one thread.
MAX_CONNECTIONS = 2


def settings() -> Settings:
    """The settings, with logs set up: only warnings are of interest here. Raises `SettingsError`."""
    found = load()
    quiet = found.log.level if found.log.level in {"debug", "error"} else "warning"
    logs.configure(found.log.model_copy(update={"level": quiet}))
    if quiet != "debug":
        logging.getLogger("pika").setLevel(logging.CRITICAL)  # what it has to say comes as an exception
    return found


@contextmanager
def open_ledger(found: Settings) -> Iterator[Ledger]:
    """The ledger, ready to use.

    SQLite's is created and migrated by whoever opens it; PostgreSQL's must be at this version already.
    Raises `LedgerUnavailable`, `LedgerOutdated`, `SettingsError`.
    """
    database = open_database(found)
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


def open_database(found: Settings) -> Database:
    """The ledger's database, whatever tables it has."""
    try:
        return Database(found.ledger_url.get_secret_value(), MAX_CONNECTIONS)
    except (ArgumentError, ValueError):
        raise SettingsError(
            "KYB_LEDGER_URL: must look like sqlite:///PATH or postgresql://user@host/name"
        ) from None
    except OSError as error:
        raise LedgerUnavailable(f"its folder cannot be made ({error.strerror})") from None


def broker_urls(found: Settings) -> str:
    """The URLs of RabbitMQ's nodes. Raises `SettingsError` for one that is none."""
    from workers.broker.tls import url_parameters  # noqa: PLC0415 - commands about the ledger alone do without it

    urls = found.broker_url.get_secret_value()
    for url in urls.split(";"):
        try:
            url_parameters(url.strip())
        except ValueError as error:
            raise SettingsError(f"KYB_BROKER_URL: {error}") from None
    return urls


def open_storage(found: Settings) -> Storage:
    """Inputs and results. Raises `SettingsError`."""
    from workers.files.storage import Storage  # noqa: PLC0415 - only commands that read files need it

    try:
        return Storage.of(found.storage)
    except ValueError as error:
        raise SettingsError(f"KYB_STORAGE__…: {error}") from None
