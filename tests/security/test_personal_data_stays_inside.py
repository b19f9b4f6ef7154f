"""Contents of records are only in files and at the vendor: in no log line, event, error or row of the ledger.

The ledger holds only the data of commands themselves.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from messages.envelope import InvalidCommand
from sandbox import Sandbox
from sandbox.core import Fault
from tests.security.conftest import Installation

#: A person's name that no company has.
PERSON = "Zyxwv Personmark"
GOOD = f"name,country\n{PERSON},GB\n{PERSON} the second,DE\n"

Command = tuple[str, dict[str, Any]]


def commands(path: str) -> list[Command]:
    """Return every command that reads a file."""
    return [
        ("creditsafe.import_file", {"file": path, "portfolio": {"name": "Clients"}}),
        ("data8.start_job", {"workflow": "Echo", "inputs": {"Companies": {"file": path}}}),
        ("data8.upload_dataset", {"file": path}),
        ("sayari.resolve_entities", {"file": path}),
    ]


def run(installation: Installation, batch: list[Command]) -> dict[str, str]:
    """Run the commands; return statuses or error codes by command."""
    installation.start()
    for number, (type_, data) in enumerate(batch):
        installation.submit(f"job-{number}", type_, data)
    ended = [installation.ended(f"job-{number}") for number in range(len(batch))]
    return {job.command: str(job.error["code"]) if job.error else str(job.status) for job in ended}


def assert_contents_stay_inside(installation: Installation, *tables: str) -> None:
    """Assert that log and ledger contain no record, except that an error's `detail` may quote the invalid cell."""
    rows = re.sub(r'"the value there is (?:[^"\\]|\\.)*"', "", installation.rows(*tables))
    for place in (installation.log(), rows):
        assert "personmark" not in place.lower()
    # the log has lines to search
    assert "vendor call" in installation.log() or "failed" in installation.log()


def test_file_contents_stay_inside_when_jobs_complete_despite_faults(
    installation: Installation, marked_sandbox: Sandbox
) -> None:
    """The jobs complete despite server faults and lost responses."""
    for operation in (
        "data8.datasets.data.upload",
        "creditsafe.records.import_file",
        "sayari.projects.resolutions.upload",
    ):
        marked_sandbox.state.faults[operation] += [Fault("status", status=503), Fault("lost_before")]
    (installation.folder / "clients.csv").write_text(GOOD)
    outcomes = run(installation, commands(str(installation.folder / "clients.csv")))
    assert outcomes == dict.fromkeys(outcomes, "completed")
    assert_contents_stay_inside(installation)
    results = [path for path in (installation.folder / "results").rglob("*") if path.is_file()]
    assert any(PERSON in path.read_text() for path in results)


#: Files with invalid cells, rows or encodings.
INVALID_FILES = {
    "too many cells": f"name,countryCode\n{PERSON},GB,one cell too many\n".encode(),
    "too few": f"name,countryCode\n{PERSON},GB\n{PERSON}\n".encode(),
    "open quote": f'name,countryCode\n"{PERSON},GB\n'.encode(),
    "no such country": f"name,countryCode\n{PERSON},Nowhere-{PERSON}\n".encode(),
    "header twice": f"name,name\n{PERSON},GB\n".encode(),
    "utf-16": GOOD.replace("second", "größte").encode("utf-16"),
    "latin-1": GOOD.replace("second", "größte").encode("latin-1"),
}


def test_file_contents_stay_inside_when_files_are_invalid(installation: Installation) -> None:
    batch: list[Command] = []
    for name, content in INVALID_FILES.items():
        (installation.folder / f"{name}.csv").write_bytes(content)
        batch += commands(str(installation.folder / f"{name}.csv"))
    run(installation, batch)
    assert "input_invalid" in installation.rows("event")
    assert_contents_stay_inside(installation)


def test_rejected_rows_are_only_in_the_list_of_rejects_when_not_strict(installation: Installation) -> None:
    """The rows are in the list of rejects and nowhere else."""
    (installation.folder / "clients.csv").write_text(f'{GOOD}"{PERSON}"x,GB\n{PERSON}\n')
    outcomes = run(
        installation,
        [
            (type_, data | {"strict": False})
            for type_, data in commands(str(installation.folder / "clients.csv"))
        ],
    )
    assert outcomes == dict.fromkeys(outcomes, "completed")
    assert_contents_stay_inside(installation)
    lists = list((installation.folder / "results").rglob("rejects*.csv"))
    assert len(lists) == len(outcomes)
    assert all(PERSON in path.read_text() for path in lists)


def test_file_contents_stay_inside_when_a_vendor_repeats_them_in_unreadable_answers(
    installation: Installation, marked_sandbox: Sandbox
) -> None:
    """The error does not quote a response that cannot be read."""
    (installation.folder / "clients.csv").write_text(GOOD)
    for operation in ("data8.jobs.create", "sayari.projects.create", "creditsafe.portfolios.create"):
        body = json.dumps([{"record": PERSON}])
        marked_sandbox.state.faults[operation] += [
            Fault("status", status=200, body=body),
            Fault("status", status=500, body=f"<html>{PERSON}</html>"),
            Fault("status", status=400, body=body),
        ]
    run(installation, commands(str(installation.folder / "clients.csv")))
    assert_contents_stay_inside(installation)


def test_entities_are_only_in_the_jobs_data_when_a_command_contains_them(installation: Installation) -> None:
    outcomes = run(installation, [("sayari.resolve_entities", {"entities": [{"name": [PERSON]}]})])
    assert outcomes["sayari.resolve_entities"] == "completed"
    assert_contents_stay_inside(installation, "step", "event")
    assert PERSON in installation.rows("job")


def test_rejection_repeats_no_values_when_a_command_is_invalid(installation: Installation) -> None:
    invalid_data: list[dict[str, Any]] = [
        {"entities": [{"name": PERSON}]},
        {"entities": [{PERSON: "x"}]},
        {"file": "x", "entities": [PERSON]},
    ]
    for number, data in enumerate(invalid_data):
        with pytest.raises(InvalidCommand) as rejection:
            installation.submit(f"wrong-{number}", "sayari.resolve_entities", data)
        assert rejection.value.details
    assert len(installation.ledger.queries.events()) == 3
    assert f"{PERSON}," not in installation.rows()
