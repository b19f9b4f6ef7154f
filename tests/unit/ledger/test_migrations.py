"""The migrations make the tables that the code works with, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    """Workers of the previous version can still read and write what they know after each migration."""
    files = ScriptDirectory(str(MIGRATIONS))
    assert [each.revision for each in files.walk_revisions()][::-1] == revisions()
    before = None
    for revision in revisions():
        database.upgrade(revision)
        after = tables_of(database)
        assert before is None or narrowed(before, after) == [], revision
        before = after


@pytest.mark.parametrize(
    ("planted", "problems"),
    [
        ("ALTER TABLE step ADD COLUMN remark TEXT", []),
        ("ALTER TABLE step ADD COLUMN remark TEXT NOT NULL DEFAULT ''", []),
        ("CREATE TABLE audit (id TEXT PRIMARY KEY)", []),
        ("ALTER TABLE step DROP COLUMN size", ["step.size is gone"]),
        ("DROP TABLE vendor_pause", ["vendor_pause is gone"]),
        ("ALTER TABLE step RENAME COLUMN size TO records", ["step.size is gone"]),
        ("ALTER TABLE audit_log ADD COLUMN who TEXT NOT NULL", ["audit_log.who is required"]),
        ("ALTER TABLE audit_log ALTER COLUMN note SET NOT NULL", ["audit_log.note is required"]),
        ("ALTER TABLE audit_log ALTER COLUMN note TYPE VARCHAR(3)", ["audit_log.note has another type"]),
        (
            "ALTER TABLE audit_log ADD CONSTRAINT one UNIQUE (note)",
            ["audit_log has another unique constraint"],
        ),
    ],
)
def test_check_of_migrations_finds_a_planted_one_that_narrows(
    planted: str, problems: list[str], database: Database
) -> None:
    if database.sqlite and any(
        word in planted for word in (" ALTER COLUMN ", " CONSTRAINT ", "who TEXT NOT NULL")
    ):
        planted = _SQLITE_REBUILDS[planted]
    database.upgrade()
    with database.write() as connection:
        connection.execute(text("CREATE TABLE audit_log (id INTEGER PRIMARY KEY, note TEXT)"))
    before = tables_of(database)

    with database.write() as connection:
        for statement in planted.split(";"):
            connection.execute(text(statement))

    assert narrowed(before, tables_of(database)) == problems


#: SQLite cannot alter columns: such a migration rebuilds the table.
_SQLITE_REBUILDS = {
    f"ALTER TABLE audit_log {change}": f"DROP TABLE audit_log; CREATE TABLE audit_log ({columns})"
    for change, columns in {
        "ADD COLUMN who TEXT NOT NULL": "id INTEGER PRIMARY KEY, note TEXT, who TEXT NOT NULL",
        "ALTER COLUMN note SET NOT NULL": "id INTEGER PRIMARY KEY, note TEXT NOT NULL",
        "ALTER COLUMN note TYPE VARCHAR(3)": "id INTEGER PRIMARY KEY, note VARCHAR(3)",
        "ADD CONSTRAINT one UNIQUE (note)": "id INTEGER PRIMARY KEY, note TEXT, CONSTRAINT one UNIQUE (note)",
    }.items()
}


@dataclass(frozen=True)
class Tables:
    """The columns and unique constraints of all tables, by table."""

    columns: dict[str, dict[str, Any]]
    unique: dict[str, Any]


def tables_of(database: Database) -> Tables:
    with database.read() as connection:
        inspector = inspect(connection)
        names = inspector.get_table_names()
        columns = {name: {c["name"]: c for c in inspector.get_columns(name)} for name in names}
        return Tables(columns, {name: inspector.get_unique_constraints(name) for name in names})


def narrowed(before: Tables, after: Tables) -> list[str]:
    """What a worker that knows only the tables `before` can no longer do."""
    problems = []
    for table, columns in before.columns.items():
        if table not in after.columns:
            problems.append(f"{table} is gone")
            continue
        for name, column in columns.items():
            now = after.columns[table].get(name)
            if now is None:
                problems.append(f"{table}.{name} is gone")
            elif str(now["type"]) != str(column["type"]):
                problems.append(f"{table}.{name} has another type")
            elif column["nullable"] and not now["nullable"]:
                problems.append(f"{table}.{name} is required")
        for name in after.columns[table].keys() - columns.keys():
            added = after.columns[table][name]
            if not added["nullable"] and added["default"] is None:
                problems.append(f"{table}.{name} is required")
        if after.unique[table] != before.unique[table]:
            problems.append(f"{table} has another unique constraint")
    return problems


def test_worker_starts_when_the_tables_are_of_the_next_version(database: Database) -> None:
    """They start, or go on, when `kyb ledger upgrade` of the next version has run before them."""
    database.upgrade()
    with database.write() as connection:
        connection.execute(text("ALTER TABLE step ADD COLUMN remark TEXT"))
        connection.execute(text("UPDATE alembic_version SET version_num = 'next'"))
    database.check()


def test_read_raises_ledger_unavailable_when_there_is_no_database() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(LedgerUnavailable), database.read():
        raise AssertionError("there is no database to read")
    database.close()


def test_value_too_large_for_an_index_is_no_unavailable_ledger(postgres_url: str) -> None:
    database = Database(postgres_url)
    value = "SELECT string_agg(md5(i::text), '') AS name FROM generate_series(1, 2000) i"
    with database.write() as connection:
        connection.execute(text(f"CREATE TABLE t AS {value}"))
    with pytest.raises(OperationalError, match="index row"), database.write() as connection:
        connection.execute(text("CREATE UNIQUE INDEX ON t (name)"))
    database.close()
