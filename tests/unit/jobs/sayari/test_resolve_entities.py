"""`sayari.resolve_entities` against the stand-in, turn by turn, with things going wrong in between."""

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
from tests.support.sandbox_harness import LIMITS, Desk, completed, content
from workers.jobs.sayari.files import Behind, moment
from workers.ledger.records import Job

UPLOAD = "sayari.projects.resolutions.upload"
TABLE = "name,name,country,uk_company_number\r\nTesco,,GBR,00445790\r\nNobody,,,\r\nNestlé S.A.,Nestle,CHE,\r\nTesco,,GBR,00445790\r\n"


def resolve(desk: Desk, id: str = "job", **data: Any) -> Job:
    return desk.run("sayari.resolve_entities", id, **data)


def arrive(desk: Desk, **data: Any) -> Job:
    return desk.arrive("sayari.resolve_entities", **data)


def effects(desk: Desk) -> dict[str, int]:
    return {operation: count for (operation, _), count in desk.world.effects.items()}


def projects(desk: Desk) -> list[str]:
    pages = token_pages(desk.sayari.projects.list)
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


def test_a_file_is_resolved(desk: Desk) -> None:
    job = resolve(desk, "batch:1", file=desk.file(TABLE))

    resolved, unresolved = lists(job)
    assert sorted(entity["attributes"]["name"][0] for entity in resolved) == ["Nestlé S.A.", "Tesco", "Tesco"]
    assert [entity["attributes"] for entity in unresolved] == [{"name": ["Nobody"]}]
    assert len({entity["id"] for entity in resolved + unresolved}) == 4
    assert projects(desk) == ["Resolution [kyb:batch:1]"]
    assert effects(desk) == {"sayari.projects.create": 1, UPLOAD: 1}


def test_objects_are_as_the_vendor_gave_them(desk: Desk) -> None:
    job = resolve(desk, file=desk.file(TABLE))
    given = [e.given for e in desk.sayari.projects.resolutions.resolved(completed(job)["project_id"]).data]
    lines = content(completed(job)["resolved"]).decode().splitlines()
    assert lines == [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in given]


def test_entities_are_resolved(desk: Desk) -> None:
    entities = [
        {"name": ["Tesco"], "country": ["GBR"]},
        {"identifier": [{"type": "ru_inn", "value": "7736050003"}, {"value": "x"}]},
        {"name": ["Nobody"], "date_of_birth": ["1990-08"]},
    ]
    resolved, unresolved = lists(resolve(desk, entities=entities, project={"label": "Batch 7"}))
    assert (len(resolved), len(unresolved)) == (2, 1)
    assert projects(desk) == ["Batch 7 [kyb:job]"]


@pytest.mark.parametrize("rows", [1, 100, 101, 250])
def test_lists_are_fetched_to_their_end(desk: Desk, rows: int) -> None:
    desk.limit(replace(LIMITS, slice=0))
    text = "name\n" + "".join("Tesco\n" if n % 2 else f"Nobody {n}\n" for n in range(rows))
    resolved, unresolved = lists(resolve(desk, file=desk.file(text)))
    assert (len(resolved), len(unresolved)) == (rows // 2, rows - rows // 2)
    assert len({entity["id"] for entity in resolved + unresolved}) == rows


def test_the_job_waits_for_the_last_entity(desk: Desk) -> None:
    start = now = desk.world.clock()
    desk.world.job_seconds = 100.0
    desk.world.clock = lambda: now
    arrive(desk, file=desk.file(TABLE))
    desk.turn()
    now = start + 50
    assert desk.turn().status is Status.RUNNING
    assert "resolve" in desk.ledger.events(job_id="job")[-1].body
    now = start + 100
    resolved, unresolved = lists(desk.drive())
    assert (len(resolved), len(unresolved)) == (3, 1)


def test_the_project_is_deleted_if_asked(desk: Desk) -> None:
    job = resolve(desk, file=desk.file(TABLE), delete_project=True)
    assert lists(job)
    with pytest.raises(NotFound):
        desk.sayari.projects.get(completed(job)["project_id"])


@pytest.mark.parametrize("operation", ["projects.create", "projects.resolutions.upload", "projects.delete"])
@pytest.mark.parametrize("kind", ["lost_after", "lost_before", "status"])
def test_no_effect_is_done_twice(desk: Desk, operation: str, kind: str) -> None:
    desk.world.faults[f"sayari.{operation}"].append(Fault(kind))
    lists(resolve(desk, file=desk.file(TABLE), delete_project=True))
    assert effects(desk) == {"sayari.projects.create": 1, UPLOAD: 1, "sayari.projects.delete": 1}


@pytest.mark.parametrize("operation", ["progress", "resolved", "unresolved"])
def test_questions_are_asked_again(desk: Desk, operation: str) -> None:
    faults = desk.world.faults[f"sayari.projects.resolutions.{operation}"]
    faults.extend([Fault("lost_after"), Fault("status", status=503), Fault("expire")])
    resolved, unresolved = lists(resolve(desk, file=desk.file(TABLE)))
    assert (len(resolved), len(unresolved)) == (3, 1)


def existing(desk: Desk) -> str:
    project = desk.sayari.projects.create("Mine").id
    entities = [UploadEntity(name=["Tesco"]), UploadEntity(name=["Somebody"]), UploadEntity(name=["Shell"])]
    desk.sayari.projects.resolutions.upload(project, entities=entities)
    return project


def test_an_existing_project_gives_only_what_is_new(desk: Desk) -> None:
    project = existing(desk)
    job = resolve(desk, file=desk.file(TABLE), project={"id": project})
    resolved, unresolved = lists(job)
    assert (len(resolved), len(unresolved)) == (3, 1)
    assert completed(job)["project_id"] == project
    assert effects(desk)["sayari.projects.create"] == 1


def test_an_existing_project_is_left_to_end_what_it_does(desk: Desk) -> None:
    start = now = desk.world.clock()
    desk.world.clock = lambda: now
    desk.world.job_seconds = 50.0
    project = existing(desk)
    arrive(desk, file=desk.file(TABLE), project={"id": project})
    assert desk.turn().status is Status.RUNNING
    assert desk.world.effects[UPLOAD, project] == 1
    now = start + 60
    desk.world.job_seconds = 0.0
    resolved, unresolved = lists(desk.drive())
    assert (len(resolved), len(unresolved)) == (3, 1)


@pytest.mark.parametrize("kind", ["lost_after", "lost_before"])
def test_an_upload_to_an_existing_project_is_found_by_its_growth(desk: Desk, kind: str) -> None:
    project = existing(desk)
    desk.world.faults[UPLOAD].append(Fault(kind))
    resolved, unresolved = lists(resolve(desk, file=desk.file(TABLE), project={"id": project}))
    assert (len(resolved), len(unresolved)) == (3, 1)
    assert desk.world.effects[UPLOAD, project] == 2


def test_an_upload_that_cannot_be_told_from_anothers_is_not_repeated(desk: Desk) -> None:
    project = existing(desk)
    desk.world.faults[UPLOAD].append(Fault("lost_before"))
    arrive(desk, file=desk.file(TABLE), project={"id": project})
    while desk.world.calls[UPLOAD] < 2:
        desk.turn()
    desk.sayari.projects.resolutions.upload(project, csv=b"name\nTesco\n")
    assert error(desk.drive())["code"] == Code.OUTCOME_UNKNOWN


def test_others_in_the_same_project_are_noticed(desk: Desk) -> None:
    project = existing(desk)
    arrive(desk, file=desk.file(TABLE), project={"id": project})
    while desk.world.calls[UPLOAD] < 2:
        desk.turn()
    desk.sayari.projects.resolutions.upload(project, csv=b"name\nTesco\n")
    failed = error(desk.drive())
    assert failed["code"] == Code.VENDOR_FAILED
    assert "holds 5 resolved and unresolved entities of 4" in failed["message"]


def test_a_project_that_is_not_there(desk: Desk) -> None:
    failed = error(resolve(desk, file=desk.file(TABLE), project={"id": "nobody"}))
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
def test_a_bad_file_leaves_nothing_at_the_vendor(desk: Desk, text: str | bytes, words: str) -> None:
    failed = error(resolve(desk, file=desk.file(text)))
    assert failed["code"] == Code.INPUT_INVALID
    assert failed["message"].startswith(words)
    assert effects(desk) == {}


def test_a_header_that_only_the_vendor_refuses(desk: Desk) -> None:
    desk.world.faults[UPLOAD].append(Fault("status", status=406))
    failed = error(resolve(desk, file=desk.file("name,xx_no_such_number\nTesco,1\n")))
    assert (failed["code"], failed["detail"]) == (Code.INPUT_INVALID, "fault on demand")


def test_a_byte_order_mark_is_not_sent(desk: Desk) -> None:
    resolved, unresolved = lists(resolve(desk, file=desk.file(f"\ufeff{TABLE}")))
    assert (len(resolved), len(unresolved)) == (3, 1)


def test_a_file_that_changes_meanwhile(desk: Desk) -> None:
    desk.world.faults["sayari.projects.create"].append(Fault("lost_before"))
    arrive(desk, file=desk.file(TABLE))
    desk.file(f"{TABLE}More\r\n")
    failed = error(desk.drive())
    assert (failed["code"], UPLOAD in effects(desk)) == (Code.INPUT_INVALID, False)


def test_a_lost_result_is_written_again(desk: Desk) -> None:
    desk.limit(replace(LIMITS, slice=0))
    arrive(desk, file=desk.file("name\n" + "Tesco\n" * 250))
    while not (parts := list(desk.folder.glob("results/job/resolved.jsonl.part"))):
        desk.turn()
    parts[0].unlink()
    resolved, _ = lists(desk.drive())
    assert len({entity["id"] for entity in resolved}) == 250


@given(
    st.binary(max_size=50), st.integers(0, 3), st.lists(st.tuples(st.integers(0, 60), st.integers(-1, 60)))
)
def test_a_stream_without_its_beginning(content: bytes, start: int, reads: list[tuple[int, int]]) -> None:
    start = min(start, len(content))
    cut = io.BufferedReader(Behind(io.BytesIO(content), start))
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
