"""The records, in a private temporary database: a portfolio of millions takes no memory."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_SCHEMA = """
CREATE TABLE record (
    id INTEGER PRIMARY KEY AUTOINCREMENT, portfolio TEXT NOT NULL, fields TEXT NOT NULL,
    safe_number TEXT, match_status TEXT, enrichment TEXT
);
CREATE INDEX of_portfolio ON record (portfolio, id);
CREATE TABLE duplicate (portfolio TEXT NOT NULL, record INTEGER NOT NULL);
CREATE TABLE line (file TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX of_file ON line (file);
PRAGMA synchronous = OFF;
"""

Fields = dict[str, Any]
#: What a function makes of a record: its fields and its Safe Number, if it has one.
Reader = Callable[[Fields, str | None], str | None]


class Store:
    """Records by portfolio, the duplicates found among them, and the lines of result files."""

    def __init__(self) -> None:
        # Made in the thread that builds the server, used in the one that runs it.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(_SCHEMA)
        weakref.finalize(self, self._db.close)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All or nothing of what is done inside."""
        self._db.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, portfolio: str, rows: Iterable[Fields]) -> int:
        """Add records; how many they were."""
        made = self._db.executemany(
            "INSERT INTO record (portfolio, fields) VALUES (?, ?)",
            ((portfolio, json.dumps(row, separators=(",", ":"))) for row in rows),
        )
        return max(made.rowcount, 0)

    def count(self, portfolio: str) -> int:
        """Return how many records a portfolio has."""
        found: int = self._db.execute(
            "SELECT count(*) FROM record WHERE portfolio = ?", (portfolio,)
        ).fetchone()[0]
        return found

    def page(self, portfolio: str, offset: int, limit: int) -> list[Fields]:
        """Records in the order in which they came, as they are listed."""
        rows = self._db.execute(
            "SELECT id, fields, safe_number, match_status, enrichment FROM record"
            " WHERE portfolio = ? ORDER BY id LIMIT ? OFFSET ?",
            (portfolio, limit, offset),
        )
        return [
            {"recordId": record_id(id)}
            | json.loads(fields)
            | _known({"safeNumber": safe_number, "matchStatus": status})
            | _known({"enrichment": json.loads(enrichment) if enrichment else None})
            for id, fields, safe_number, status, enrichment in rows
        ]

    def move(self, source: str, target: str) -> int:
        """Give the records of one portfolio to another; how many they were."""
        return self._db.execute(
            "UPDATE record SET portfolio = ? WHERE portfolio = ?", (target, source)
        ).rowcount

    def delete(self, portfolio: str, ids: Iterable[str]) -> int:
        """Delete records by id, unknown ones ignored; how many there were."""
        numbers = [(portfolio, int(id[1:])) for id in ids if id[:1] == "R" and id[1:].isdecimal()]
        return max(
            self._db.executemany("DELETE FROM record WHERE portfolio = ? AND id = ?", numbers).rowcount, 0
        )

    def drop(self, portfolio: str) -> None:
        """Delete all of a portfolio."""
        self._db.execute("DELETE FROM record WHERE portfolio = ?", (portfolio,))
        self._db.execute("DELETE FROM duplicate WHERE portfolio = ?", (portfolio,))

    def match(self, portfolio: str, find: Reader) -> Mapping[str, int]:
        """Give every record the Safe Number that `find` says; the counts of the summary."""
        self._function("find", find)
        self._db.execute(
            "UPDATE record SET safe_number = find(fields, safe_number) WHERE portfolio = ?", (portfolio,)
        )
        self._db.execute(
            "UPDATE record SET match_status = iif(safe_number IS NULL, 'UNMATCHED', 'MATCHED')"
            " WHERE portfolio = ?",
            (portfolio,),
        )
        total, matched, distinct = self._db.execute(
            "SELECT count(*), count(safe_number), count(DISTINCT safe_number) FROM record WHERE portfolio = ?",
            (portfolio,),
        ).fetchone()
        return {
            "totalRows": total,
            "matched": matched,
            "manualMatched": 0,
            "unmatched": total - matched,
            "duplicates": matched - distinct,
        }

    def identify(self, portfolio: str, key: Reader) -> Iterator[tuple[str, str, Fields]]:
        """Note the records whose key an earlier one has: their id, the earlier one's id, their fields."""
        self._function("key", key)
        self._db.execute("DELETE FROM duplicate WHERE portfolio = ?", (portfolio,))
        rows = self._db.execute(
            "SELECT id, first, fields, safe_number FROM (SELECT id, fields, safe_number, key, min(id)"
            " OVER (PARTITION BY key) AS first FROM (SELECT id, fields, safe_number, key(fields, safe_number)"
            " AS key FROM record WHERE portfolio = ?) WHERE key IS NOT NULL) WHERE id > first ORDER BY id",
            (portfolio,),
        ).fetchall()
        for id, first, fields, safe_number in rows:
            self._db.execute("INSERT INTO duplicate VALUES (?, ?)", (portfolio, id))
            yield record_id(id), record_id(first), json.loads(fields) | _known({"safeNumber": safe_number})

    def remove_duplicates(self, portfolio: str) -> int:
        """Delete the records last noted as duplicates; how many there were."""
        return self._db.execute(
            "DELETE FROM record WHERE id IN (SELECT record FROM duplicate WHERE portfolio = ?)", (portfolio,)
        ).rowcount

    def enrich(self, portfolio: str, enrichment: Reader) -> Iterator[tuple[str, Fields, Fields]]:
        """Give every record the enrichment that the function says; their ids, fields and enrichments."""
        self._function("enriched", enrichment)
        self._db.execute(
            "UPDATE record SET enrichment = enriched(fields, safe_number) WHERE portfolio = ?", (portfolio,)
        )
        for id, fields, given in self._db.execute(
            "SELECT id, fields, enrichment FROM record WHERE portfolio = ? ORDER BY id", (portfolio,)
        ):
            yield record_id(id), json.loads(fields), json.loads(given) if given else {}

    def write(self, file: str, lines: Iterable[str]) -> None:
        """Make a result file."""
        self._db.executemany("INSERT INTO line VALUES (?, ?)", ((file, line) for line in lines))

    def read(self, file: str) -> Iterator[str]:
        """The lines of a result file."""
        for (line,) in self._db.execute("SELECT text FROM line WHERE file = ? ORDER BY rowid", (file,)):
            yield line

    def size(self, file: str) -> int:
        """Bytes of a result file."""
        found: int | None = self._db.execute(
            "SELECT sum(length(CAST(text AS BLOB))) FROM line WHERE file = ?", (file,)
        ).fetchone()[0]
        return found or 0

    def _function(self, name: str, reader: Reader) -> None:
        self._db.create_function(
            name, 2, lambda fields, safe_number: reader(json.loads(fields), safe_number), deterministic=True
        )


def record_id(number: int) -> str:
    """The id that the vendor shows. Its form is assumed."""
    return f"R{number:012d}"


def _known(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}
