"""The migrations make the tables that the code works with, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from workers.ledger.database import MIGRATIONS, Database, LedgerOutdated, LedgerUnavailable, revisions
from workers.ledger.schema import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    new = f"sqlite:///{tmp_path}/new.db"
    database = Database(new if request.param == "sqlite" else request.getfixturevalue("empty_postgres_url"))
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


def test_migrations_only_expand(database: Database) -> None:
    """Workers of the version before go on reading and writing what they know, whichever migration comes."""
    files = ScriptDirectory(str(MIGRATIONS))
    assert [each.revision for each in files.walk_revisions()][::-1] == revisions()
    before: dict[str, dict[str, Any]] = {}
    demands: dict[str, Any] = {}
    for revision in revisions():
        database.upgrade(revision)
        with database.read() as connection:
            looked = inspect(connection)
            tables = looked.get_table_names()
            after = {name: {c["name"]: c for c in looked.get_columns(name)} for name in tables}
            now_demands = {name: looked.get_unique_constraints(name) for name in tables}
        for table, columns in before.items():
            for name, column in columns.items():
                found = after[table][name]
                assert str(found["type"]) == str(column["type"]), f"{revision} changes {table}.{name}"
                assert found["nullable"] == column["nullable"], f"{revision} changes {table}.{name}"
            for name in after[table].keys() - columns.keys():
                found = after[table][name]
                assert found["nullable"] or found["default"] is not None, f"{revision} demands {table}.{name}"
            assert now_demands[table] == demands[table], f"{revision} demands more of {table}"
        before, demands = after, now_demands


def test_workers_of_this_version_bear_the_tables_of_the_next(database: Database) -> None:
    """They start, or go on, when `kyb ledger upgrade` of the next version has run before them."""
    database.upgrade()
    with database.write() as connection:
        connection.execute(text("ALTER TABLE step ADD COLUMN remark TEXT"))
        connection.execute(text("UPDATE alembic_version SET version_num = 'next'"))
    database.check()


def test_database_that_is_away_is_said_to_be() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(LedgerUnavailable), database.read():
        raise AssertionError("there is no database to read")
    database.close()


def test_what_no_database_will_ever_store_is_a_defect_and_not_waited_for(postgres_url: str) -> None:
    database = Database(postgres_url)
    value = "SELECT string_agg(md5(i::text), '') AS name FROM generate_series(1, 2000) i"
    with database.write() as connection:
        connection.execute(text(f"CREATE TABLE t AS {value}"))
    with pytest.raises(OperationalError, match="index row"), database.write() as connection:
        connection.execute(text("CREATE UNIQUE INDEX ON t (name)"))
    database.close()
