"""The shipped sample shows what real files hold: scripts, commas, quotes, spaces, gaps and duplicates."""

from __future__ import annotations

import re
from importlib.resources import files
from io import BytesIO

import pytest

from workers.files.formats.csv_table import Table

CONTENT = files("workers").joinpath("cli/commands/demo/sample.csv").read_bytes()


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    table = Table.open(BytesIO(CONTENT), "sample.csv")
    assert table.header == ["reference", "name", "address1", "town", "postcode", "country", "countryCode"]
    return [dict(zip(table.header, cells, strict=True)) for cells, _ in table.rows()]


def test_is_long_and_every_row_can_be_told(rows: list[dict[str, str]]) -> None:
    assert len(rows) >= 220
    assert len({row["reference"] for row in rows}) == len(rows)
    assert all(row["name"].strip() for row in rows)
    assert len({row["countryCode"] for row in rows}) > 40
    assert all(re.fullmatch("[A-Z]{2}|", row["countryCode"]) for row in rows)


def test_holds_many_scripts(rows: list[dict[str, str]]) -> None:
    names = " ".join(row["name"] for row in rows)
    for part in (
        "Nestlé",
        "Škoda",
        "Ørsted",
        "Arçelik",
        "«Газпром»",
        "Ηλεκτρισμού",
        "任天堂",
        "현대",
        "السعودية",
    ):
        assert part in names


def test_holds_commas_quotes_and_stray_spaces(rows: list[dict[str, str]]) -> None:
    assert sum("," in row["name"] for row in rows) >= 15
    assert sum('"' in row["name"] for row in rows) >= 2
    assert any(value != value.strip() for row in rows for value in row.values())


def test_holds_missing_cells(rows: list[dict[str, str]]) -> None:
    for column in ("address1", "town", "postcode", "country", "countryCode"):
        assert any(not row[column] for row in rows)
        assert any(row[column] for row in rows)


def test_holds_duplicates(rows: list[dict[str, str]]) -> None:
    exact = [tuple(row.values())[1:] for row in rows]
    assert len(exact) - len(set(exact)) >= 3
    loose = [" ".join(row["name"].casefold().split()) for row in rows]
    assert len(loose) - len(set(loose)) >= 6
    assert {"Tesla, Inc.", "Tesla Inc", "Nestlé S.A.", "Nestle SA"} <= {row["name"] for row in rows}
