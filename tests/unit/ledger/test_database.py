"""Connections of the pool that PostgreSQL has ended meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import text

from workers.ledger import database
from workers.ledger.database import Database, LedgerUnavailable


@pytest.fixture
def ledger_database(postgres_url: str) -> Iterator[Database]:
    with closing(Database(postgres_url)) as opened:
        backend = ask(opened)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
        yield opened


def ask(opened: Database) -> object:
    with opened.read() as connection:
        return connection.scalar(text("SELECT pg_backend_pid()"))


def test_connection_is_replaced_when_it_broke_while_idle(
    ledger_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "IDLE_TEST_AFTER_SECONDS", 0.0)
    assert ask(ledger_database) is not None


def test_broken_connection_is_an_unavailable_ledger_when_it_was_just_used(
    ledger_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "IDLE_TEST_AFTER_SECONDS", 600.0)
    with pytest.raises(LedgerUnavailable):
        ask(ledger_database)
    assert ask(ledger_database) is not None
