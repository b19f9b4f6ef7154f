"""`sayari.resolve_entities` against the simulator, turn by turn, with things going wrong in between."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import NotFound
from clients.sayari import UploadEntity, token_pages
from messages.errors import Code
from messages.events import Status
from sandbox.core import Fault
from tests.support.sandbox_harness import SandboxHarness, completed, content
from tests.support.turn_harness import LIMITS
from workers.jobs.sayari.files import SkipPrefix, moment
from workers.ledger.records import Job

UPLOAD = "sayari.projects.resolutions.upload"
TABLE = "name,name,country,uk_company_number\r\nTesco,,GBR,00445790\r\nNobody,,,\r\nNestlé S.A.,Nestle,CHE,\r\nTesco,,GBR,00445790\r\n"


def resolve(harness: SandboxHarness, id: str = "job", **data: Any) -> Job:
    return harness.run("sayari.resolve_entities", id, **data)


def arrive(harness: SandboxHarness, **data: Any) -> Job:
    return harness.arrive("sayari.resolve_entities", **data)


def effects(harness: SandboxHarness) -> dict[str, int]:
    return {operation: count for (operation, _), count in harness.state.effects.items()}


def projects(harness: SandboxHarness) -> list[str]:
    pages = token_pages(harness.sayari.projects.list)
    return [listed.project.label for page in pages for listed in page.data]


def lists(job: Job) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The objects of both files, once what is said of the files is checked."""
    read = []
    for name in ("resolved", "unresolved"):
        file = completed(job)[name]
        written = content(file)
        objects = [json.loads(line) for line in written.split(b"\n")[:-1]]
        assert file["uri"].endswith(f"/{name}.jsonl")
        assert file["media_type"] == "application/x-ndjson"
        assert (file["records"], file["bytes"]) == (len(objects), len(written))
        assert file["sha256"] == hashlib.sha256(written).hexdigest()
        read.append(objects)
    assert completed(job)["uploaded"] == len(read[0]) + len(read[1])
    return read[0], read[1]


def error(job: Job) -> dict[str, Any]:
    assert job.status is Status.FAILED, job.result
    assert job.error is not None
    return job.error


def test_a_file_is_resolved(harness: SandboxHarness) -> None:
    job = resolve(harness, "batch:1", file=harness.file(TABLE))

    resolved, unresolved = lists(job)
    assert sorted(entity["attributes"]["name"][0] for entity in resolved) == ["Nestlé S.A.", "Tesco", "Tesco"]
    assert [entity["attributes"] for entity in unresolved] == [{"name": ["Nobody"]}]
    assert len({entity["id"] for entity in resolved + unresolved}) == 4
    assert projects(harness) == ["Resolution [kyb:batch:1]"]
    assert effects(harness) == {"sayari.projects.create": 1, UPLOAD: 1}


def test_objects_are_as_the_vendor_gave_them(harness: SandboxHarness) -> None:
    job = resolve(harness, file=harness.file(TABLE))
    given = [e.given for e in harness.sayari.projects.resolutions.resolved(completed(job)["project_id"]).data]
    lines = content(completed(job)["resolved"]).decode().splitlines()
    assert lines == [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in given]


def test_entities_are_resolved(harness: SandboxHarness) -> None:
    entities = [
        {"name": ["Tesco"], "country": ["GBR"]},
        {"identifier": [{"type": "ru_inn", "value": "7736050003"}, {"value": "x"}]},
        {"name": ["Nobody"], "date_of_birth": ["1990-08"]},
    ]
    resolved, unresolved = lists(resolve(harness, entities=entities, project={"label": "Batch 7"}))
    assert (len(resolved), len(unresolved)) == (2, 1)
    assert projects(harness) == ["Batch 7 [kyb:job]"]


@pytest.mark.parametrize("rows", [1, 100, 101, 250])
def test_lists_are_fetched_to_their_end(harness: SandboxHarness, rows: int) -> None:
    harness.limit(replace(LIMITS, time_slice=0))
    text = "name\n" + "".join("Tesco\n" if n % 2 else f"Nobody {n}\n" for n in range(rows))
    resolved, unresolved = lists(resolve(harness, file=harness.file(text)))
    assert (len(resolved), len(unresolved)) == (rows // 2, rows - rows // 2)
    assert len({entity["id"] for entity in resolved + unresolved}) == rows


def test_the_job_waits_for_the_last_entity(harness: SandboxHarness) -> None:
    start = now = harness.state.clock()
    harness.state.job_seconds = 100.0
    harness.state.clock = lambda: now
    arrive(harness, file=harness.file(TABLE))
    harness.turn()
    now = start + 50
    assert harness.turn().status is Status.RUNNING
    assert "resolve" in harness.ledger.queries.events(job_id="job")[-1].body
    now = start + 100
    resolved, unresolved = lists(harness.drive())
    assert (len(resolved), len(unresolved)) == (3, 1)


def test_the_project_is_deleted_if_asked(harness: SandboxHarness) -> None:
    job = resolve(harness, file=harness.file(TABLE), delete_project=True)
    assert lists(job)
    with pytest.raises(NotFound):
        harness.sayari.projects.get(completed(job)["project_id"])


@pytest.mark.parametrize("operation", ["projects.create", "projects.resolutions.upload", "projects.delete"])
@pytest.mark.parametrize("kind", ["lost_after", "lost_before", "status"])
def test_no_effect_is_done_twice(harness: SandboxHarness, operation: str, kind: str) -> None:
    harness.state.faults[f"sayari.{operation}"].append(Fault(kind))
    lists(resolve(harness, file=harness.file(TABLE), delete_project=True))
    assert effects(harness) == {"sayari.projects.create": 1, UPLOAD: 1, "sayari.projects.delete": 1}


@pytest.mark.parametrize("operation", ["progress", "resolved", "unresolved"])
def test_questions_are_asked_again(harness: SandboxHarness, operation: str) -> None:
    faults = harness.state.faults[f"sayari.projects.resolutions.{operation}"]
    faults.extend([Fault("lost_after"), Fault("status", status=503), Fault("expire")])
    resolved, unresolved = lists(resolve(harness, file=harness.file(TABLE)))
    assert (len(resolved), len(unresolved)) == (3, 1)


def existing(harness: SandboxHarness) -> str:
    project = harness.sayari.projects.create("Mine").id
    entities = [UploadEntity(name=["Tesco"]), UploadEntity(name=["Somebody"]), UploadEntity(name=["Shell"])]
    harness.sayari.projects.resolutions.upload(project, entities=entities)
    return project


def test_an_existing_project_gives_only_what_is_new(harness: SandboxHarness) -> None:
    project = existing(harness)
    job = resolve(harness, file=harness.file(TABLE), project={"id": project})
    resolved, unresolved = lists(job)
    assert (len(resolved), len(unresolved)) == (3, 1)
    assert completed(job)["project_id"] == project
    assert effects(harness)["sayari.projects.create"] == 1


def test_an_existing_project_is_left_to_end_what_it_does(harness: SandboxHarness) -> None:
    start = now = harness.state.clock()
    harness.state.clock = lambda: now
    harness.state.job_seconds = 50.0
    project = existing(harness)
    arrive(harness, file=harness.file(TABLE), project={"id": project})
    assert harness.turn().status is Status.RUNNING
    assert harness.state.effects[UPLOAD, project] == 1
    now = start + 60
    harness.state.job_seconds = 0.0
    resolved, unresolved = lists(harness.drive())
    assert (len(resolved), len(unresolved)) == (3, 1)


@pytest.mark.parametrize("kind", ["lost_after", "lost_before"])
def test_an_upload_to_an_existing_project_is_found_by_its_growth(harness: SandboxHarness, kind: str) -> None:
    project = existing(harness)
    harness.state.faults[UPLOAD].append(Fault(kind))
    resolved, unresolved = lists(resolve(harness, file=harness.file(TABLE), project={"id": project}))
    assert (len(resolved), len(unresolved)) == (3, 1)
    assert harness.state.effects[UPLOAD, project] == 2


def test_an_upload_that_cannot_be_told_from_anothers_is_not_repeated(harness: SandboxHarness) -> None:
    project = existing(harness)
    harness.state.faults[UPLOAD].append(Fault("lost_before"))
    arrive(harness, file=harness.file(TABLE), project={"id": project})
    while harness.state.calls[UPLOAD] < 2:
        harness.turn()
    harness.sayari.projects.resolutions.upload(project, csv=b"name\nTesco\n")
    assert error(harness.drive())["code"] == Code.OUTCOME_UNKNOWN


def test_others_in_the_same_project_are_noticed(harness: SandboxHarness) -> None:
    project = existing(harness)
    arrive(harness, file=harness.file(TABLE), project={"id": project})
    while harness.state.calls[UPLOAD] < 2:
        harness.turn()
    harness.sayari.projects.resolutions.upload(project, csv=b"name\nTesco\n")
    failed = error(harness.drive())
    assert failed["code"] == Code.VENDOR_FAILED
    assert "holds 5 resolved and unresolved entities of 4" in failed["message"]


def test_a_project_that_is_not_there(harness: SandboxHarness) -> None:
    failed = error(resolve(harness, file=harness.file(TABLE), project={"id": "nobody"}))
    assert (failed["code"], failed["vendor_status"]) == (Code.VENDOR_REJECTED, 404)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,Country\nTesco,GBR\n", "companies.csv, line 1, column 2: 'Country' is not an attribute"),
        ("Tesco,GBR\n", "companies.csv, line 1, column 1: this is not the name of an attribute"),
        ("name,country\nTesco,GBR\n,\n", "companies.csv, line 3: every cell is empty"),
        ("name,country\nTesco\n", "companies.csv, line 2, column 2: "),
        ("name\n", "companies.csv holds no entities"),
        ("", "companies.csv, line 1: "),
        (b"name\n\xc3\xa9\n\xff\n", "companies.csv, line 3, column 1: "),
    ],
)
def test_a_bad_file_leaves_nothing_at_the_vendor(
    harness: SandboxHarness, text: str | bytes, words: str
) -> None:
    failed = error(resolve(harness, file=harness.file(text)))
    assert failed["code"] == Code.INPUT_INVALID
    assert failed["message"].startswith(words)
    assert effects(harness) == {}


def test_a_header_that_only_the_vendor_refuses(harness: SandboxHarness) -> None:
    harness.state.faults[UPLOAD].append(Fault("status", status=406))
    failed = error(resolve(harness, file=harness.file("name,xx_no_such_number\nTesco,1\n")))
    assert (failed["code"], failed["detail"]) == (Code.INPUT_INVALID, "fault on demand")


def test_a_byte_order_mark_is_not_sent(harness: SandboxHarness) -> None:
    resolved, unresolved = lists(resolve(harness, file=harness.file(f"\ufeff{TABLE}")))
    assert (len(resolved), len(unresolved)) == (3, 1)


def test_a_file_that_changes_meanwhile(harness: SandboxHarness) -> None:
    harness.state.faults["sayari.projects.create"].append(Fault("lost_before"))
    arrive(harness, file=harness.file(TABLE))
    harness.file(f"{TABLE}More\r\n")
    failed = error(harness.drive())
    assert (failed["code"], UPLOAD in effects(harness)) == (Code.INPUT_INVALID, False)


def test_a_lost_result_is_written_again(harness: SandboxHarness) -> None:
    harness.limit(replace(LIMITS, time_slice=0))
    arrive(harness, file=harness.file("name\n" + "Tesco\n" * 250))
    while not (parts := list(harness.folder.glob("results/job/resolved.jsonl.part"))):
        harness.turn()
    parts[0].unlink()
    resolved, _ = lists(harness.drive())
    assert len({entity["id"] for entity in resolved}) == 250


@given(
    st.binary(max_size=50), st.integers(0, 3), st.lists(st.tuples(st.integers(0, 60), st.integers(-1, 60)))
)
def test_a_stream_without_its_beginning(content: bytes, start: int, reads: list[tuple[int, int]]) -> None:
    start = min(start, len(content))
    cut = io.BufferedReader(SkipPrefix(io.BytesIO(content), start))
    plain = io.BytesIO(content[start:])
    for place, count in [(0, -1), *reads]:
        assert (cut.seek(place), cut.read(count), cut.tell()) == (
            plain.seek(place),
            plain.read(count),
            plain.tell(),
        )
    assert cut.seek(0, io.SEEK_END) == len(content) - start


@given(st.text())
def test_any_text_may_stand_for_a_time(text: str) -> None:
    found = moment(text)
    assert found is None or found.tzinfo is not None


def test_times_as_the_vendor_writes_them() -> None:
    times = [
        moment(text)
        for text in ("2022-03-08 16:55:28.179+00", "2022-02-28 16:22:25.28231+00", "2021-05-19T04:00:00.000Z")
    ]
    assert None not in times
    assert moment(None) is None
