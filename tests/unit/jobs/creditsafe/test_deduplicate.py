"""`creditsafe.deduplicate` and `creditsafe.enrich`, turn by turn."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.creditsafe import FileExecution, NewRecord
from messages.errors import Code
from messages.events import Status
from sandbox.core import Fault
from tests.support.sandbox_harness import SandboxHarness, completed, content, failure
from tests.support.turn_harness import LIMITS
from workers.jobs.creditsafe import result_files
from workers.jobs.creditsafe.result_files import Lines, poll_execution

NAMES = ["Tesco PLC", "TESCO plc", "Nobody & Sons", "Tesco  plc", "Nestlé S.A."]


def portfolio(harness: SandboxHarness, name: str = "Suppliers", count: int = len(NAMES)) -> str:
    made = harness.creditsafe.portfolios.create(name).portfolio_id
    companies = [NewRecord(name=NAMES[n % len(NAMES)], reference=str(n)) for n in range(count)]
    for start in range(0, count, 300):
        harness.creditsafe.records.create(made, companies[start : start + 300])
    harness.creditsafe.matching.start(made)
    harness.state.effects.clear()
    return made


def rows(file: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content(file).decode(), newline="")))


@pytest.fixture
def impatient(harness: SandboxHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every piece of a file is a slice of its own, and a piece is small."""
    monkeypatch.setattr(result_files, "PIECE", 4_000)
    harness.limit(replace(LIMITS, time_slice=0.0))


# -- deduplicate ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Suppliers", "Suppliers [async]"])
def test_duplicates_are_stored_then_removed(harness: SandboxHarness, name: str) -> None:
    made = portfolio(harness, name)
    job = harness.run("creditsafe.deduplicate", portfolio_id=made, fields=["name"], remove=True)
    result = completed(job)
    assert (result["removed"], result["partial"]) == (2, False)
    assert result["duplicates"]["records"] == 2
    assert result["duplicates"]["media_type"] == "text/csv"
    assert [row["reference"] for row in rows(result["duplicates"])] == ["1", "3"]
    assert harness.creditsafe.portfolios.get(made).record_count == 3
    assert harness.creditsafe.duplicates.status(made, result["execution_id"]).status == "COMPLETED"


def test_nothing_is_removed_unless_asked_for(harness: SandboxHarness) -> None:
    made = portfolio(harness, count=2)
    result = completed(harness.run("creditsafe.deduplicate", portfolio_id=made, fields=["name"]))
    assert (result["removed"], result["duplicates"]["records"]) == (0, 1)
    assert harness.state.calls["creditsafe.duplicates.remove"] == 0
    assert harness.creditsafe.portfolios.get(made).record_count == 2


@pytest.mark.parametrize(
    ("name", "operation", "kind"),
    [
        ("Suppliers", "identify", "lost_before"),
        ("Suppliers", "identify", "lost_after"),
        ("Suppliers", "remove", "lost_before"),
        ("Suppliers", "remove", "lost_after"),
        ("Suppliers [async]", "remove", "lost_after"),
        ("Suppliers [async]", "status", "lost_after"),
    ],
)
def test_what_is_lost_on_the_way_changes_no_number(
    harness: SandboxHarness, name: str, operation: str, kind: str
) -> None:
    made = portfolio(harness, name)
    harness.fault(f"creditsafe.duplicates.{operation}", Fault(kind))
    job = harness.run("creditsafe.deduplicate", portfolio_id=made, fields=["name"], remove=True)
    assert completed(job)["removed"] == 2
    assert [row["reference"] for row in rows(completed(job)["duplicates"])] == ["1", "3"]
    assert harness.effects("creditsafe.duplicates.remove") == 1


def test_a_failed_identification_is_begun_anew_by_a_retry(harness: SandboxHarness) -> None:
    made = portfolio(harness, "Suppliers [fails once]")
    job = harness.run("creditsafe.deduplicate", portfolio_id=made, fields=["name"])
    failure(job, Code.VENDOR_FAILED)
    assert job.error is not None
    assert job.error["detail"] == "FAILED"
    harness.run("job.retry", id="retry", job_id="job")
    assert completed(harness.drive())["duplicates"]["records"] == 2


def test_fields_are_creditsafes_to_judge(harness: SandboxHarness) -> None:
    job = harness.run("creditsafe.deduplicate", portfolio_id=portfolio(harness, count=1), fields=["shoeSize"])
    failure(job, Code.VENDOR_REJECTED)
    assert job.error is not None
    assert "unknown field: shoeSize" in str(job.error["detail"])


# -- enrich -----------------------------------------------------------------------------------------------

FIELDS = ["general.safeNumber", "contact.town"]


def enrich(harness: SandboxHarness, portfolio_id: str, id: str = "job") -> Any:
    return harness.run("creditsafe.enrich", id=id, portfolio_id=portfolio_id, fields=FIELDS)


@pytest.mark.parametrize("partial", [False, True])
def test_the_enriched_records_are_stored(harness: SandboxHarness, partial: bool) -> None:
    made = portfolio(harness, "Suppliers [partial]" if partial else "Suppliers")
    result = completed(enrich(harness, made))
    assert result["partial"] is partial
    assert result["enriched"]["records"] == len(NAMES)
    towns = {row["name"]: row["contact.town"] for row in rows(result["enriched"])}
    assert (towns["Nestlé S.A."], towns["Nobody & Sons"]) == ("Vevey", "")
    assert harness.effects("creditsafe.enrichment.start") == 1


@pytest.mark.parametrize(("kind", "billed"), [("lost_before", 0), ("lost_after", 1), ("status", 0)])
def test_a_start_in_doubt_is_never_repeated(harness: SandboxHarness, kind: str, billed: int) -> None:
    made = portfolio(harness)
    harness.fault("creditsafe.enrichment.start", Fault(kind))
    failure(enrich(harness, made), Code.OUTCOME_UNKNOWN)
    harness.run("job.retry", id="retry", job_id="job")
    failure(harness.drive(), Code.OUTCOME_UNKNOWN)
    assert harness.effects("creditsafe.enrichment.start") == billed
    harness.run("job.retry", id="told", job_id="job", repeat_effect=True)
    completed(harness.drive())
    assert harness.effects("creditsafe.enrichment.start") == billed + 1


def test_a_failed_run_is_looked_at_again_but_not_paid_for_again(harness: SandboxHarness) -> None:
    made = portfolio(harness, "Suppliers [fails]")
    failure(enrich(harness, made), Code.VENDOR_FAILED)
    harness.run("job.retry", id="retry", job_id="job")
    failure(harness.drive(), Code.VENDOR_FAILED)
    assert harness.effects("creditsafe.enrichment.start") == 1
    failure(enrich(harness, made, id="another"), Code.VENDOR_FAILED)
    assert harness.effects("creditsafe.enrichment.start") == 2


# -- their files ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", ["lost_before", "status", "expired"])
def test_a_file_goes_on_where_it_broke_off(
    harness: SandboxHarness, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = portfolio(harness, count=400)
    harness.arrive("creditsafe.enrich", portfolio_id=made, fields=FIELDS)
    while not (downloads := harness.state.calls["creditsafe.download"]):
        harness.turn()
    if kind == "expired":
        with monkeypatch.context() as expiring:
            expiring.setattr(harness.state, "link_seconds", 0.0)
            harness.turn()
    else:
        harness.fault("creditsafe.download", Fault(kind, status=404))
        harness.turn()
    assert harness.job().retries == 1
    job = harness.drive()
    assert rows(completed(job)["enriched"])[399]["reference"] == "399"
    assert completed(job)["enriched"]["records"] == 400
    pieces = completed(job)["enriched"]["bytes"] // 4_000 + 1
    assert harness.state.calls["creditsafe.download"] == downloads + 1 + pieces - 1
    assert harness.effects("creditsafe.enrichment.start") == 1


@pytest.mark.usefixtures("impatient")
def test_a_file_that_only_comes_whole_is_never_half(harness: SandboxHarness) -> None:
    made = portfolio(harness, "Suppliers [whole files]", count=400)
    harness.arrive("creditsafe.enrich", portfolio_id=made, fields=FIELDS)
    harness.fault("creditsafe.download", Fault("lost_after"))
    job = harness.drive()
    assert job.retries == 1
    assert completed(job)["enriched"]["records"] == 400
    assert harness.state.calls["creditsafe.download"] == 2


def test_the_same_job_again_writes_the_same_bytes(harness: SandboxHarness) -> None:
    made = portfolio(harness)
    first, second = (completed(enrich(harness, made, id=id))["enriched"] for id in ("one", "two"))
    assert first["sha256"] == second["sha256"]


def test_no_link_is_kept_in_the_ledger(harness: SandboxHarness) -> None:
    completed(enrich(harness, portfolio(harness)))
    completed(
        harness.run("creditsafe.deduplicate", id="two", portfolio_id=portfolio(harness), fields=["name"])
    )
    assert b"/files/" not in b"".join(path.read_bytes() for path in harness.folder.glob("ledger.db*"))


@given(
    table=st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=2
        ),
        min_size=1,
    ),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    ending=st.sampled_from(["", "\n", "\r\n"]),
)
def test_rows_are_counted_as_they_pass(table: list[list[str]], cuts: list[int], ending: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(table)
    data = (text.getvalue().removesuffix("\r\n") + ending).encode()
    lines, begin = Lines(), 0
    for end in [*sorted(cuts), len(data)]:
        lines = Lines.of(lines.json())
        lines.feed(data[begin:end])
        begin = max(begin, end)
    assert lines.records == len(table) - 1


def test_states_of_runs_with_files() -> None:
    words = ("PENDING", "COMPLETED", "partiallyCompleted", "INSUFFICIENT_CREDITS", None)
    states = [poll_execution(FileExecution(status=status)) for status in words]
    assert [sighting.state for sighting in states] == ["running", "done", "done", "failed", "running"]
    assert states[3].detail == "INSUFFICIENT_CREDITS"
    assert poll_execution(FileExecution(link="https://files.example/1")).state == "done"


def test_a_run_without_a_file_is_the_vendors_failure(
    harness: SandboxHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = portfolio(harness)
    with monkeypatch.context() as linkless:
        linkless.setattr("sandbox.creditsafe.Creditsafe.link", lambda *_: None)
        assert "names no file" in failure(enrich(harness, made), Code.VENDOR_FAILED)
    harness.run("job.retry", id="retry", job_id="job")
    assert harness.drive().status is Status.COMPLETED
    assert harness.effects("creditsafe.enrichment.start") == 1
