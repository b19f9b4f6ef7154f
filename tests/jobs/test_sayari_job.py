"""`sayari.resolve_entities` against the stand-in, turn by turn, with things going wrong in between."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.errors import NotFound
from clients.sayari import Sayari, UploadEntity, token_pages
from messages.errors import Code
from messages.events import Status
from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME, Fault
from workers.jobs import control, sayari
from workers.jobs.registry import JOBS, Tools
from workers.jobs.sayari_files import Behind, moment
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.ledger.records import Job
from workers.run import Limits
from workers.storage import Storage
from workers.turns import Turns

assert control
assert sayari  # their jobs are registered by importing them

LIMITS = Limits(min_delay=0.001, max_delay=0.01, stall=60.0, slice=15.0, in_flight=0.0)
UPLOAD = "sayari.projects.resolutions.upload"
TABLE = "name,name,country,uk_company_number\r\nTesco,,GBR,00445790\r\nNobody,,,\r\nNestlé S.A.,Nestle,CHE,\r\nTesco,,GBR,00445790\r\n"


class Desk:
    """Takes commands and drives their turns by hand: no broker, no threads."""

    def __init__(self, sandbox: Sandbox, folder: Path, url: str) -> None:
        self.folder = folder
        self.world = sandbox.world
        self.sayari = Sayari.connect(f"{sandbox.url}/sayari", USERNAME, PASSWORD, timeout=5)
        self._database = Database(url)
        self._database.upgrade()
        self._ledger = Ledger(self._database)
        storage = Storage([str(folder)], str(folder / "results"))
        self._tools = Tools(storage, self._ledger, 60.0, sayari_client=self.sayari)
        self.limit(LIMITS)

    def limit(self, limits: Limits) -> None:
        self._turns = Turns(self._ledger, JOBS, self._tools, limits, 60.0)

    def close(self) -> None:
        self.sayari.close()
        self._database.close()

    def file(self, content: str | bytes, name: str = "entities.csv") -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def arrive(self, id: str = "job", type: str = "sayari.resolve_entities", **data: Any) -> Job:
        event = {"specversion": "1.0", "id": id, "source": "/tests", "type": type, "data": data}
        self._turns.arrive(json.dumps(event).encode())
        return self.job(id)

    def job(self, id: str = "job") -> Job:
        found = self._ledger.job(id)
        assert found is not None
        return found

    def turn(self, id: str = "job") -> Job:
        self._turns.take(id, self.job(id).turn)
        return self.job(id)

    def drive(self, id: str = "job", turns: int = 200) -> Job:
        for _ in range(turns):
            if self.job(id).status.ended:
                return self.job(id)
            self.turn(id)
        raise AssertionError(f"{id} has not ended after {turns} turns")

    def run(self, id: str = "job", **data: Any) -> Job:
        self.arrive(id, **data)
        return self.drive(id)

    def effects(self) -> dict[str, int]:
        return {operation: count for (operation, _), count in self.world.effects.items()}

    def projects(self) -> list[str]:
        pages = token_pages(self.sayari.projects.list)
        return [listed.project.label for page in pages for listed in page.data]


@pytest.fixture
def desk(sandbox: Sandbox, tmp_path: Path, sqlite_url: str) -> Iterator[Desk]:
    sandbox.world.job_seconds = sandbox.world.queue_seconds = 0
    desk = Desk(sandbox, tmp_path, sqlite_url)
    yield desk
    desk.close()


def result(job: Job) -> dict[str, Any]:
    assert job.status is Status.COMPLETED, job.error
    assert job.result is not None
    return job.result


def lists(job: Job) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The objects of both files, once what is said of the files is checked."""
    read = []
    for name in ("resolved", "unresolved"):
        file = result(job)[name]
        content = Path(unquote(file["uri"].removeprefix("file://"))).read_bytes()
        objects = [json.loads(line) for line in content.split(b"\n")[:-1]]
        assert file["uri"].endswith(f"/{name}.jsonl")
        assert file["media_type"] == "application/x-ndjson"
        assert (file["records"], file["bytes"]) == (len(objects), len(content))
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        read.append(objects)
    assert result(job)["uploaded"] == len(read[0]) + len(read[1])
    return read[0], read[1]


def error(job: Job) -> dict[str, Any]:
    assert job.status is Status.FAILED, job.result
    assert job.error is not None
    return job.error


def test_a_file_is_resolved(desk: Desk) -> None:
    job = desk.run("batch:1", file=desk.file(TABLE))

    resolved, unresolved = lists(job)
    assert sorted(entity["attributes"]["name"][0] for entity in resolved) == ["Nestlé S.A.", "Tesco", "Tesco"]
    assert [entity["attributes"] for entity in unresolved] == [{"name": ["Nobody"]}]
    assert len({entity["id"] for entity in resolved + unresolved}) == 4
    assert desk.projects() == ["Resolution [kyb:batch:1]"]
    assert desk.effects() == {"sayari.projects.create": 1, UPLOAD: 1}


def test_objects_are_as_the_vendor_gave_them(desk: Desk) -> None:
    job = desk.run(file=desk.file(TABLE))
    given = [e.given for e in desk.sayari.projects.resolutions.resolved(result(job)["project_id"]).data]
    lines = Path(unquote(result(job)["resolved"]["uri"].removeprefix("file://"))).read_text().splitlines()
    assert lines == [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in given]


def test_entities_are_resolved(desk: Desk) -> None:
    entities = [
        {"name": ["Tesco"], "country": ["GBR"]},
        {"identifier": [{"type": "ru_inn", "value": "7736050003"}, {"value": "x"}]},
        {"name": ["Nobody"], "date_of_birth": ["1990-08"]},
    ]
    resolved, unresolved = lists(desk.run(entities=entities, project={"label": "Batch 7"}))
    assert (len(resolved), len(unresolved)) == (2, 1)
    assert desk.projects() == ["Batch 7 [kyb:job]"]


@pytest.mark.parametrize("rows", [1, 100, 101, 250])
def test_lists_are_fetched_to_their_end(desk: Desk, rows: int) -> None:
    desk.limit(replace(LIMITS, slice=0))
    text = "name\n" + "".join("Tesco\n" if n % 2 else f"Nobody {n}\n" for n in range(rows))
    resolved, unresolved = lists(desk.run(file=desk.file(text)))
    assert (len(resolved), len(unresolved)) == (rows // 2, rows - rows // 2)
    assert len({entity["id"] for entity in resolved + unresolved}) == rows


def test_the_job_waits_for_the_last_entity(desk: Desk) -> None:
    start = now = desk.world.clock()
    desk.world.job_seconds = 100.0
    desk.world.clock = lambda: now
    desk.arrive(file=desk.file(TABLE))
    desk.turn()
    now = start + 50
    assert desk.turn().status is Status.RUNNING
    assert "resolve" in desk._ledger.events(job_id="job")[-1].body
    now = start + 100
    resolved, unresolved = lists(desk.drive())
    assert (len(resolved), len(unresolved)) == (3, 1)


def test_the_project_is_deleted_if_asked(desk: Desk) -> None:
    job = desk.run(file=desk.file(TABLE), delete_project=True)
    assert lists(job)
    with pytest.raises(NotFound):
        desk.sayari.projects.get(result(job)["project_id"])


@pytest.mark.parametrize("operation", ["projects.create", "projects.resolutions.upload", "projects.delete"])
@pytest.mark.parametrize("kind", ["lost_after", "lost_before", "status"])
def test_no_effect_is_done_twice(desk: Desk, operation: str, kind: str) -> None:
    desk.world.faults[f"sayari.{operation}"].append(Fault(kind))
    lists(desk.run(file=desk.file(TABLE), delete_project=True))
    assert desk.effects() == {"sayari.projects.create": 1, UPLOAD: 1, "sayari.projects.delete": 1}


@pytest.mark.parametrize("operation", ["progress", "resolved", "unresolved"])
def test_questions_are_asked_again(desk: Desk, operation: str) -> None:
    faults = desk.world.faults[f"sayari.projects.resolutions.{operation}"]
    faults.extend([Fault("lost_after"), Fault("status", status=503), Fault("expire")])
    resolved, unresolved = lists(desk.run(file=desk.file(TABLE)))
    assert (len(resolved), len(unresolved)) == (3, 1)


def existing(desk: Desk) -> str:
    project = desk.sayari.projects.create("Mine").id
    entities = [UploadEntity(name=["Tesco"]), UploadEntity(name=["Somebody"]), UploadEntity(name=["Shell"])]
    desk.sayari.projects.resolutions.upload(project, entities=entities)
    return project


def test_an_existing_project_gives_only_what_is_new(desk: Desk) -> None:
    project = existing(desk)
    job = desk.run(file=desk.file(TABLE), project={"id": project})
    resolved, unresolved = lists(job)
    assert (len(resolved), len(unresolved)) == (3, 1)
    assert result(job)["project_id"] == project
    assert desk.effects()["sayari.projects.create"] == 1


def test_an_existing_project_is_left_to_end_what_it_does(desk: Desk) -> None:
    start = now = desk.world.clock()
    desk.world.clock = lambda: now
    desk.world.job_seconds = 50.0
    project = existing(desk)
    desk.arrive(file=desk.file(TABLE), project={"id": project})
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
    resolved, unresolved = lists(desk.run(file=desk.file(TABLE), project={"id": project}))
    assert (len(resolved), len(unresolved)) == (3, 1)
    assert desk.world.effects[UPLOAD, project] == 2


def test_an_upload_that_cannot_be_told_from_anothers_is_not_repeated(desk: Desk) -> None:
    project = existing(desk)
    desk.world.faults[UPLOAD].append(Fault("lost_before"))
    desk.arrive(file=desk.file(TABLE), project={"id": project})
    while desk.world.calls[UPLOAD] < 2:
        desk.turn()
    desk.sayari.projects.resolutions.upload(project, csv=b"name\nTesco\n")
    assert error(desk.drive())["code"] == Code.OUTCOME_UNKNOWN


def test_others_in_the_same_project_are_noticed(desk: Desk) -> None:
    project = existing(desk)
    desk.arrive(file=desk.file(TABLE), project={"id": project})
    while desk.world.calls[UPLOAD] < 2:
        desk.turn()
    desk.sayari.projects.resolutions.upload(project, csv=b"name\nTesco\n")
    failed = error(desk.drive())
    assert failed["code"] == Code.VENDOR_FAILED
    assert "holds 5 resolved and unresolved entities of 4" in failed["message"]


def test_a_project_that_is_not_there(desk: Desk) -> None:
    failed = error(desk.run(file=desk.file(TABLE), project={"id": "nobody"}))
    assert (failed["code"], failed["vendor_status"]) == (Code.VENDOR_REJECTED, 404)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,Country\nTesco,GBR\n", "entities.csv, line 1, column 2: 'Country' is not an attribute"),
        ("Tesco,GBR\n", "entities.csv, line 1, column 1: this is not the name of an attribute"),
        ("name,country\nTesco,GBR\n,\n", "entities.csv, line 3: every cell is empty"),
        ("name,country\nTesco\n", "entities.csv, line 2, column 2: "),
        ("name\n", "entities.csv holds no entities"),
        ("", "entities.csv, line 1: "),
        (b"name\n\xff\n", "entities.csv, line 2, column 1: "),
    ],
)
def test_a_bad_file_leaves_nothing_at_the_vendor(desk: Desk, content: str | bytes, words: str) -> None:
    failed = error(desk.run(file=desk.file(content)))
    assert failed["code"] == Code.INPUT_INVALID
    assert failed["message"].startswith(words)
    assert desk.effects() == {}


def test_a_header_that_only_the_vendor_refuses(desk: Desk) -> None:
    desk.world.faults[UPLOAD].append(Fault("status", status=406))
    failed = error(desk.run(file=desk.file("name,xx_no_such_number\nTesco,1\n")))
    assert (failed["code"], failed["detail"]) == (Code.INPUT_INVALID, "fault on demand")


def test_a_byte_order_mark_is_not_sent(desk: Desk) -> None:
    resolved, unresolved = lists(desk.run(file=desk.file(f"\ufeff{TABLE}")))
    assert (len(resolved), len(unresolved)) == (3, 1)


def test_a_file_that_changes_meanwhile(desk: Desk) -> None:
    desk.world.faults["sayari.projects.create"].append(Fault("lost_before"))
    desk.arrive(file=desk.file(TABLE))
    desk.file(f"{TABLE}More\r\n")
    failed = error(desk.drive())
    assert (failed["code"], UPLOAD in desk.effects()) == (Code.INPUT_INVALID, False)


def test_a_lost_result_is_written_again(desk: Desk) -> None:
    desk.limit(replace(LIMITS, slice=0))
    desk.arrive(file=desk.file("name\n" + "Tesco\n" * 250))
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
