"""Every command that reads a file takes any usual kind of it, and leaves bad rows out where asked to."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from messages.errors import Code
from tests.support.sandbox_harness import SandboxHarness, completed, content, failure
from tests.support.turn_harness import LIMITS
from workers.files.errors import InputError, InputInvalid, InputNotAllowed, InputNotFound
from workers.jobs.input import input_failure

GOOD = [["name", "town"], ["Nestlé S.A.", "Vevey; VD"], ["Two\nlines", ""]]
COMMANDS: dict[str, dict[str, Any]] = {
    "creditsafe.import_file": {"portfolio": {"name": "Suppliers"}},
    "data8.start_job": {"workflow": "Echo"},
    "sayari.resolve_entities": {},
}


def data_of(type_: str, uri: str, **more: Any) -> dict[str, Any]:
    where = {"inputs": {"In": {"file": uri}}} if type_ == "data8.start_job" else {"file": uri}
    return COMMANDS[type_] | where | more


def header_of(type_: str) -> list[str]:
    return ["name", "address" if type_ == "sayari.resolve_entities" else "town"]


def semicolons(rows: list[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=";").writerows(rows)
    return gzip.compress(out.getvalue().encode("cp1252"))


def parquet(rows: list[list[str]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({name: list(column) for name, *column in zip(*rows, strict=True)}), out)
    return out.getvalue()


def came_to(type_: str, result: dict[str, Any]) -> int:
    """How many rows the vendor has."""
    if type_ == "data8.start_job":
        rows = list(csv.reader(io.StringIO(content(result["outputs"]["In"]).decode(), newline="")))
        assert rows[1:3] == GOOD[1:]
        return len(rows) - 1
    return int(result["records"] if type_ == "creditsafe.import_file" else result["uploaded"])


@pytest.mark.parametrize("type_", COMMANDS)
@pytest.mark.parametrize("write", [semicolons, parquet])
def test_any_kind(harness: SandboxHarness, type_: str, write: Any) -> None:
    harness.limit(replace(LIMITS, time_slice=0.0))
    uri = harness.file(write([header_of(type_), *GOOD[1:]]), "firms.bin")
    result = completed(harness.run(type_, **data_of(type_, uri)))
    assert came_to(type_, result) == 2
    assert result["rejects"] is None
    assert not list((harness.folder / "results").rglob("*.part"))


@pytest.mark.parametrize("type_", COMMANDS)
def test_bad_rows_are_left_out_where_asked(harness: SandboxHarness, type_: str) -> None:
    rows = [header_of(type_), *GOOD[1:], ["=1+1", "x", "one too many"]]
    uri = harness.file(semicolons(rows), "firms.bin")
    failed = failure(harness.run(type_, "strict", **data_of(type_, uri)), Code.INPUT_INVALID)
    assert failed == "firms.bin, line 5, column 3: 3 cells, where the header has 2"
    assert not harness.state.effects
    assert not list((harness.folder / "results").rglob("*.part"))

    result = completed(harness.run(type_, "lenient", **data_of(type_, uri, strict=False)))
    assert came_to(type_, result) == 2
    file = result["rejects"]["In"] if type_ == "data8.start_job" else result["rejects"]
    assert (file["media_type"], file["records"]) == ("text/csv", 1)
    assert list(csv.reader(io.StringIO(content(file).decode(), newline=""))) == [
        ["line", "column", "reason", "row"],
        ["5", "3", "3 cells, where the header has 2", "'=1+1;x;one too many"],
    ]
    assert [path.name for path in Path(harness.folder / "results" / "lenient").glob("*.part")] == []


def test_a_header_of_another_file_is_refused_before_anything_happens(harness: SandboxHarness) -> None:
    uri = harness.file(parquet([["firm", "name"], ["A", "B"]]), "firms.parquet")
    for type_ in ("creditsafe.import_file", "sayari.resolve_entities"):
        message = failure(harness.run(type_, type_, **data_of(type_, uri)), Code.INPUT_INVALID)
        assert message.startswith("firms.parquet, line 1, column 1: 'firm' is not a")
    assert not harness.state.effects


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputNotAllowed("a"), Code.INPUT_NOT_ALLOWED),
        (InputNotFound("a"), Code.INPUT_NOT_FOUND),
        (InputInvalid("a", "b"), Code.INPUT_INVALID),
    ],
)
def test_input_failure_keeps_message_and_detail_when_it_adds_the_code(error: InputError, code: Code) -> None:
    failed = input_failure(error)
    assert (failed.code, failed.message, failed.detail) == (code, error.message, error.detail)
