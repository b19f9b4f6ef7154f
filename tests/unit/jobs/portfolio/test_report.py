"""How records and what vendors say of them find each other."""

from __future__ import annotations

import io
import json
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.creditsafe import RECORD_FIELDS
from sandbox.sayari.uploads import from_csv
from workers.files.formats.csv_table import Table, csv_line
from workers.jobs.portfolio.columns import Columns, shown_key
from workers.jobs.portfolio.report_join import ReportJoin, best_matches, entity_key, ranked

FIELDS = [*RECORD_FIELDS, "address", "date_of_birth", "contact", "identifier", "lei", "uk_company_number"]
cells = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
) | st.sampled_from(["GB", " gb ", "Åland", 'a "b", c', "two\nlines", "  ", "0012"])


def table_of(*rows: list[str]) -> Table:
    content = b"".join(map(csv_line, rows))
    return Table.open(io.BytesIO(content), "a.csv", allow_repeated_headers=True)


@given(st.lists(st.sampled_from(FIELDS), unique=True, min_size=1), st.data())
def test_what_sayari_shows_of_a_record_is_known_again(fields: list[str], data: st.DataObject) -> None:
    columns = Columns.of(fields, "a.csv", {field: field for field in fields})
    row = data.draw(st.lists(cells, min_size=len(fields), max_size=len(fields)))
    key = entity_key(columns, row)
    entity = columns.entity(row)
    if not any(entity):
        assert key is None
        return
    content = csv_line(columns.entity_header) + csv_line(entity)
    (shown,) = from_csv(io.BytesIO(content))
    assert shown_key(json.loads(json.dumps(shown))) == key


@given(st.lists(st.sampled_from(FIELDS), unique=True, min_size=1), st.data())
def test_every_field_goes_where_it_belongs_whatever_the_headers_are(
    fields: list[str], data: st.DataObject
) -> None:
    headers = data.draw(st.permutations([f"Column {n}" for n in range(len(fields))]))
    row = [f"<{field}>" for field in fields]
    columns = Columns.of(headers, "a.csv", dict(zip(headers, fields, strict=True)))
    assert columns.record_header == [field for field in RECORD_FIELDS if field in fields]
    assert columns.record(row) == [f"<{field}>" for field in columns.record_header]
    told = " ".join(columns.entity(row))
    assert "<personalID>" not in told
    assert "<safeNumber>" not in told
    for field in {"name", "address", "lei", "vatNumber"} & set(fields):
        assert f"<{field}>" in told


def test_the_country_is_the_code_if_there_is_one_and_an_address_is_one_value() -> None:
    header = ["NAME", "country", "countrycode", "Address1", "town", "postcode", "lei"]
    columns = Columns.of(header, "a.csv", {})
    assert columns.entity_header == ["name", "country", "address"]
    assert columns.entity(["A", "Germany", "de", "1 Road", "", "X1", "no"]) == ["A", "DEU", "1 Road, X1"]
    assert columns.entity(["A", "Germany", "", "", "", "", ""]) == ["A", "Germany", ""]
    assert columns.entity(["A", "", "GBR", "", "", "", ""]) == ["A", "GBR", ""]


@pytest.fixture
def said() -> Any:
    """Three records, two of which Sayari gets with the same attributes."""
    with closing(ReportJoin()) as made:
        table = table_of(["reference", "name"], ["a", "Tesco"], ["b", "Tesco "], ["c", "Nobody"])
        made.records(table, Columns.of(table.header, "a.csv", {}), sent=True)
        yield made


def test_what_belongs_to_no_record_is_counted_and_not_mixed_up(said: ReportJoin) -> None:
    listed = table_of(
        ["recordId", "reference", "safeNumber"], ["R1", "a", "S"], ["R2", "b", ""], ["R9", "z", "S"]
    )
    assert said.listed(listed) == ["recordId", "safeNumber"]
    assert said.unplaced == 1
    duplicates = table_of(["recordId", "duplicateOf"], ["R2", "R1"], ["R8", "R1"], ["R1", "R7"])
    said.duplicates(duplicates)
    assert said.unplaced == 2
    enriched = table_of(["reference", "x", "x"], ["c", "1", "2"], ["c", "3", "4"])
    assert said.enriched(enriched) == ["x", "x"]
    assert said.unplaced == 3
    lines = [
        {"attributes": {"name": [name]}, "hits": {"values": {"e": {"name": []}}}} for name in ("Tesco", "X")
    ]
    said.resolved(io.BytesIO("\n".join(map(json.dumps, lines)).encode()))
    assert said.unplaced == 4
    rows = list(said.rows())
    assert [row[1] for row in rows] == [["R1", "S"], ["R2", ""], None]
    assert [row[2] for row in rows] == [["R7"], ["a"], None]
    assert rows[2][3] == ["1", "2"]
    assert [row[4] for row in rows] == [["e", "weak"], ["e", "weak"], None]


def test_owners_are_counted_once_and_of_entities_that_are_gone_nothing_is_said(said: ReportJoin) -> None:
    ids = ("e", "f", "g")
    hits = [
        {"attributes": {"name": [n]}, "hits": {"values": {e: {"name": []}}}}
        for n, e in zip(("Tesco", "Nobody"), ids, strict=False)
    ]
    said.resolved(io.BytesIO("\n".join(map(json.dumps, hits)).encode()))
    hops = [
        {"entity_id": "e", "hop": hop, "hops": 2, "target": target, "entity": {"sanctioned": target == "y"}}
        for target in ("x", "y", "y")
        for hop in (1, 2)
    ]
    asked = table_of(["entity_id"], ["e"], ["f"])
    missing = table_of(["entity_id"], ["f"])
    said.owners(asked, missing, io.BytesIO("\n".join(map(json.dumps, hops)).encode()))
    assert [row[6] for row in said.rows()] == [["2", "true"], ["2", "true"], None]


def test_the_best_match_comes_first_and_each_is_asked_about_once() -> None:
    hits = {
        "a": {"name": ["x"]},
        "b": {"name": ["x"], "address": ["y"]},
        "c": {"identifier": ["1"]},
        "d": {"name": []},
    }
    entity = {"hits": {"values": hits}}
    assert ranked(entity) == [("c", "strong"), ("b", "medium"), ("a", "weak"), ("d", "weak")]
    assert ranked({}) == []
    lines = [json.dumps(each).encode() for each in (entity, {"hits": None}, entity)]
    assert list(best_matches(lines)) == ["c"]
