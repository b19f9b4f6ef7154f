"""`portfolio.process`: all stages and some, with things going wrong in between."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from messages.errors import Code
from messages.events import Status
from messages.portfolio import STAGES
from sandbox.core import Fault
from sandbox.sayari.register import register
from tests.support.sandbox_harness import SandboxHarness, completed, content, failure
from tests.support.turn_harness import LIMITS
from workers.engine.history_cache import comparable_steps
from workers.jobs.data8 import start_job
from workers.jobs.portfolio import tables
from workers.ledger.duration_samples import read_duration_samples

TYPE = "portfolio.process"
IDS = {entity.label: entity.id for entity in register().entities.values()}
#: Two that are the same company, one with odd cells, one that nobody knows, one that is sanctioned.
COMPANIES = [
    ["Reference", "name", "Note", "town", "countryCode"],
    ["C-1", "Tesco PLC", "", "Welwyn Garden City", "GB"],
    ["C-2", "TESCO  plc", 'says "yes", often', "Cheshunt", "GB"],
    ["ключ", "トヨタ自動車株式会社\nand sons", "=1+1", "豊田市", "JP"],
    ["10", "Public Joint Stock Company Gazprom Neft", ";", "", "RU"],
    ["0010", "Nestlé S.A.", "", "Vevey", "CH"],
]
ALL: dict[str, Any] = {
    "cleanse": {"workflow": "CompanyCleanse"},
    "match": {},
    "deduplicate": {"remove": True},
    "enrich": {"fields": ["contact.town"]},
    "resolve": {"watchlist": True, "ownership": True},
}


def text_of(table: list[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(table)
    return out.getvalue().encode()


def report_of(result: dict[str, Any]) -> list[dict[str, str]]:
    """The report's rows; each has all columns."""
    header, *rows = csv.reader(io.StringIO(content(result["report"]).decode(), newline=""))
    assert result["report"]["records"] == len(rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.fixture
def companies(harness: SandboxHarness) -> str:
    return harness.file(text_of(COMPANIES))


# -- what it does -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [15.0, 0.0])
def test_every_record_comes_back_with_what_every_vendor_says_of_it(
    harness: SandboxHarness, companies: str, slices: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.limit(replace(LIMITS, time_slice=slices))
    monkeypatch.setattr(tables, "WRITE_ROWS", 2)
    monkeypatch.setattr(start_job, "BLOCK_LIMIT", 2)
    harness.arrive(TYPE, file=companies, name="Customers", **ALL)
    percents = []
    while not harness.job().status.ended:
        percents.append((harness.turn().progress or {}).get("percent", 0.0))
    assert percents == sorted(percents)
    assert percents[-1] > 60
    result = completed(harness.job())
    assert set(harness.state.effects.values()) == {1}
    assert (result["unplaced"], result["rejects"], result["deduplicate"]["removed"]) == (0, None, 1)
    assert harness.creditsafe.portfolios.get(result["import"]["portfolio_id"]).record_count == 4

    rows = report_of(result)
    assert [list(row)[:5] for row in rows] == [COMPANIES[0]] * 5
    assert [list(row.values())[:5] for row in rows] == COMPANIES[1:]
    tesco, again, toyota, gazprom, nestle = rows
    assert [row["data8.cleansed_name"] for row in rows][:2] == ["Tesco PLC", "TESCO plc"]
    assert [row["creditsafe.matchStatus"] for row in rows] == [
        *("MATCHED", "MATCHED", "UNMATCHED", "UNMATCHED", "MATCHED")
    ]
    assert tesco["creditsafe.safeNumber"] == again["creditsafe.safeNumber"] != ""
    assert [row["creditsafe.duplicateOf"] for row in rows] == ["", "C-1", "", "", ""]
    assert [row["creditsafe.contact.town"] for row in rows] == ["Welwyn Garden City", "", "", "", "Vevey"]
    assert tesco["sayari.entity_ids"] == again["sayari.entity_ids"]
    assert tesco["sayari.entity_ids"].split(";")[0] == IDS["Tesco PLC"]
    assert (tesco["sayari.match_strength"], tesco["sayari.sanctioned"]) == ("weak", "false")
    assert [toyota[name] for name in toyota if name.startswith("sayari.")] == [""] * 6
    assert (gazprom["sayari.entity_ids"], gazprom["sayari.sanctioned"]) == (
        IDS["Public Joint Stock Company Gazprom Neft"],
        "true",
    )
    assert int(gazprom["sayari.owners"]) > 0
    assert nestle["creditsafe.safeNumber"] != ""
    names = {path.name for path in (harness.folder / "results" / "job").iterdir()}
    assert all(name.partition(".")[0] in {*STAGES, "report"} for name in names)
    assert not any(name.endswith(".part") for name in names)


def test_stages_left_out_are_not_run_and_all_others_are(harness: SandboxHarness, companies: str) -> None:
    """None, each alone, all but each, all."""
    marks = {
        "cleanse": "data8.jobs.create", "match": "creditsafe.matching.start",
        "deduplicate": "creditsafe.duplicates.identify", "enrich": "creditsafe.enrichment.start",
        "resolve": "sayari.projects.resolutions.upload",
    }  # fmt: skip
    choices = [[*chosen] for count in (0, 1, len(ALL) - 1, len(ALL)) for chosen in combinations(ALL, count)]
    for number, wanted in enumerate(choices):
        harness.state.effects.clear()
        harness.state.calls.clear()
        options = {name: ALL[name] if name != "resolve" else {} for name in wanted}
        result = completed(harness.run(TYPE, f"job-{number}", file=companies, name="Customers", **options))
        assert [name for name in ALL if result[name] is not None] == wanted
        assert [name for name, effect in marks.items() if harness.effects(effect)] == wanted
        asked = any(result[name] for name in ("match", "deduplicate", "enrich"))
        assert (result["export"] is not None) is asked
        assert not result["watchlist"]
        assert [row["Reference"] for row in report_of(result)] == ["C-1", "C-2", "ключ", "10", "0010"]
        for vendor, stage in (("data8", "cleanse"), ("sayari", "resolve")):
            assert (stage in wanted) is any(call.startswith(vendor) for call in harness.state.calls)
            assert (stage in wanted) is any(name.startswith(vendor) for name in report_of(result)[0])


def test_without_references_rows_are_numbered_and_columns_are_what_the_command_says(
    harness: SandboxHarness,
) -> None:
    table = [
        ["Firma", "reference", "Ort", "land"],
        ["Nestlé S.A.", "x", "Vevey", "CH"],
        ["Tesco PLC", "x", "", "GB"],
    ]
    columns = {"Firma": "name", "Ort": "town", "land": "countryCode", "reference": "orgNumber"}
    job = harness.run(
        TYPE, file=harness.file(text_of(table)), name="Kunden", columns=columns,
        **ALL | {"cleanse": {"workflow": "CompanyCleanse", "columns": {"cleansed_firma": "name"}}},
    )  # fmt: skip
    first, second = report_of(completed(job))
    assert list(first)[:5] == ["reference_2", "Firma", "reference", "Ort", "land"]
    assert [row["reference_2"] for row in (first, second)] == ["1", "2"]
    assert first["data8.cleansed_firma"] == "Nestlé S.A."
    assert first["creditsafe.matchStatus"] == second["creditsafe.matchStatus"] == "MATCHED"
    assert second["sayari.entity_ids"].startswith(IDS["Tesco PLC"])
    portfolio = completed(job)["import"]["portfolio_id"]
    records = [record.model_extra or {} for record in harness.creditsafe.records.all(portfolio)]
    assert [(record["reference"], record["orgNumber"]) for record in records] == [("1", "x"), ("2", "x")]


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_the_report_in_another_format_and_bad_rows_left_out(harness: SandboxHarness, format: str) -> None:
    uri = harness.file(text_of([*COMPANIES, ["C-9", "one cell too few", "", ""]]))
    job = harness.run(TYPE, file=uri, name="Customers", format=format, strict=False, match={})
    result = completed(job)
    assert result["rejects"]["records"] == 1
    assert result["report"]["uri"].endswith(f"/report.{format}")
    written = content(result["report"])
    rows = (
        [json.loads(line) for line in written.splitlines()]
        if format == "jsonl"
        else pq.read_table(io.BytesIO(written)).to_pylist()
    )
    assert [row["Reference"] for row in rows] == [cells[0] for cells in COMPANIES[1:]]
    assert rows[0]["creditsafe.matchStatus"] == "MATCHED"


# -- what is wrong before anything happens ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "options", "message"),
    [
        ([["name"]], {}, "holds no records, only a header"),
        ([["Firma"], ["A"]], {}, "no header is the name of a field that Creditsafe takes"),
        ([["reference"], ["A"]], {}, "no header is the name of a field that Creditsafe takes"),
        ([["companyId"], ["A"]], {"resolve": {}}, "no header is the name of a field that Sayari takes"),
        ([["name", "Name"], ["A", "B"]], {}, "columns 1 and 2 are both 'name'"),
        ([["name"], ["A"]], {"columns": {"Firma": "name"}}, "there is no column 'Firma'"),
        ([["name"], ["A"]], {"columns": {"name": "nmae"}}, "the field 'nmae', which is neither"),
        ([["name", "reference"], ["A", "1"], ["B\n", "1"]], {},
         "line 4, column 2: the reference of line 2 again"),
        ([["name", "reference"], ["A", " "]], {}, "line 2, column 2: the reference is empty"),
        ([["name", "town"], ["A"]], {}, "line 2, column 2: 1 cells, where the header has 2"),
    ],
)  # fmt: skip
def test_a_file_that_will_not_do_fails_the_job_before_anything_happens_at_a_vendor(
    harness: SandboxHarness, table: list[list[str]], options: dict[str, Any], message: str
) -> None:
    uri = harness.file(text_of(table))
    job = harness.run(TYPE, file=uri, name="Customers", **options)
    assert message in failure(job, Code.INPUT_INVALID)
    assert "companies.csv" in failure(job, Code.INPUT_INVALID)
    assert not harness.state.calls


def test_a_vendor_without_settings_fails_the_job_before_anything_happens(
    harness: SandboxHarness, companies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        harness, "_services", replace(harness._services, sayari_client=None, data8_client=None)
    )
    harness.limit(LIMITS)
    message = failure(harness.run(TYPE, file=companies, name="Customers", **ALL), Code.VENDOR_AUTH)
    assert message.startswith("this worker has no settings for data8 and sayari")
    assert not harness.state.calls
    completed(harness.run(TYPE, "other", file=companies, name="Customers", match={}))


# -- what goes wrong on the way ---------------------------------------------------------------------------


def test_a_retry_goes_on_from_the_stage_that_failed(harness: SandboxHarness, companies: str) -> None:
    """Every service of this portfolio fails the first time."""
    job = harness.run(
        TYPE, file=companies, name="Customers [fails once]", match={}, deduplicate={}, resolve={}
    )
    for step in ("match: match", "deduplicate: duplicates"):
        failure(job, Code.VENDOR_FAILED)
        assert (job.error or {})["step"] == step
        harness.run("job.retry", f"retry-{job.attempt}", job_id="job")
        job = harness.drive()
    assert len(report_of(completed(job))) == 5
    assert (
        harness.effects("creditsafe.portfolios.create")
        == harness.effects("creditsafe.records.import_file")
        == 1
    )
    assert (
        harness.effects("creditsafe.matching.start") == harness.effects("creditsafe.duplicates.identify") == 2
    )
    assert harness.effects("sayari.projects.resolutions.upload") == 1
    assert job.attempt == 3


def test_a_cleansing_that_failed_is_done_anew_under_another_name(
    harness: SandboxHarness, companies: str
) -> None:
    for _ in range(2):
        job = harness.run(TYPE, file=companies, name="Customers", cleanse={"workflow": "AlwaysFails"})
        failure(job, Code.VENDOR_FAILED)
        harness.run("job.retry", f"retry-{job.attempt}", job_id="job")
    harness.drive()
    assert harness.effects("data8.jobs.create") == 3
    assert harness.effects("data8.datasets.create") == 1
    assert not any(call.startswith("creditsafe") for call in harness.state.calls)


@pytest.mark.parametrize(
    ("cleanse", "code", "message"),
    [
        ({"workflow": "Echo", "output": "Others"}, Code.INPUT_INVALID, "It has 'Companies'"),
        ({"workflow": "Echo", "columns": {"reference": "taxCode"}}, Code.INPUT_INVALID, "no references"),
        ({"workflow": "Echo", "columns": {"name": "reference"}}, Code.VENDOR_FAILED, "row 1 of Data8's output"),
        ({"workflow": "Echo", "columns": {"town": "reference"}}, Code.VENDOR_FAILED, "row 1 of Data8's output"),
        ({"workflow": "Nobody"}, Code.VENDOR_REJECTED, "data8"),
    ],
)  # fmt: skip
def test_an_output_that_cannot_go_on_is_not_imported(
    harness: SandboxHarness, companies: str, cleanse: dict[str, Any], code: Code, message: str
) -> None:
    assert message in failure(harness.run(TYPE, file=companies, name="Customers", cleanse=cleanse), code)
    assert not any(call.startswith("creditsafe") for call in harness.state.calls)


def test_what_may_have_been_billed_is_never_started_twice(harness: SandboxHarness, companies: str) -> None:
    harness.fault("creditsafe.enrichment.start", Fault("lost_after"))
    job = harness.run(TYPE, file=companies, name="Customers", match={}, enrich=ALL["enrich"])
    failure(job, Code.OUTCOME_UNKNOWN)
    assert (job.error or {})["step"] == "enrich: start"
    assert harness.effects("creditsafe.enrichment.start") == 1
    harness.run("job.retry", "person", job_id="job", repeat_effect=True)
    assert len(report_of(completed(harness.drive()))) == 5
    assert harness.effects("creditsafe.matching.start") == 1


def test_cancelled_between_two_stages_it_goes_no_further_until_a_retry(
    harness: SandboxHarness, companies: str
) -> None:
    harness.arrive(TYPE, file=companies, name="Customers", match={}, enrich=ALL["enrich"])
    assert (harness.job().progress or {})["step"] == "match: match"
    harness.run("job.cancel", "cancel", job_id="job")
    assert harness.drive().status is Status.CANCELLED
    assert harness.effects("creditsafe.enrichment.start") == 0
    harness.run("job.retry", "again", job_id="job")
    assert len(report_of(completed(harness.drive()))) == 5
    assert harness.effects("creditsafe.matching.start") == harness.effects("creditsafe.enrichment.start") == 1


def test_answers_lost_in_every_stage_change_nothing(harness: SandboxHarness, companies: str) -> None:
    lost = ("data8.datasets.create", "data8.jobs.create", "creditsafe.portfolios.create",
            "creditsafe.records.import_file", "creditsafe.records.list", "creditsafe.duplicates.remove",
            "sayari.projects.create", "sayari.projects.resolutions.upload", "sayari.entities.summary")  # fmt: skip
    undisturbed = report_of(completed(harness.run(TYPE, "first", file=companies, name="Customers", **ALL)))
    harness.state.effects.clear()
    for operation in lost:
        harness.fault(operation, Fault("lost_after"))
    rows = report_of(completed(harness.run(TYPE, file=companies, name="Customers", **ALL)))
    assert set(harness.state.effects.values()) == {1}
    for row in [*rows, *undisturbed]:
        del row["creditsafe.recordId"]
    assert rows == undisturbed


def test_two_jobs_at_once_do_not_get_in_each_others_way(harness: SandboxHarness, companies: str) -> None:
    for id in ("a", "b"):
        harness.arrive(TYPE, id, file=companies, name="Customers", **ALL)
    results = [completed(harness.drive(id)) for id in ("a", "b")]
    assert harness.effects("creditsafe.matching.start") == harness.effects("data8.jobs.create") == 2
    for id, result in zip(("a", "b"), results, strict=True):
        assert [row["Reference"] for row in report_of(result)] == [cells[0] for cells in COMPANIES[1:]]
        assert Path(result["report"]["uri"]).parent.name == id
        assert harness.creditsafe.portfolios.get(result["import"]["portfolio_id"]).record_count == 4


def test_a_stage_learns_from_its_command_alone_and_the_other_way_round(
    harness: SandboxHarness, companies: str
) -> None:
    result = completed(harness.run(TYPE, file=companies, name="Customers", match={}))
    again = {"portfolio_id": result["import"]["portfolio_id"]}
    completed(harness.run("creditsafe.run_matching", "alone", **again))
    harness.arrive("creditsafe.run_matching", "waiting", **again)
    with harness.ledger.jobs.lock("waiting") as hold:
        assert hold is not None
        claim = hold.take(harness.job("waiting").turn)
        assert claim is not None
        for command, step in (("creditsafe.run_matching", "match"), (TYPE, "match: match")):
            assert len(read_duration_samples(claim.connection, comparable_steps(command, step), 10)) == 2
            assert len(read_duration_samples(claim.connection, comparable_steps(command, step), 1)) == 1
