"""`data8.upload_dataset`, `download_dataset` and `delete_dataset` against the simulator, turn by turn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from messages.errors import Code
from sandbox.core import Fault
from tests.support.sandbox_harness import SandboxHarness, completed, content, failure
from tests.support.turn_harness import LIMITS
from workers.errors import Reject
from workers.jobs.data8.dataset_upload import dataset_name

TABLE = 'Account No.,Owner,Priority,Note\r\n007,Nestlé S.A.,1,"two\r\nlines"\r\n12,,-5,\r\n13,トヨタ,,x\r\n'
FAULTS = {
    "refused for now": Fault("status", status=429, retry_after=0),
    "lost before": Fault("lost_before"),
    "lost after": Fault("lost_after"),
}


def output_of(harness: SandboxHarness, rows: int = 3) -> str:
    """The name of an output dataset of a job that has ended."""
    uri = harness.file("n,name\r\n" + "".join(f'{n},"row, {n}"\r\n' for n in range(rows)))
    result = completed(harness.run("data8.start_job", "maker", workflow="Echo", inputs={"In": {"file": uri}}))
    harness.state.effects.clear()
    return harness.data8.jobs.get(result["job_name"]).output_datasets["In"]


def test_a_file_becomes_a_completed_dataset_of_declared_and_found_types(harness: SandboxHarness) -> None:
    job = harness.run(
        "data8.upload_dataset",
        file=harness.file(TABLE),
        name="accounts",
        columns={"Account No.": "text", "Priority": "whole_number"},
    )

    assert completed(job) == {
        "dataset": "accounts",
        "records": 3,
        "columns": {"account_no": "text", "owner": "text", "priority": "whole_number", "note": "text"},
        "rejects": None,
    }
    dataset = harness.data8.datasets.get("accounts")
    assert (dataset.completed, dataset.record_count) == (True, 3)
    assert dataset.columns == {"account_no": 0, "owner": 0, "priority": 1, "note": 0}
    used = harness.run("data8.start_job", "use", workflow="Echo", inputs={"In": {"dataset": "accounts"}})
    table = content(completed(used)["outputs"]["In"]).decode()
    assert table.partition("\r\n") == ("account_no,owner,priority,note", "\r\n", TABLE.partition("\r\n")[2])


def test_without_a_name_a_dataset_is_called_after_its_job(harness: SandboxHarness) -> None:
    job = harness.run("data8.upload_dataset", "A:1", file=harness.file("a\r\n7\r\n"))

    assert completed(job)["dataset"] == dataset_name("A:1", "")
    assert completed(job)["columns"] == {"a": "whole_number"}


@pytest.mark.parametrize(
    ("columns", "place"),
    [
        ({"Account No.": "whole_number"}, "companies.csv, line 2, column 1: no whole number"),
        ({"Owner": "whole_number"}, "companies.csv, line 2, column 2: no whole number"),
        ({"Note": "whole_number"}, "companies.csv, line 2, column 4: no whole number"),
        ({"Owner": "text", "owner": "text"}, "companies.csv, line 1: the header has no column 'owner'"),
    ],
)
def test_what_does_not_fit_the_declared_types_is_named_and_leaves_nothing_at_data8(
    harness: SandboxHarness, columns: dict[str, str], place: str
) -> None:
    job = harness.run("data8.upload_dataset", file=harness.file(TABLE), columns=columns)

    assert failure(job, Code.INPUT_INVALID).startswith(place)
    assert not harness.state.effects


def test_a_wrong_cell_far_down_is_found_where_it_is(harness: SandboxHarness) -> None:
    rows = ['"a\nb",1', *(f"x,{n}" for n in range(2_500)), 'y,"\n"', "z,1"]
    uri = harness.file("t,n\n" + "\n".join(rows))
    harness.limit(replace(LIMITS, time_slice=0))

    job = harness.run("data8.upload_dataset", file=uri, columns={"n": "whole_number"})

    assert failure(job, Code.INPUT_INVALID).startswith("companies.csv, line 2504, column 2: ")


def test_a_name_that_another_dataset_has_or_had_is_refused(harness: SandboxHarness) -> None:
    uri = harness.file("a\r\nx\r\n")
    completed(harness.run("data8.upload_dataset", "first", file=uri, name="taken"))

    failure(harness.run("data8.upload_dataset", "second", file=uri, name="taken"), Code.VENDOR_REJECTED)
    completed(harness.run("data8.delete_dataset", "gone", dataset="taken"))
    failure(harness.run("data8.upload_dataset", "third", file=uri, name="taken"), Code.VENDOR_REJECTED)


@pytest.mark.parametrize("rows", [1, 2_001])
def test_an_output_dataset_becomes_a_file(harness: SandboxHarness, rows: int) -> None:
    name = output_of(harness, rows)
    harness.limit(replace(LIMITS, time_slice=0))

    result = completed(harness.run("data8.download_dataset", dataset=name))

    file = result["records"]
    assert (result["dataset"], file["records"], file["media_type"]) == (name, rows, "text/csv")
    assert file["uri"].endswith(f"/job/{name}.csv")
    assert content(file) == (harness.folder / "companies.csv").read_bytes()


def test_tables_come_in_the_format_asked_for(harness: SandboxHarness) -> None:
    name = output_of(harness)

    lines = completed(harness.run("data8.download_dataset", dataset=name, format="jsonl"))["records"]
    assert content(lines).splitlines()[1] == b'{"n": "1", "name": "row, 1"}'
    assert (lines["records"], lines["media_type"]) == (3, "application/x-ndjson")

    inputs = {"In": {"file": harness.file(TABLE)}}
    job = harness.run("data8.start_job", "cleanse", workflow="Echo", inputs=inputs, format="parquet")
    table = completed(job)["outputs"]["In"]
    assert (table["records"], content(table)[:4]) == (3, b"PAR1")
    assert table["uri"].endswith("/cleanse/In.parquet")


def test_a_field_left_out_is_its_default(harness: SandboxHarness) -> None:
    """So a command that was sent before a version that has the field is the same job after it."""
    job = harness.run("data8.download_dataset", dataset=output_of(harness))

    assert harness.arrive("data8.download_dataset", dataset=job.data["dataset"], format="csv") == job
    with pytest.raises(Reject, match="id_conflict"):
        harness.arrive("data8.download_dataset", dataset=job.data["dataset"], format="jsonl")


def test_a_dataset_that_a_job_still_fills_is_waited_for(harness: SandboxHarness) -> None:
    now = 1_767_323_045.0
    harness.state.clock = lambda: now
    harness.state.job_seconds = 100
    harness.arrive(
        "data8.start_job", "maker", workflow="Echo", inputs={"In": {"file": harness.file("a\r\nx\r\n")}}
    )
    [running] = harness.data8.jobs.list()
    name = harness.data8.jobs.get(running.name).output_datasets["In"]
    harness.arrive("data8.download_dataset", dataset=name)
    for _ in range(3):
        assert not harness.turn().status.ended
    now += 200

    assert content(completed(harness.drive())["records"]) == b"a\r\nx\r\n"


def test_an_input_dataset_cannot_be_downloaded_in_data8s_words(harness: SandboxHarness) -> None:
    completed(harness.run("data8.upload_dataset", "up", file=harness.file("a\r\nx\r\n"), name="mine"))

    job = harness.run("data8.download_dataset", dataset="mine")

    failure(job, Code.VENDOR_REJECTED)
    assert job.error is not None
    assert "not a completed output dataset" in job.error["detail"]


def test_a_dataset_that_is_not_there_is_an_error_to_download_and_none_to_delete(
    harness: SandboxHarness,
) -> None:
    failure(harness.run("data8.download_dataset", "down", dataset="nothing"), Code.VENDOR_REJECTED)

    assert completed(harness.run("data8.delete_dataset", dataset="nothing")) == {"dataset": "nothing"}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_done_twice_whatever_goes_wrong(harness: SandboxHarness, fault: str) -> None:
    name = output_of(harness)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("data8.upload_dataset", {"file": harness.file(TABLE), "name": "accounts"}),
        ("data8.download_dataset", {"dataset": name}),
        ("data8.delete_dataset", {"dataset": name}),
    ]
    operations = ["create", "upload", "update", "get", "download", "delete"]
    for operation in operations:
        harness.fault(f"data8.datasets.{operation}", replace(FAULTS[fault]))

    for type_, data in calls:
        completed(harness.run(type_, type_, **data))

    assert set(harness.state.effects.values()) == {1}
    assert {operation for (operation, _) in harness.state.effects} == {
        f"data8.datasets.{operation}" for operation in ("create", "upload", "update", "delete")
    }
    assert not any(harness.state.faults[f"data8.datasets.{operation}"] for operation in operations)


def test_rows_that_do_not_fit_are_left_out_and_listed_where_that_is_asked_for(
    harness: SandboxHarness,
) -> None:
    file = harness.file("name,age\nAda,36\nBob,old\nÉva,41\n", "people.csv")
    job = harness.run("data8.upload_dataset", file=file, columns={"age": "whole_number"}, strict=False)
    result = completed(job)
    assert result["records"] == 2
    assert (result["rejects"]["media_type"], result["rejects"]["records"]) == ("text/csv", 1)
    assert content(result["rejects"]).decode().splitlines()[1].startswith("3,2,no whole number")
