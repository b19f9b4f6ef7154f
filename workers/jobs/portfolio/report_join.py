"""The join of the vendors' files with the records, in a private temporary database: memory stays flat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, BinaryIO

from workers.files.formats.csv_table import Table
from workers.jobs.portfolio.columns import Columns, key_of, shown_key
from workers.jobs.portfolio.tables import scratch

#: How well an entity of Sayari's matches, the best first.
STRENGTHS = ("strong", "medium", "weak")

_TABLES = """
CREATE TABLE record (n INTEGER PRIMARY KEY, reference TEXT UNIQUE NOT NULL, key TEXT);
CREATE TABLE cleansed (reference TEXT PRIMARY KEY, cells TEXT) WITHOUT ROWID;
CREATE TABLE listed (reference TEXT PRIMARY KEY, id TEXT, cells TEXT) WITHOUT ROWID;
CREATE TABLE duplicate (reference TEXT PRIMARY KEY, cells TEXT) WITHOUT ROWID;
CREATE TABLE enriched (reference TEXT PRIMARY KEY, cells TEXT) WITHOUT ROWID;
CREATE TABLE resolved (key TEXT PRIMARY KEY, best TEXT, cells TEXT) WITHOUT ROWID;
CREATE TABLE summary (id TEXT PRIMARY KEY, cells TEXT) WITHOUT ROWID;
CREATE TABLE traced (id TEXT PRIMARY KEY, owners INTEGER, sanctioned INTEGER) WITHOUT ROWID;
CREATE TABLE owner (id TEXT, owner TEXT, sanctioned INTEGER, PRIMARY KEY (id, owner)) WITHOUT ROWID;
CREATE INDEX by_key ON record (key);
"""
_JOINED = """
SELECT cleansed.cells, listed.cells, duplicate.cells, enriched.cells, resolved.cells, summary.cells,
       CASE WHEN traced.id IS NULL THEN NULL ELSE json_array(CAST(owners AS TEXT), iif(sanctioned, 'true', 'false')) END
FROM record
LEFT JOIN cleansed USING (reference) LEFT JOIN listed USING (reference)
LEFT JOIN duplicate USING (reference) LEFT JOIN enriched USING (reference)
LEFT JOIN resolved USING (key) LEFT JOIN summary ON summary.id = best LEFT JOIN traced ON traced.id = best
ORDER BY n
"""


class ReportJoin:
    """Filled file by file, then read record by record. Close it when done.

    Attributes:
        unplaced: rows of vendors' files that belong to no record, or to one that has a row of that kind already.
    """

    def __init__(self) -> None:
        self._database = scratch()
        for statement in _TABLES.split(";"):
            self._database.execute(statement)
        self.unplaced = 0

    def close(self) -> None:
        """Forget all."""
        self._database.close()

    def records(self, table: Table, columns: Columns, *, sent: bool) -> None:
        """Add the input; `sent` if Sayari got it."""
        reference = columns.reference or 0
        self._database.executemany(
            "INSERT INTO record (reference, key) VALUES (?, ?)",
            ((cells[reference], entity_key(columns, cells) if sent else None) for cells, _ in table.rows()),
        )

    def cleansed(self, table: Table, columns: Columns) -> list[str]:
        """Add Data8's output, which Sayari got; return the columns that it adds."""
        reference = columns.reference or 0
        for cells, _ in table.rows():
            self._place("cleansed (reference, cells)", cells[reference], [_without(cells, reference)])
            self._database.execute(
                "UPDATE record SET key = ? WHERE reference = ?",
                (entity_key(columns, cells), cells[reference]),
            )
        return _without(table.header, reference)

    def listed(self, table: Table) -> list[str]:
        """Creditsafe's records before duplicates were removed; gives the columns it adds."""
        added = ["recordId", *(name for name in ("safeNumber", "matchStatus") if name in table.header)]
        for row in _rows(table):
            self._place(
                "listed (reference, id, cells)",
                row.get("reference", ""),
                [row["recordId"], [row[name] for name in added]],
            )
        self._database.execute("CREATE INDEX by_id ON listed (id)")
        return added

    def duplicates(self, table: Table) -> list[str]:
        """Creditsafe's file of duplicates: by reference, which record each repeats.

        Assumed: it names records by `reference` or `recordId`, and in `duplicateOf` the id of the one repeated.
        """
        for row in _rows(table):
            original = row.get("duplicateOf", "")
            self._place(
                "duplicate (reference, cells)",
                self._reference(row),
                [[self._reference({"recordId": original}) or original or "unknown"]],
            )
        return ["duplicateOf"]

    def enriched(self, table: Table) -> list[str]:
        """Creditsafe's file of enriched records; gives the columns it adds.

        Assumed: it names records by `reference` or `recordId`.
        """
        places = [n for n, name in enumerate(table.header) if name not in {"reference", "recordId"}]
        for cells, _ in table.rows():
            row = dict(zip(table.header, cells, strict=True))
            self._place("enriched (reference, cells)", self._reference(row), [[cells[n] for n in places]])
        return [table.header[n] for n in places]

    def resolved(self, lines: BinaryIO) -> list[str]:
        """Add Sayari's resolved entities; records with the same attributes have the same entity."""
        for entity in map(json.loads, lines):
            key, ids = shown_key(entity.get("attributes") or {}), ranked(entity)
            known = self._database.execute("SELECT 1 FROM record WHERE key = ?", (key,)).fetchone()
            if known is None or not ids:
                self.unplaced += 1
                continue
            cells = [";".join(id for id, _ in ids), ids[0][1]]
            self._database.execute(
                "INSERT OR IGNORE INTO resolved VALUES (?, ?, ?)", (key, ids[0][0], json.dumps(cells))
            )
        return ["entity_ids", "match_strength"]

    def summaries(self, lines: BinaryIO) -> list[str]:
        """Sayari's summaries of the best matches: whether one is a PEP (politically exposed) or sanctioned."""
        for entity in map(json.loads, lines):
            cells = [_flag(entity.get(name)) for name in ("pep", "sanctioned")]
            self._database.execute(
                "INSERT OR IGNORE INTO summary VALUES (?, ?)", (entity["id"], json.dumps(cells))
            )
        return ["pep", "sanctioned"]

    def owners(self, asked: Table, missing: Table, lines: BinaryIO) -> list[str]:
        """The paths to the owners of the best matches: how many owners, and whether one of them is sanctioned."""
        insert = "INSERT OR IGNORE INTO traced VALUES (?, 0, 0)"
        self._database.executemany(insert, ((row["entity_id"],) for row in _rows(asked)))
        missing_ids = ((row["entity_id"],) for row in _rows(missing))
        self._database.executemany("DELETE FROM traced WHERE id = ?", missing_ids)
        for hop in map(json.loads, lines):
            if 0 < hop["hops"] == hop["hop"]:
                sanctioned = bool((hop.get("entity") or {}).get("sanctioned"))
                self._database.execute(
                    "INSERT OR IGNORE INTO owner VALUES (?, ?, ?)",
                    (hop["entity_id"], hop["target"], sanctioned),
                )
        self._database.execute(
            "UPDATE traced SET (owners, sanctioned) = (SELECT count(*), coalesce(max(owner.sanctioned), 0)"
            " FROM owner WHERE owner.id = traced.id)"
        )
        return ["owners", "owner_sanctioned"]

    def rows(self) -> Iterator[tuple[list[str] | None, ...]]:
        """Of each record, in the input's order, what each file says; None where one says nothing.

        They are: Data8's output, Creditsafe's listing, duplicates and enrichment, Sayari's resolution, summary and
        owners.
        """
        for cells in self._database.execute(_JOINED):
            yield tuple(None if each is None else json.loads(each) for each in cells)

    def _place(self, target: str, reference: str | None, values: Sequence[Any]) -> None:
        places = ", ".join("?" for _ in values)
        written = [value if isinstance(value, str) else json.dumps(value) for value in values]
        placed = self._database.execute(
            f"INSERT OR IGNORE INTO {target} SELECT reference, {places} FROM record WHERE reference = ?",  # noqa: S608
            (*written, reference),
        )
        self.unplaced += placed.rowcount != 1

    def _reference(self, row: Mapping[str, str]) -> str | None:
        """The reference of the record that a row of a vendor's file is about."""
        if row.get("reference"):
            return row["reference"]
        rows = self._database.execute(
            "SELECT reference FROM listed WHERE id = ?", (row.get("recordId"),)
        ).fetchone()
        return None if rows is None else str(rows[0])


def entity_key(columns: Columns, cells: Sequence[str]) -> str | None:
    """Return the key of the attributes of a row that Sayari gets."""
    return key_of(list(zip(columns.entity_header, columns.entity(cells), strict=True)))


def ranked(entity: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The Sayari entities that a resolved one matches, as (id, strength), the best first."""
    hits: dict[str, Any] = (entity.get("hits") or {}).get("values") or {}
    matches = [(id, strength(attributes)) for id, attributes in hits.items()]
    return sorted(matches, key=lambda each: STRENGTHS.index(each[1]))


def strength(hit: Mapping[str, Any]) -> str:
    """Return how well an entity matches, by the attributes in which it does.

    Assumed, since Sayari gives no measure here: an identifier is `strong`, several attributes are `medium`, one is `weak`.
    """
    if "identifier" in hit:
        return "strong"
    return "medium" if len(hit) > 1 else "weak"


def best_matches(lines: Iterable[bytes]) -> Iterator[str]:
    """The ids of the best match of each resolved entity, each once."""
    with closing(scratch()) as database:
        database.execute("CREATE TABLE best (id TEXT PRIMARY KEY) WITHOUT ROWID")
        for entity in map(json.loads, lines):
            for id, _ in ranked(entity)[:1]:
                if database.execute("INSERT OR IGNORE INTO best VALUES (?)", (id,)).rowcount:
                    yield id


def _rows(table: Table) -> Iterator[dict[str, str]]:
    return (dict(zip(table.header, cells, strict=True)) for cells, _ in table.rows())


def _without(cells: Sequence[str], place: int) -> list[str]:
    return [*cells[:place], *cells[place + 1 :]]


def _flag(value: object) -> str:
    return "" if value is None else "true" if value else "false"
