"""`sayari.export_project` and `sayari.collect_changes` against the simulator, with things going wrong in between."""

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
from tests.support.sandbox_harness import SandboxHarness, completed, content, failure
from tests.support.turn_harness import LIMITS
from workers.jobs.sayari.collect_changes import OURS, Digest

ENTITIES = list(register().entities.values())[:3]
EXPORT, COLLECT = "sayari.export_project", "sayari.collect_changes"
CLEAR = "sayari.resources.change_notifications.delete"


def project(harness: SandboxHarness, *, records: int = 0) -> str:
    """A project with three saved entities, and this many records."""
    id = harness.sayari.projects.create("Mine").id
    for entity in ENTITIES:
        save(harness, id, "entity", entity.id)
    for entity in ENTITIES[:records]:
        save(harness, id, "record", entity.record_id)
    harness.state.effects.clear()
    harness.state.calls.clear()
    return id


def save(harness: SandboxHarness, project: str, type: Any, id: str, whose: str = "our") -> str:
    return harness.sayari.resources.create(
        type=type, project=project, label=f"{whose} {id}", resource_id=id
    ).id


def objects(file: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a result, once what is said of it is checked."""
    written = content(file)
    found = [json.loads(line) for line in written.split(b"\n")[:-1]]
    assert file["media_type"] == "application/x-ndjson"
    assert (file["records"], file["bytes"]) == (len(found), len(written))
    assert file["sha256"] == hashlib.sha256(written).hexdigest()
    return found


def in_small_pieces(harness: SandboxHarness) -> None:
    harness.limit(replace(LIMITS, time_slice=0))
    harness.state.page_limit = 1


def trouble(harness: SandboxHarness, operation: str) -> None:
    for fault in (Fault("lost_after"), Fault("status", status=503), Fault("expire"), Fault("lost_before")):
        harness.fault(operation, fault)


# -- export_project -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "operation", "count"), [("entity", "entities", 3), ("record", "records", 2), ("resource", "resources", 5)]
)  # fmt: skip
def test_objects_are_as_sayari_gives_them(
    harness: SandboxHarness, content: str, operation: str, count: int
) -> None:
    id = project(harness, records=2)
    given = [each.given for each in getattr(harness.sayari.projects, operation)(id).data]
    in_small_pieces(harness)
    trouble(harness, f"sayari.projects.{operation}")
    result = completed(harness.run(EXPORT, project_id=id, content=content))
    assert objects(result["exported"]) == given
    assert (result["project_id"], len(given)) == (id, count)


def test_an_empty_project_is_an_empty_file(harness: SandboxHarness) -> None:
    id = harness.sayari.projects.create("Empty").id
    assert objects(completed(harness.run(EXPORT, project_id=id))["exported"]) == []


def test_a_project_that_is_not_there(harness: SandboxHarness) -> None:
    job = harness.run(EXPORT, project_id="nobody", format="xlsx")
    failure(job, Code.VENDOR_REJECTED)
    assert job.error is not None
    assert job.error["vendor_status"] == 404
    assert not (harness.folder / "results/job").exists()


def test_a_workbook_is_sayaris(harness: SandboxHarness) -> None:
    exported = completed(harness.run(EXPORT, project_id=project(harness), content="entity", format="xlsx"))[
        "exported"
    ]
    assert exported["uri"].endswith("/exported.xlsx")
    assert (exported["media_type"], exported["records"]) == ("application/vnd.ms-excel", None)
    assert f"our {ENTITIES[0].id}".encode() in zipfile.ZipFile(io.BytesIO(content(exported))).read(
        "xl/worksheets/sheet1.xml"
    )


def test_the_workbooks_of_several_pages_are_all_there(harness: SandboxHarness) -> None:
    id = project(harness, records=1)
    in_small_pieces(harness)
    trouble(harness, "sayari.projects.resources")
    exported = completed(harness.run(EXPORT, project_id=id, format="xlsx"))["exported"]
    assert exported["uri"].endswith("/exported.zip")
    assert [path.name for path in (harness.folder / "results/job").iterdir()] == ["exported.zip"]
    assert (exported["media_type"], exported["records"]) == ("application/zip", None)
    archive = zipfile.ZipFile(io.BytesIO(content(exported)))
    assert archive.namelist() == [f"exported-{number:04}.xlsx" for number in range(1, 5)]
    sheets = [
        zipfile.ZipFile(archive.open(name)).read("xl/worksheets/sheet1.xml") for name in archive.namelist()
    ]
    ids = [ENTITIES[0].record_id, *(entity.id for entity in reversed(ENTITIES))]
    assert [f"our {id}<".encode() in sheet for id, sheet in zip(ids, sheets, strict=True)] == [True] * 4


def test_what_is_saved_meanwhile_pushes_nothing_out_of_the_workbooks(harness: SandboxHarness) -> None:
    """It is saved between a workbook and the question for the token of the next."""
    id = project(harness)
    harness.state.page_limit = 1
    operation = "sayari.projects.entities"
    harness.fault(operation, Fault("slow"))
    harness.fault(operation, Fault("slow", seconds=0.5))

    def save_in_between() -> None:
        while harness.state.calls[operation] < 2:
            time.sleep(0.005)  # the simulator has no event to await
        save(harness, id, "entity", ENTITIES[0].id, "late")

    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(save_in_between)
        exported = completed(harness.run(EXPORT, project_id=id, content="entity", format="xlsx"))["exported"]
        late.result()
    archive = zipfile.ZipFile(io.BytesIO(content(exported)))
    sheets = [
        zipfile.ZipFile(archive.open(name)).read("xl/worksheets/sheet1.xml") for name in archive.namelist()
    ]
    text = b"".join(sheets).decode()
    assert [text.count(f"our {entity.id}") for entity in ENTITIES] == [1, 1, 2]


# -- collect_changes ------------------------------------------------------------------------------------


def notifications(harness: SandboxHarness, project: str) -> list[tuple[str, str]]:
    """All there are, as (saved resource, notification), the type left out."""
    found = []
    for page in offset_pages(harness.sayari.projects.change_notifications.list, project):
        for resource in page.data:
            for each in offset_pages(harness.sayari.resources.change_notifications.list, resource.id):
                found += [(resource.id, json.dumps(item.given, sort_keys=True)) for item in each.data]
    return found


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (row["saved_resource"], json.dumps({k: row[k] for k in row if k not in OURS}, sort_keys=True))
        for row in rows
    ]


def test_changes_are_collected_and_left_there(harness: SandboxHarness) -> None:
    id = project(harness, records=1)
    there = notifications(harness, id)
    in_small_pieces(harness)
    trouble(harness, "sayari.projects.change_notifications.list")
    trouble(harness, "sayari.resources.change_notifications.list")
    result = completed(harness.run(COLLECT, project_id=id))
    rows = objects(result["changes"])
    assert Counter(told(rows)) == Counter(there)
    assert {(row["entity_id"]) for row in rows} == {entity.id for entity in ENTITIES}
    [first] = [
        row for row in rows if row["value"].startswith("New Name 1") and row["entity_id"] == ENTITIES[0].id
    ]
    assert first["type"] == "name"
    assert (result["project_id"], result["cleared"], result["kept"]) == (id, 0, 0)
    assert notifications(harness, id) == there
    assert not harness.state.effects


def test_some_types_alone(harness: SandboxHarness) -> None:
    rows = objects(
        completed(harness.run(COLLECT, project_id=project(harness), types=["status", "none"]))["changes"]
    )
    assert [row["type"] for row in rows] == ["status"] * 3


@pytest.mark.parametrize("kind", ["lost_after", "lost_before", "status"])
def test_what_was_collected_is_cleared_once(harness: SandboxHarness, kind: str) -> None:
    id = project(harness)
    there = notifications(harness, id)
    in_small_pieces(harness)
    harness.fault(CLEAR, Fault(kind))
    result = completed(harness.run(COLLECT, project_id=id, clear=True))
    assert Counter(told(objects(result["changes"]))) == Counter(there)
    assert (result["cleared"], result["kept"]) == (3, 0)
    assert notifications(harness, id) == []
    assert [count for (operation, _), count in harness.state.effects.items() if operation == CLEAR] == [
        1,
        1,
        1,
    ]


def test_nothing_is_cleared_before_the_file_is_there(harness: SandboxHarness) -> None:
    id = project(harness)
    harness.fault(CLEAR, Fault("lost_before"))
    harness.arrive(COLLECT, project_id=id, clear=True)
    assert harness.state.calls[CLEAR] == 1
    assert {path.name for path in (harness.folder / "results/job").iterdir()} == {"changes.jsonl"}
    assert completed(harness.drive())["cleared"] == 3


def test_what_a_new_release_brings_is_kept(harness: SandboxHarness) -> None:
    """One resource is cleared; then comes a data release, and one of the others is deleted."""
    id = project(harness)
    there = notifications(harness, id)
    in_small_pieces(harness)
    harness.arrive(COLLECT, project_id=id, clear=True)
    while not harness.effects(CLEAR):
        harness.turn()
    harness.state.releases += 1
    saved = {each.resourceId: each.id for each in harness.sayari.projects.contents(id, limit=100).data}
    cleared = {key for (operation, key) in harness.state.effects if operation == CLEAR}
    gone, left = sorted(set(saved.values()) - cleared)
    harness.sayari.resources.delete(gone)
    result = completed(harness.drive())
    assert Counter(told(objects(result["changes"]))) == Counter(there)
    assert (result["cleared"], result["kept"]) == (2, 1)
    assert harness.effects(CLEAR) == 1
    assert {resource for resource, _ in notifications(harness, id)} == {left, *cleared}


def test_a_resource_that_is_deleted_meanwhile_stops_nothing(harness: SandboxHarness) -> None:
    id = project(harness)
    in_small_pieces(harness)
    harness.arrive(COLLECT, project_id=id)
    while harness.state.calls["sayari.resources.change_notifications.list"] < 2:
        harness.turn()
    for resource in harness.sayari.projects.change_notifications.list(id, limit=1).data:
        harness.sayari.resources.delete(resource.id)
    rows = objects(completed(harness.drive())["changes"])
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
