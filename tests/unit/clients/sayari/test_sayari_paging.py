"""Lists of every kind, to their end."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from clients.errors import Rejected, VendorUnavailable
from clients.sayari import (
    Sayari,
    UploadEntity,
    entity_pages,
    history_pages,
    offset_pages,
    reference_pages,
    token_pages,
)
from clients.sayari.shapes import TokenPage
from tests.support.sayari_client import ENTITIES, TESCO, Scene


def ids(pages: Iterator[Any]) -> list[str]:
    return [item.id for page in pages for item in page.data]


def test_projects_come_newest_first(client: Sayari) -> None:
    made = [client.projects.create(f"Project {number}").id for number in range(5)]
    pages = list(islice(token_pages(client.projects.list, limit=2), 3))
    listed = [item.project.id for page in pages for item in page.data]
    assert listed[:5] == list(reversed(made))
    assert pages[0].prev is None

    back = client.projects.list(prev=pages[1].prev, limit=2)
    assert [item.project.id for item in back.data] == listed[:2]


def test_archived_projects_are_a_list_of_their_own(client: Sayari) -> None:
    project = client.projects.create("Old")
    assert client.projects.update(project.id, field="archived", value=True).archived
    assert project.id in [
        each.project.id for page in token_pages(client.projects.list, archived=True) for each in page.data
    ]
    assert project.id not in [
        each.project.id for page in token_pages(client.projects.list) for each in page.data
    ]


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_resolutions_have_each_entity_once(client: Sayari, scene: Scene, limit: int) -> None:
    entities = [UploadEntity(name=["Unilever"])] * 4 + [UploadEntity(name=[f"Nobody {n}"]) for n in range(3)]
    client.projects.resolutions.upload(scene.project, entities=entities)
    resolved = ids(token_pages(client.projects.resolutions.resolved, scene.project, limit=limit))
    unresolved = ids(token_pages(client.projects.resolutions.unresolved, scene.project, limit=limit))
    assert (len(resolved), len(unresolved)) == (5, 4)
    assert len({*resolved, *unresolved}) == 9
    assert resolved[-1] == scene.resolved


def test_search_results_by_offset(client: Sayari) -> None:
    whole = client.search.entities("limited", limit=100)
    assert ids(offset_pages(client.search.entities, "limited", limit=4)) == [
        entity.id for entity in whole.data
    ]
    assert whole.size is not None
    assert whole.size.count == len(whole.data) > 8


def test_traversals_by_offset_without_a_size(client: Sayari) -> None:
    pages = list(offset_pages(client.traversals.downstream, TESCO.id, limit=2))
    found = [path.target.label for page in pages for path in page.data]
    assert found == [
        "Tesco Stores Limited",
        "Booker Group Limited",
        "One Stop Stores Limited",
        "Booker Limited",
    ]
    assert all(page.size is None for page in pages)


def test_sources_by_offset(client: Sayari) -> None:
    pages = list(offset_pages(client.sources.list, limit=5))
    assert pages[0].size is not None
    assert len(ids(iter(pages))) == pages[0].size.count


def test_references_of_a_record(client: Sayari) -> None:
    records = list(reference_pages(client.records.get, TESCO.record_id, references_limit=3))
    named = [entity.label for record in records if record.references for entity in record.references.data]
    assert named[0] == "Tesco PLC"
    assert len(named) == records[0].references_count == 4


@pytest.mark.parametrize(
    ("label", "field", "count"),
    [
        ("Tesco PLC", "relationships", 3),
        ("Tesco PLC", "referenced_by", 4),
        ("Tesco PLC", "possibly_same_as", 1),
        ("Public Joint Stock Company Gazprom", "attributes.name", 3),
        ("Tesco PLC", "attributes.shares", 0),
    ],
)
def test_lists_of_an_entity(client: Sayari, label: str, field: str, count: int) -> None:
    pages = list(entity_pages(client.entities.get, ENTITIES[label].id, field, limit=1))
    assert len(pages) == count
    assert len({str(item.given) for page in pages for item in page.data}) == count


def test_relationships_of_one_type(client: Sayari) -> None:
    entity = client.entities.get(TESCO.id, relationships={"type": "subsidiary_of"})
    assert entity.relationships is not None
    assert entity.relationships.data == []


def test_history_to_its_end(client: Sayari, scene: Scene) -> None:
    pages = list(history_pages(client.history, events=["resources_create"], size=1))
    assert len(pages) >= 2
    assert {event.event for page in pages for event in page.events} == {"resources_create"}


def test_an_empty_list_is_one_page(client: Sayari, scene: Scene) -> None:
    client.projects.resolutions.delete_all_resolved(scene.project)
    pages = list(token_pages(client.projects.resolutions.resolved, scene.project))
    assert [page.data for page in pages] == [[]]


def test_a_page_that_names_itself_does_not_go_on_for_ever() -> None:
    pages = token_pages(lambda **_: TokenPage[Any].model_validate({"next": "a", "data": []}))
    with pytest.raises(VendorUnavailable, match="names itself"):
        list(pages)


@pytest.mark.parametrize("limit", [0, 101])
def test_limits_are_the_vendors_to_refuse(client: Sayari, limit: int) -> None:
    with pytest.raises(Rejected) as refused:
        client.search.entities("tesco", limit=limit)
    assert refused.value.status == 406
