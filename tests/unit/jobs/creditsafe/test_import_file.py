"""Tests of `creditsafe.import_file` against Creditsafe's simulator, turn by turn."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.creditsafe import RECORD_FIELDS, NewRecord
from messages.errors import Code
from sandbox.core import Fault
from tests.support.sandbox_harness import SandboxHarness, failure
from workers.errors import JobFailed
from workers.jobs.creditsafe import file_parts
from workers.jobs.creditsafe.file_parts import pack, parts_of, read_through
from workers.jobs.input import InputTable


def records(harness: SandboxHarness, portfolio_id: str) -> list[dict[str, Any]]:
    """The uploaded fields of a portfolio's records."""
    return [record.model_extra or {} for record in harness.creditsafe.records.all(portfolio_id)]


def table(rows: int) -> str:
    return "name,reference\r\n" + "".join(f'"Company ""{n}""\r\nLtd",{n}\r\n' for n in range(rows))


def test_a_file_becomes_a_new_portfolio(harness: SandboxHarness) -> None:
    text = 'name,town,reference\n"Nestlé S.A.",Vevey,1\n"two\nlines, ""quoted""",,2\n'
    portfolio = {"name": "Suppliers", "description": "of 2026"}
    job = harness.run("creditsafe.import_file", file=harness.file(text), portfolio=portfolio)
    assert job.result is not None, job.error
    assert (job.result["records"], job.result["parts"]) == (2, 1)
    assert records(harness, job.result["portfolio_id"]) == list(csv.DictReader(io.StringIO(text, newline="")))
    found = harness.creditsafe.portfolios.get(job.result["portfolio_id"])
    assert (found.name, found.description) == ("Suppliers", "of 2026 [kyb:job]")


def test_a_file_joins_an_existing_portfolio(harness: SandboxHarness) -> None:
    portfolio_id = harness.creditsafe.portfolios.create("Ours").portfolio_id
    harness.creditsafe.records.create(portfolio_id, [NewRecord(name="First")])
    job = harness.run("creditsafe.import_file", file=harness.file(table(2)), portfolio={"id": portfolio_id})
    assert job.result == {"portfolio_id": portfolio_id, "records": 2, "parts": 1, "rejects": None}
    assert len(records(harness, portfolio_id)) == 3
    assert harness.effects("creditsafe.portfolios.create") == 1


def test_a_portfolio_that_is_not_there_is_the_vendors_refusal(harness: SandboxHarness) -> None:
    job = harness.run("creditsafe.import_file", file=harness.file(table(2)), portfolio={"id": "gone"})
    assert "not found" in failure(job, Code.VENDOR_REJECTED)


@pytest.mark.parametrize("name", ["Large", "Large [async]"])
def test_a_large_file_goes_in_parts(
    harness: SandboxHarness, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(file_parts, "PART_LIMIT", 300)
    monkeypatch.setattr(file_parts, "GZIP_FROM", 200)
    job = harness.run("creditsafe.import_file", file=harness.file(table(40)), portfolio={"name": name})
    assert job.result is not None, job.error
    assert job.result["records"] == 40
    assert job.result["parts"] == harness.effects("creditsafe.records.import_file") > 3
    assert records(harness, job.result["portfolio_id"]) == list(
        csv.DictReader(io.StringIO(table(40), newline=""))
    )


@pytest.mark.parametrize(
    ("text", "place", "named"),
    [
        ("name,Town\r\nx,y\r\n", "companies.csv, line 1, column 2", "'Town'"),
        (
            "Jane Roe,London\r\nJohn Doe,Leeds\r\n",
            "companies.csv, line 1, column 1",
            "not the name of a field",
        ),
        ("name,name\r\nx,y\r\n", "companies.csv, line 1, column 2", "same header"),
        ("name,town\r\nx,y\r\nz\r\n", "companies.csv, line 3, column 2", "1 cells"),
        ("name,town\r\n", "companies.csv", "no records"),
        ("name\r\né\r\n".encode() + b"\xff\r\n", "companies.csv, line 3, column 1", "UTF-8"),
    ],
)
def test_a_bad_file_costs_nothing_at_the_vendor(
    harness: SandboxHarness, text: str | bytes, place: str, named: str
) -> None:
    job = harness.run("creditsafe.import_file", file=harness.file(text), portfolio={"name": "Suppliers"})
    message = failure(job, Code.INPUT_INVALID)
    assert message.startswith(place)
    assert named in message
    assert "Jane" not in str(job.error)
    assert not harness.state.calls


def test_a_file_that_changes_meanwhile_is_not_sent(harness: SandboxHarness) -> None:
    harness.fault("creditsafe.portfolios.create", Fault("status", status=429))
    file = harness.file(table(2))
    harness.arrive("creditsafe.import_file", file=file, portfolio={"name": "Suppliers"})
    harness.file(table(3))
    assert "has changed" in failure(harness.drive(), Code.INPUT_INVALID)
    assert not harness.effects("creditsafe.records.import_file")


@pytest.mark.parametrize("kind", ["lost_before", "lost_after"])
@pytest.mark.parametrize("operation", ["portfolios.create", "records.import_file"])
def test_lost_answers_are_made_good(
    harness: SandboxHarness, monkeypatch: pytest.MonkeyPatch, operation: str, kind: str
) -> None:
    monkeypatch.setattr(file_parts, "PART_LIMIT", 300)
    harness.creditsafe.portfolios.create("Suppliers", "of another job [kyb:job2]")
    harness.state.effects.clear()
    harness.fault(f"creditsafe.{operation}", Fault(kind))
    job = harness.run("creditsafe.import_file", file=harness.file(table(20)), portfolio={"name": "Suppliers"})
    assert job.result is not None, job.error
    assert job.retries == 1
    assert harness.effects("creditsafe.portfolios.create") == 1
    assert harness.effects("creditsafe.records.import_file") == job.result["parts"]
    assert len(records(harness, job.result["portfolio_id"])) == 20


def test_a_portfolio_that_somebody_else_fills_leaves_a_lost_import_undecided(harness: SandboxHarness) -> None:
    portfolio_id = harness.creditsafe.portfolios.create("Ours").portfolio_id
    harness.fault("creditsafe.records.import_file", Fault("lost_after"))
    file = harness.file(table(3))
    harness.arrive("creditsafe.import_file", file=file, portfolio={"id": portfolio_id})
    harness.creditsafe.records.create(portfolio_id, [NewRecord(name="Another")])
    assert "grown by 4" in failure(harness.drive(), Code.OUTCOME_UNKNOWN)
    assert harness.effects("creditsafe.records.import_file") == 1


def test_a_lost_import_in_the_background_is_not_repeated(
    harness: SandboxHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_parts, "PART_LIMIT", 300)
    file = harness.file(table(20))
    portfolio = {"name": "Slow [async]"}
    harness.arrive("creditsafe.import_file", file=file, portfolio=portfolio)
    harness.state.job_seconds = 1_000  # the first part is done, the others take their time
    harness.fault("creditsafe.records.import_file", Fault("lost_after"))
    assert "grown by 0" in failure(harness.drive(), Code.OUTCOME_UNKNOWN)
    assert harness.effects("creditsafe.records.import_file") == 2


def test_rows_that_are_missing_at_the_end_are_noticed(harness: SandboxHarness) -> None:
    portfolio_id = harness.creditsafe.portfolios.create("Ours").portfolio_id
    created = harness.creditsafe.records.create(portfolio_id, [NewRecord(name="Old")]).records
    harness.fault("creditsafe.portfolios.get", Fault("slow"))  # portfolio
    harness.fault("creditsafe.portfolios.get", Fault("slow"))  # count
    harness.fault("creditsafe.portfolios.get", Fault("status", status=503, retry_after=0))  # count again
    file = harness.file(table(3))
    harness.arrive("creditsafe.import_file", file=file, portfolio={"id": portfolio_id})
    harness.creditsafe.records.delete(portfolio_id, [created[0].record_id])
    message = failure(harness.drive(), Code.VENDOR_FAILED)
    assert "3 records after the import, 4 were expected" in message
    assert harness.effects("creditsafe.records.import_file") == 1


# -- parts ------------------------------------------------------------------------------------------------

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=30)


@given(
    rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=30),
    limit=st.integers(30, 400),
    packing=st.integers(0, 400),
    bom=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
    stops=st.sets(st.integers(0, 30)),
)
def test_parts_hold_every_record_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    limit: int,
    packing: int,
    bom: bool,
    ending: str,
    stops: set[int],
) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows([("name", "town"), *rows])
    (folder / "parts.csv").write_bytes(("\ufeff" * bom + text.getvalue()).encode())
    source = plain(folder / "parts.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_parts, "PART_LIMIT", limit)
        patch.setattr(file_parts, "GZIP_FROM", packing)
        plan = planned(source, stops)
        found: list[tuple[str, ...]] = []
        for part in parts_of(plan):
            content, format = pack(source, plan, part)
            with content:
                content.seek(0)
                raw = gzip.decompress(content.read()) if format == "gzip" else content.read()
            header, *records = csv.reader(io.StringIO(raw.decode(), newline=""))
            assert header == ["name", "town"]
            assert len(records) == part.rows > 0
            assert len(raw) <= limit or part.rows == 1
            found += map(tuple, records)
    assert found == rows
    assert plan["done"] == len(rows)


def plain(path: Path) -> InputTable:
    return InputTable(path.as_uri(), lambda: path.open("rb"))


def planned(source: InputTable, stops: set[int]) -> dict[str, Any]:
    """What `read_through` finds when it is cut off after some of its checkpoints."""
    at: Any = None
    for count in [*sorted(stops), None]:
        pieces = read_through(source, at)
        for number, at in enumerate(pieces):  # noqa: B007 - the last one is what counts
            if number == count:
                break
        pieces.close()
    assert isinstance(at, dict)
    return at


def test_a_part_is_the_same_bytes_each_time(harness: SandboxHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_parts, "GZIP_FROM", 0)
    source = plain(Path(harness.file(table(50))))
    plan = planned(source, set())
    sent = set()
    for _ in range(2):
        content, _format = pack(source, plan, parts_of(plan)[0])
        with content:
            content.seek(0)
            sent.add(content.read())
    assert len(sent) == 1


@pytest.mark.parametrize("name", RECORD_FIELDS)
def test_every_documented_field_is_a_header(name: str) -> None:
    file_parts.check_header([name], "f.csv")
    with pytest.raises(JobFailed):
        file_parts.check_header([name, name.swapcase()], "f.csv")
