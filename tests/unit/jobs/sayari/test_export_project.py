"""`sayari.export_project` and `sayari.collect_changes` against the stand-in, with things going wrong in between."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.sayari import offset_pages
from messages.errors import Code
from sandbox.core import Fault
from sandbox.sayari.register import register
from tests.support.sandbox_harness import LIMITS, Desk, completed, content, failure
from workers.jobs.sayari.collect_changes import OURS, Digest

ENTITIES = list(register().entities.values())[:3]
EXPORT, COLLECT = "sayari.export_project", "sayari.collect_changes"
CLEAR = "sayari.resources.change_notifications.delete"


def project(desk: Desk, *, records: int = 0) -> str:
    """A project with three entities saved, and so many records."""
    id = desk.sayari.projects.create("Mine").id
    for entity in ENTITIES:
        save(desk, id, "entity", entity.id)
    for entity in ENTITIES[:records]:
        save(desk, id, "record", entity.record_id)
    desk.world.effects.clear()
    desk.world.calls.clear()
    return id


def save(desk: Desk, project: str, type: Any, id: str, whose: str = "our") -> str:
    return desk.sayari.resources.create(type=type, project=project, label=f"{whose} {id}", resource_id=id).id


def objects(file: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a result, once what is said of it is checked."""
    written = content(file)
    found = [json.loads(line) for line in written.split(b"\n")[:-1]]
    assert file["media_type"] == "application/x-ndjson"
    assert (file["records"], file["bytes"]) == (len(found), len(written))
    assert file["sha256"] == hashlib.sha256(written).hexdigest()
    return found


def in_small_pieces(desk: Desk) -> None:
    desk.limit(replace(LIMITS, slice=0))
    desk.world.page_limit = 1


def trouble(desk: Desk, operation: str) -> None:
    for fault in (Fault("lost_after"), Fault("status", status=503), Fault("expire"), Fault("lost_before")):
        desk.fault(operation, fault)


# -- export_project -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "operation", "count"), [("entity", "entities", 3), ("record", "records", 2), ("resource", "resources", 5)]
)  # fmt: skip
def test_objects_are_as_sayari_gives_them(desk: Desk, content: str, operation: str, count: int) -> None:
    id = project(desk, records=2)
    given = [each.given for each in getattr(desk.sayari.projects, operation)(id).data]
    in_small_pieces(desk)
    trouble(desk, f"sayari.projects.{operation}")
    result = completed(desk.run(EXPORT, project_id=id, content=content))
    assert objects(result["exported"]) == given
    assert (result["project_id"], len(given)) == (id, count)


def test_an_empty_project_is_an_empty_file(desk: Desk) -> None:
    id = desk.sayari.projects.create("Empty").id
    assert objects(completed(desk.run(EXPORT, project_id=id))["exported"]) == []


def test_a_project_that_is_not_there(desk: Desk) -> None:
    job = desk.run(EXPORT, project_id="nobody", format="xlsx")
    failure(job, Code.VENDOR_REJECTED)
    assert job.error is not None
    assert job.error["vendor_status"] == 404
    assert not (desk.folder / "results/job").exists()


def test_a_workbook_is_sayaris(desk: Desk) -> None:
    exported = completed(desk.run(EXPORT, project_id=project(desk), content="entity", format="xlsx"))[
        "exported"
    ]
    assert exported["uri"].endswith("/exported.xlsx")
    assert (exported["media_type"], exported["records"]) == ("application/vnd.ms-excel", None)
    assert f"our {ENTITIES[0].id}".encode() in zipfile.ZipFile(io.BytesIO(content(exported))).read(
        "xl/worksheets/sheet1.xml"
    )


def test_the_workbooks_of_several_pages_are_all_there(desk: Desk) -> None:
    id = project(desk, records=1)
    in_small_pieces(desk)
    trouble(desk, "sayari.projects.resources")
    exported = completed(desk.run(EXPORT, project_id=id, format="xlsx"))["exported"]
    assert exported["uri"].endswith("/exported.zip")
    assert [path.name for path in (desk.folder / "results/job").iterdir()] == ["exported.zip"]
    assert (exported["media_type"], exported["records"]) == ("application/zip", None)
    archive = zipfile.ZipFile(io.BytesIO(content(exported)))
    assert archive.namelist() == [f"exported-{number:04}.xlsx" for number in range(1, 5)]
    sheets = [
        zipfile.ZipFile(archive.open(name)).read("xl/worksheets/sheet1.xml") for name in archive.namelist()
    ]
    ids = [ENTITIES[0].record_id, *(entity.id for entity in reversed(ENTITIES))]
    assert [f"our {id}<".encode() in sheet for id, sheet in zip(ids, sheets, strict=True)] == [True] * 4


def test_what_is_saved_meanwhile_pushes_nothing_out_of_the_workbooks(desk: Desk) -> None:
    """It is saved between a workbook and the question for the token of the next."""
    id = project(desk)
    desk.world.page_limit = 1
    operation = "sayari.projects.entities"
    desk.fault(operation, Fault("slow"))
    desk.fault(operation, Fault("slow", seconds=0.5))

    def save_in_between() -> None:
        while desk.world.calls[operation] < 2:
            time.sleep(0.005)  # the stand-in has no event to await
        save(desk, id, "entity", ENTITIES[0].id, "late")

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(save_in_between)
        exported = completed(desk.run(EXPORT, project_id=id, content="entity", format="xlsx"))["exported"]
        late.result()
    archive = zipfile.ZipFile(io.BytesIO(content(exported)))
    sheets = [
        zipfile.ZipFile(archive.open(name)).read("xl/worksheets/sheet1.xml") for name in archive.namelist()
    ]
    text = b"".join(sheets).decode()
    assert [text.count(f"our {entity.id}") for entity in ENTITIES] == [1, 1, 2]


# -- collect_changes ------------------------------------------------------------------------------------


def notifications(desk: Desk, project: str) -> list[tuple[str, str]]:
    """All there are, as (saved resource, notification), the type left out."""
    found = []
    for page in offset_pages(desk.sayari.projects.change_notifications.list, project):
        for resource in page.data:
            for each in offset_pages(desk.sayari.resources.change_notifications.list, resource.id):
                found += [(resource.id, json.dumps(item.given, sort_keys=True)) for item in each.data]
    return found


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (row["saved_resource"], json.dumps({k: row[k] for k in row if k not in OURS}, sort_keys=True))
        for row in rows
    ]


def test_changes_are_collected_and_left_there(desk: Desk) -> None:
    id = project(desk, records=1)
    there = notifications(desk, id)
    in_small_pieces(desk)
    trouble(desk, "sayari.projects.change_notifications.list")
    trouble(desk, "sayari.resources.change_notifications.list")
    result = completed(desk.run(COLLECT, project_id=id))
    rows = objects(result["changes"])
    assert Counter(told(rows)) == Counter(there)
    assert {(row["entity_id"]) for row in rows} == {entity.id for entity in ENTITIES}
    [first] = [
        row for row in rows if row["value"].startswith("New Name 1") and row["entity_id"] == ENTITIES[0].id
    ]
    assert first["type"] == "name"
    assert (result["project_id"], result["cleared"], result["kept"]) == (id, 0, 0)
    assert notifications(desk, id) == there
    assert not desk.world.effects


def test_some_types_alone(desk: Desk) -> None:
    rows = objects(
        completed(desk.run(COLLECT, project_id=project(desk), types=["status", "none"]))["changes"]
    )
    assert [row["type"] for row in rows] == ["status"] * 3


@pytest.mark.parametrize("kind", ["lost_after", "lost_before", "status"])
def test_what_was_collected_is_cleared_once(desk: Desk, kind: str) -> None:
    id = project(desk)
    there = notifications(desk, id)
    in_small_pieces(desk)
    desk.fault(CLEAR, Fault(kind))
    result = completed(desk.run(COLLECT, project_id=id, clear=True))
    assert Counter(told(objects(result["changes"]))) == Counter(there)
    assert (result["cleared"], result["kept"]) == (3, 0)
    assert notifications(desk, id) == []
    assert [count for (operation, _), count in desk.world.effects.items() if operation == CLEAR] == [1, 1, 1]


def test_nothing_is_cleared_before_the_file_is_there(desk: Desk) -> None:
    id = project(desk)
    desk.fault(CLEAR, Fault("lost_before"))
    desk.arrive(COLLECT, project_id=id, clear=True)
    assert desk.world.calls[CLEAR] == 1
    assert {path.name for path in (desk.folder / "results/job").iterdir()} == {"changes.jsonl"}
    assert completed(desk.drive())["cleared"] == 3


def test_what_a_new_release_brings_is_kept(desk: Desk) -> None:
    """One resource is cleared; then comes a data release, and one of the others is deleted."""
    id = project(desk)
    there = notifications(desk, id)
    in_small_pieces(desk)
    desk.arrive(COLLECT, project_id=id, clear=True)
    while not desk.effects(CLEAR):
        desk.turn()
    desk.world.releases += 1
    saved = {each.resourceId: each.id for each in desk.sayari.projects.contents(id, limit=100).data}
    cleared = {key for (operation, key) in desk.world.effects if operation == CLEAR}
    gone, left = sorted(set(saved.values()) - cleared)
    desk.sayari.resources.delete(gone)
    result = completed(desk.drive())
    assert Counter(told(objects(result["changes"]))) == Counter(there)
    assert (result["cleared"], result["kept"]) == (2, 1)
    assert desk.effects(CLEAR) == 1
    assert {resource for resource, _ in notifications(desk, id)} == {left, *cleared}


def test_a_resource_that_is_deleted_meanwhile_stops_nothing(desk: Desk) -> None:
    id = project(desk)
    in_small_pieces(desk)
    desk.arrive(COLLECT, project_id=id)
    while desk.world.calls["sayari.resources.change_notifications.list"] < 2:
        desk.turn()
    for resource in desk.sayari.projects.change_notifications.list(id, limit=1).data:
        desk.sayari.resources.delete(resource.id)
    rows = objects(completed(desk.drive())["changes"])
    assert len({row["saved_resource"] for row in rows}) >= 2


changes = st.lists(
    st.dictionaries(st.sampled_from(["value", "date", *OURS]), st.text(max_size=2)), max_size=6
)


@settings(max_examples=50)
@given(changes, changes, st.randoms())
def test_a_digest_knows_all_but_the_order(first: list[Any], second: list[Any], random: Any) -> None:
    def plain(notifications: list[Any]) -> Counter[str]:
        theirs = [{key: n[key] for key in n if key not in OURS} for n in notifications]
        return Counter(json.dumps(each, sort_keys=True) for each in theirs)

    digests = []
    for notifications in (first, second, random.sample(first, len(first))):
        digest = Digest()
        for notification in notifications:
            digest.add(notification)
        digests.append(digest)
    assert digests[0] == digests[2]
    assert (digests[0] == digests[1]) is (plain(first) == plain(second))
