"""`data8.start_job` against the simulator, turn by turn, with things going wrong in between."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messages.errors import Code
from messages.events import Status
from sandbox.core import Fault
from tests.support.sandbox_harness import SandboxHarness, completed, content
from tests.support.turn_harness import LIMITS
from workers.jobs.data8.dataset_upload import column_names, dataset_name, kind_of
from workers.jobs.data8.start_job import cell_of, job_name
from workers.ledger.records import Job

START = "data8.start_job"
NAME = re.compile("[a-z][a-z0-9_]*")


def output(job: Job, slot: str) -> list[list[str]]:
    file = completed(job)["outputs"][slot]
    stored = content(file)
    rows = list(csv.reader(io.StringIO(stored.decode(), newline="")))
    assert (file["media_type"], file["bytes"], file["records"]) == ("text/csv", len(stored), len(rows) - 1)
    return rows


def effects(harness: SandboxHarness) -> dict[str, int]:
    return {f"{operation} {key}": count for (operation, key), count in harness.state.effects.items()}


def error(job: Job) -> dict[str, Any]:
    assert job.status is Status.FAILED
    assert job.error is not None
    return job.error


NASTY = [
    ["Company Name", "Größe", "id", "ID", "12 months", "phone", "count", "empty", "big"],
    ["Nestlé S.A.", "a,b", "1", "x", "7", "+44", "1", "", "9223372036854775807"],
    ['Smith "&" Co', "two\nlines", "2", " y ", "08", "44", "-5", "", "9223372036854775808"],
    ["トヨタ自動車株式会社", "\ttab", "3", "=1+1", "9", "45", "", "", "1"],
    ["", "z\u2028z", "4", "null", "10", "46", "0", "", "1"],
]
NASTY_COLUMNS = ["company_name", "grosse", "id", "id_2", "column_12_months", "phone", "count", "empty", "big"]


def text_of(rows: list[list[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()


def test_every_cell_comes_back_as_it_was(harness: SandboxHarness) -> None:
    uri = harness.file(text_of(NASTY), "in.csv")

    job = harness.run(
        START, "A.job:1", workflow="Echo", inputs={"Companies": {"file": uri}}, input_filename="/ToData8/x"
    )

    assert output(job, "Companies") == [NASTY_COLUMNS, *NASTY[1:]]
    assert job.result is not None
    assert job.result["statistics"] == {"CompaniesRecords": 4}
    assert job.result["output_filenames"] == {
        "Companies": f"/FromData8/{job.result['job_name']} Companies.csv"
    }
    dataset = harness.data8.datasets.get(dataset_name("A.job:1", "Companies"))
    numbers = {column for column, kind in dataset.columns.items() if kind == 1}
    assert numbers == {"id", "count"}


@pytest.mark.parametrize("rows", [1, 999, 1_000, 1_001, 2_500])
def test_many_rows_go_in_blocks_and_keep_their_order(harness: SandboxHarness, rows: int) -> None:
    table = [["n", "text"], *([str(n), f"row {n}"] for n in range(rows))]
    uri = harness.file(text_of(table), "in.csv")

    job = harness.run(START, workflow="Echo", inputs={"In": {"file": uri}})

    assert output(job, "In") == table
    uploads = [key for key in effects(harness) if "upload" in key]
    assert len(uploads) == -(-rows // 1_000)
    assert set(effects(harness).values()) == {1}


def test_slices_go_on_where_they_were(harness: SandboxHarness) -> None:
    table = [["n"], *([str(n)] for n in range(20_500))]
    uri = harness.file(text_of(table), "in.csv")
    harness.limit(replace(LIMITS, time_slice=0))

    job = harness.run(START, workflow="Echo", inputs={"In": {"file": uri}})

    assert output(job, "In") == table
    assert job.turns > 24
    assert set(effects(harness).values()) == {1}
    # what is at work at the end of a slice is waited for, not sent again
    calls = harness.state.calls
    assert (calls["data8.datasets.upload"], calls["data8.datasets.download"]) == (21, 21)


def test_files_and_datasets_in_several_slots(harness: SandboxHarness) -> None:
    harness.data8.datasets.create("accounts", {"owner": 0})
    harness.data8.datasets.upload("accounts", 1, [["x"], ["x"]])
    harness.data8.datasets.update("accounts", record_count=2)
    uri = harness.file("id,name\r\nx,A\r\ny,B\r\n", "contacts.csv")

    job = harness.run(
        START,
        workflow="ContactDeceasedCheck",
        name="Contact Deceased Check 3124",
        inputs={"Contacts": {"file": uri}, "Accounts": {"dataset": "accounts"}},
        parameters={"MaxContactAge": "0"},
    )

    assert output(job, "Contacts") == [
        ["id", "name", "accounts", "deceased"],
        ["x", "A", "2", "0"],
        ["y", "B", "0", "0"],
    ]
    assert job.result is not None
    assert job.result["job_name"] == "Contact Deceased Check 3124"
    assert harness.data8.jobs.get("Contact Deceased Check 3124").parameters == {"MaxContactAge": "0"}


def test_a_running_job_is_waited_for(harness: SandboxHarness) -> None:
    now = 1_767_323_045.0
    harness.state.clock = lambda: now
    harness.state.queue_seconds, harness.state.job_seconds = 5, 100
    uri = harness.file("a\r\nx\r\n", "in.csv")
    harness.arrive(START, workflow="CompanyCleanse", inputs={"Companies": {"file": uri}})

    for elapsed, percent in ((1, 0.0), (55, 50.0)):
        now = 1_767_323_045.0 + elapsed
        job = harness.turn()
        assert job.status is not Status.COMPLETED
        assert job.progress is not None
        assert (job.progress["step"], job.progress["percent"]) == ("finish", percent)
    now = 1_767_323_045.0 + 105

    assert output(harness.turn(), "Cleansed") == [["a", "cleansed_a", "flags"], ["x", "x", ""]]


@pytest.mark.parametrize("looks", [1, 4, 10])
def test_a_job_costs_a_call_and_a_message_for_each_look(harness: SandboxHarness, looks: int) -> None:
    now = 1_767_323_045.0
    harness.state.clock = lambda: now
    harness.state.queue_seconds, harness.state.job_seconds = 0, 100
    harness.data8.datasets.create("rows", {"a": 0})
    harness.data8.datasets.upload("rows", 1, [["x"]])
    harness.data8.datasets.update("rows", record_count=1)
    before = Counter(harness.state.calls)

    harness.arrive(START, workflow="Echo", inputs={"In": {"dataset": "rows"}})
    for _ in range(looks - 1):
        harness.turn()
    now += 100
    job = harness.turn()

    calls = Counter(harness.state.calls) - before
    assert output(job, "In") == [["a"], ["x"]]
    assert calls == {
        "data8.jobs.create": 1, "data8.jobs.get": looks, "data8.datasets.get": 1, "data8.datasets.download": 1,
    }  # fmt: skip
    # what is published: its turns but the first, which came with the command, and accepted, progressed, completed
    assert (job.turns - 1, len(harness.ledger.queries.events(job_id="job"))) == (looks, 3)


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        (b"", "in.csv"),
        (b"a,b\r\n", "in.csv, line 2, column 1"),
        (b"a,b\r\n1,2\r\n3\r\n", "in.csv, line 3, column 2"),
        (b"a,b\r\n1,2,3\r\n", "in.csv, line 2, column 3"),
        (b"a,a\r\n1,2\r\n", "in.csv, line 1, column 2"),
        (b"a,\xc3\xa9\r\n1,\xff\r\n", "in.csv, line 2, column 2"),
        (b'a,b\r\n1,"2\r\n', "in.csv, line 2, column 2"),
    ],
)
def test_a_bad_file_is_named_and_leaves_nothing_at_data8(
    harness: SandboxHarness, rows: bytes, place: str
) -> None:
    good = harness.file("a\r\n1\r\n", "good.csv")
    bad = harness.file(rows, "in.csv")

    job = harness.run(START, workflow="Echo", inputs={"Good": {"file": good}, "Bad": {"file": bad}})

    assert error(job)["code"] == Code.INPUT_INVALID
    assert error(job)["message"].startswith(place)
    assert effects(harness) == {}


def test_a_file_that_changes_meanwhile_is_noticed(harness: SandboxHarness) -> None:
    uri = harness.file("a\r\n1\r\n2\r\n", "in.csv")
    harness.state.faults["data8.datasets.create"].append(Fault("status", status=429))
    harness.arrive(START, workflow="Echo", inputs={"In": {"file": uri}})
    harness.file("a\r\n1\r\nx\r\n", "in.csv")

    job = harness.drive()

    assert error(job)["code"] == Code.INPUT_INVALID
    assert "has changed" in error(job)["message"]
    assert not any("jobs.create" in effect for effect in effects(harness))


MUTATIONS = ["datasets.create", "datasets.upload", "datasets.update", "jobs.create"]
READS = ["datasets.get", "jobs.get", "datasets.download"]
FAULTS: dict[str, Callable[[], Fault]] = {
    "refused for now": lambda: Fault("status", status=429, retry_after=0),
    "server fault": lambda: Fault("status", status=500),
    "lost before": lambda: Fault("lost_before"),
    "lost after": lambda: Fault("lost_after"),
    "token expired": lambda: Fault("expire"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", [*MUTATIONS, *READS])
def test_nothing_is_done_twice_whatever_goes_wrong(
    harness: SandboxHarness, operation: str, fault: str
) -> None:
    table = [["n", "name"], *([str(n), f"row {n}"] for n in range(1_500))]
    uri = harness.file(text_of(table), "in.csv")
    harness.state.faults[f"data8.{operation}"].append(FAULTS[fault]())

    job = harness.run(START, workflow="Echo", inputs={"In": {"file": uri}})

    assert output(job, "In") == table
    assert set(effects(harness).values()) == {1}
    assert not harness.state.faults[f"data8.{operation}"], "the fault has not struck"


@pytest.mark.parametrize("looks", [[404], [404, 500]])
@pytest.mark.parametrize(
    ("operation", "look"), [("datasets.create", "datasets.get"), ("jobs.create", "jobs.get")]
)
def test_a_request_that_arrives_late_is_recognised_in_its_refusal(
    harness: SandboxHarness, operation: str, look: str, looks: list[int]
) -> None:
    """The answer is lost, Data8 does not show the effect yet, and then refuses it as done before."""
    uri = harness.file("a\r\nx\r\n", "in.csv")
    faults = harness.state.faults
    faults[f"data8.{operation}"].append(Fault("lost_after"))
    faults[f"data8.{look}"].extend(Fault("status", status=status) for status in looks)

    job = harness.run(START, workflow="Echo", inputs={"In": {"file": uri}})

    assert output(job, "In") == [["a"], ["x"]]
    assert set(effects(harness).values()) == {1}
    assert not faults[f"data8.{look}"]


def test_a_failed_job_is_started_anew_under_another_name_by_a_retry(harness: SandboxHarness) -> None:
    uri = harness.file("a\r\nx\r\n", "in.csv")
    job = harness.run(START, workflow="AlwaysFails", inputs={"In": {"file": uri}})
    assert error(job)["code"] == Code.VENDOR_FAILED
    assert (error(job)["step"], error(job)["detail"], error(job)["retryable"]) == ("finish", "status 3", True)

    harness.arrive("job.retry", "again", job_id="job")
    harness.drive("again")

    assert error(harness.drive())["code"] == Code.VENDOR_FAILED
    first, second = job_name("job", 1), job_name("job", 2)
    dataset = dataset_name("job", "In")
    assert effects(harness) == {
        f"data8.datasets.create {dataset}": 1,
        f"data8.datasets.upload {dataset}/1": 1,
        f"data8.datasets.update {dataset}": 1,
        f"data8.jobs.create {first}": 1,
        f"data8.jobs.create {second}": 1,
    }


def test_what_data8_refuses_is_told_in_its_words(harness: SandboxHarness) -> None:
    uri = harness.file("a\r\nx\r\n", "in.csv")

    job = harness.run(START, workflow="Nothing of the kind", inputs={"In": {"file": uri}})

    assert (error(job)["code"], error(job)["vendor_status"]) == (Code.VENDOR_REJECTED, 400)
    assert "no workflow Nothing of the kind" in error(job)["detail"]


def test_a_name_that_another_job_has_is_not_taken_for_ours(harness: SandboxHarness) -> None:
    uri = harness.file("a\r\nx\r\n", "in.csv")
    assert (
        harness.run(START, "first", workflow="Echo", name="taken", inputs={"In": {"file": uri}}).error is None
    )

    job = harness.run(START, "second", workflow="Echo", name="taken", inputs={"In": {"file": uri}})

    assert error(job)["code"] == Code.VENDOR_REJECTED
    assert "another job has this name" in error(job)["detail"]


IDS = st.text("ABCabc019._:-", min_size=1, max_size=128)


@given(st.lists(st.text(min_size=1, max_size=100), min_size=1, max_size=20))
def test_any_headers_make_valid_and_different_columns(header: list[str]) -> None:
    names = column_names(header)

    assert len(set(names)) == len(header)
    assert all(NAME.fullmatch(name) for name in names)


@given(IDS, IDS, st.text(min_size=1), st.text(min_size=1))
def test_any_ids_and_slots_make_valid_and_different_datasets(a: str, b: str, slot: str, other: str) -> None:
    assert NAME.fullmatch(dataset_name(a, slot))
    assert (dataset_name(a, slot) == dataset_name(b, other)) is ((a, slot) == (b, other))


@given(IDS, IDS, st.integers(1, 30), st.integers(1, 30))
def test_any_ids_and_editions_make_valid_and_different_jobs(a: str, b: str, edition: int, other: int) -> None:
    assert not set(job_name(a, edition)) & set('/\\:*?"<>|')
    assert (job_name(a, edition) == job_name(b, other)) is ((a, edition) == (b, other))


@given(st.integers(-(2**70), 2**70))
def test_a_number_is_one_only_within_64_bits(number: int) -> None:
    assert (kind_of(str(number)) == kind_of("1")) is (-(2**63) <= number < 2**63)


@pytest.mark.parametrize(
    "cell", ["007", "+1", "-0", "1.0", "1e3", " 1", "1 ", "\u0661", "1_000", "0x1", "-", "--1", "1\n"]
)
def test_other_spellings_of_numbers_stay_text(cell: str) -> None:
    assert kind_of(cell) == kind_of("text")


@given(st.text() | st.integers(-(2**63), 2**63 - 1).map(str))
def test_what_goes_as_a_number_comes_back_as_it_was(cell: str) -> None:
    if kind_of(cell) == kind_of("1"):
        assert str(int(cell)) == cell


@pytest.mark.parametrize(
    ("spelled", "cell"),
    [
        ("null", ""),
        ('""', ""),
        ("true", "true"),
        ("7", "7"),
        ("1.10", "1.10"),
        ("0.0000001", "0.0000001"),
        ("1E+999999", "1E+999999"),
        ('"  x "', "  x "),
        ('{"a": ["é", 1.5]}', '{"a": ["é", 1.5]}'),
    ],
)
def test_how_a_value_becomes_a_cell(spelled: str, cell: str) -> None:

    assert cell_of(json.loads(spelled, parse_float=Decimal)) == cell
