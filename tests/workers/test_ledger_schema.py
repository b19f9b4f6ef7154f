"""The migrations make the tables that the code works with, on both databases."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from workers.ledger.database import Database, LedgerOutdated, LedgerUnavailable
from workers.ledger.schema import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    database = Database(
        request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    )
    yield database
    database.close()


def test_migrations_lead_to_the_schema(database: Database) -> None:
    with pytest.raises(LedgerOutdated, match="kyb ledger upgrade"):
        database.check()
    database.upgrade()
    database.upgrade()
    database.check()
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_database_that_is_away_is_said_to_be() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(LedgerUnavailable), database.read():
        raise AssertionError("there is no database to read")
    database.close()
