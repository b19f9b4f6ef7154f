"""`creditsafe.export_records`, turn by turn."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest

from clients.creditsafe import NewRecord, Record
from messages.errors import Code
from messages.events import Status
from sandbox.core import Fault
from tests.support.sandbox_harness import SandboxHarness, completed, content, failure
from tests.support.turn_harness import LIMITS
from workers.jobs.creditsafe import export_records
from workers.jobs.creditsafe.export_records import cells, columns

ODD = [
    NewRecord(name='Nestlé S.A., "Vevey"', town="two\nlines", reference="1"),
    NewRecord(name=" =cmd|' /C calc'!A0 ", reference="2"),
    NewRecord(name="トヨタ自動車株式会社", country_code="JP", reference="03"),
    NewRecord(name="", reference="4"),
]


@pytest.fixture
def portfolio_id(harness: SandboxHarness, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(export_records, "PAGE_SIZE", 3)
    monkeypatch.setattr(export_records, "WRITE_ROWS", 2)
    made = harness.creditsafe.portfolios.create("Suppliers").portfolio_id
    harness.creditsafe.records.create(made, [*ODD, *[NewRecord(name=f"Company {n}") for n in range(6)]])
    return made


def rows(file: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(file).decode(), newline="")))


def export(harness: SandboxHarness, portfolio_id: str, id: str = "job", **options: Any) -> dict[str, Any]:
    job = harness.run("creditsafe.export_records", id=id, portfolio_id=portfolio_id, **options)
    found: dict[str, Any] = completed(job)["records"]
    return found


def test_a_portfolio_becomes_a_table_cell_by_cell(harness: SandboxHarness, portfolio_id: str) -> None:
    file = export(harness, portfolio_id)
    assert (file["records"], file["media_type"]) == (10, "text/csv")
    header, *_ = content(file).splitlines()
    assert header == b"recordId,name,town,countryCode,reference"
    for row, listed in zip(rows(file), harness.creditsafe.records.all(portfolio_id), strict=True):
        assert {name: value for name, value in row.items() if value} == {
            name: value for name, value in cells(listed).items() if value
        }
    assert not list((harness.folder / "results" / "job").glob("*.part"))


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_other_formats_hold_the_same_cells(harness: SandboxHarness, portfolio_id: str, format: str) -> None:
    expected = rows(export(harness, portfolio_id, id="csv"))
    file = export(harness, portfolio_id, format=format)
    assert (file["records"], file["uri"].rpartition("/")[2]) == (10, f"records.{format}")
    assert [path.name for path in (harness.folder / "results" / "job").iterdir()] == [f"records.{format}"]
    if format == "jsonl":
        assert [json.loads(line) for line in content(file).splitlines()] == expected
    else:
        assert pq.read_table(io.BytesIO(content(file))).to_pylist() == expected


def test_what_creditsafe_added_is_in_columns_of_its_own(harness: SandboxHarness, portfolio_id: str) -> None:
    harness.creditsafe.records.create(portfolio_id, [NewRecord(name="Nestlé S.A.", country_code="CH")])
    harness.creditsafe.matching.start(portfolio_id)
    harness.creditsafe.enrichment.start(portfolio_id, ["contact.town", "general.safeNumber"])
    found = rows(export(harness, portfolio_id))
    assert list(found[0])[-5:] == [
        "safeNumber", "reference", "matchStatus", "enrichment.contact.town", "enrichment.general.safeNumber",
    ]  # fmt: skip
    toyota, nestle = found[2], found[10]
    assert (toyota["reference"], toyota["matchStatus"], toyota["safeNumber"]) == ("03", "UNMATCHED", "")
    assert (nestle["matchStatus"], nestle["enrichment.contact.town"]) == ("MATCHED", "Vevey")
    assert nestle["safeNumber"] == nestle["enrichment.general.safeNumber"] != ""


def test_it_goes_on_page_by_page_whatever_breaks(harness: SandboxHarness, portfolio_id: str) -> None:
    whole = export(harness, portfolio_id, id="whole")
    harness.limit(replace(LIMITS, time_slice=0.0))
    for _ in range(3):
        harness.fault("creditsafe.records.list", Fault("slow"))
        harness.fault("creditsafe.records.list", Fault("lost_after"))
    before = harness.state.calls["creditsafe.records.list"]
    again = export(harness, portfolio_id, id="again")
    assert again["sha256"] == whole["sha256"]
    assert harness.state.calls["creditsafe.records.list"] - before == 4 + 3


def test_a_portfolio_that_shrinks_meanwhile_is_read_anew(harness: SandboxHarness, portfolio_id: str) -> None:
    harness.limit(replace(LIMITS, time_slice=0.0))
    harness.arrive("creditsafe.export_records", portfolio_id=portfolio_id)
    first, *_ = harness.creditsafe.records.all(portfolio_id)
    harness.creditsafe.records.delete(portfolio_id, [first.record_id])
    file = completed(harness.drive())["records"]
    assert file["records"] == 9
    assert [row["recordId"] for row in rows(file)] == [
        record.record_id for record in harness.creditsafe.records.all(portfolio_id)
    ]


def test_records_that_are_added_meanwhile_come_at_the_end(harness: SandboxHarness, portfolio_id: str) -> None:
    harness.limit(replace(LIMITS, time_slice=0.0))
    harness.arrive("creditsafe.export_records", portfolio_id=portfolio_id)
    harness.creditsafe.records.create(portfolio_id, [NewRecord(name="Late", tax_code="7")])
    file = completed(harness.drive())["records"]
    assert (file["records"], rows(file)[-1]["taxCode"]) == (11, "7")


def test_a_listing_that_ends_early_is_the_vendors_failure(
    harness: SandboxHarness, portfolio_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sandbox.creditsafe.store import Store  # noqa: PLC0415 - the original, before it is replaced

    original = Store.page
    with monkeypatch.context() as early:
        early.setattr(Store, "page", lambda store, of, at, most: original(store, of, at, min(most, 9 - at)))
        job = harness.run("creditsafe.export_records", portfolio_id=portfolio_id)
        assert "after 9 of 10" in failure(job, Code.VENDOR_FAILED)
    harness.run("job.retry", id="retry", job_id="job")
    assert completed(harness.drive())["records"]["records"] == 10


def test_an_empty_portfolio_is_a_table_without_rows(harness: SandboxHarness) -> None:
    made = harness.creditsafe.portfolios.create("Empty").portfolio_id
    file = export(harness, made)
    assert (content(file), file["records"]) == (b"recordId\r\n", 0)


def test_a_portfolio_that_is_not_there_is_the_vendors_refusal(harness: SandboxHarness) -> None:
    job = harness.run("creditsafe.export_records", portfolio_id="gone")
    assert job.status is Status.FAILED
    failure(job, Code.VENDOR_REJECTED)


def test_cells_are_verbatim_and_columns_in_a_fixed_order() -> None:
    record = Record.model_validate(
        {
            "id": 7, "zeta": [1, "é"], "name": "N", "limit": 10, "active": True, "nothing": None,
            "enrichment": {"contact.town": "Vevey", "deep": {"er": 1}, "none": None},
        }
    )  # fmt: skip
    found = cells(record)
    assert found == {
        "recordId": "7", "zeta": '[1, "é"]', "name": "N", "limit": "10", "active": "true",
        "enrichment.contact.town": "Vevey", "enrichment.deep": '{"er": 1}',
    }  # fmt: skip
    assert columns(found) == [
        "recordId", "name", "active", "enrichment.contact.town", "enrichment.deep", "limit", "zeta",
    ]  # fmt: skip
