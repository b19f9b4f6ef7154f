"""What the document's own answers, and odder ones, are read as."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from clients.sayari import UploadEntity, known_header
from clients.sayari.auth import AccessToken
from clients.sayari.graph_shapes import Entity, EntitySearch, PathSegment, Record, RecordSearch, Traversal
from clients.sayari.shapes import OffsetPage, TokenPage
from clients.sayari.workspace_shapes import ChangedResource, ExportedResource, ListedProject, ResolvedEntity

EMBEDDED = {
    "id": "123",
    "label": "ACME Co.",
    "type": "company",
    "entity_url": "/entity/123",
    "identifiers": [{"type": "uk_company_number", "value": "12345"}],
    "countries": ["GBR"],
    "psa_sanctioned": "123456",
    "source_count": {"some_source_id": {"count": 2, "label": "Some Source Label"}},
    "date_of_birth": "1990-08",
    "relationship_count": {"has_shareholder": 300, "shareholder_of": 4},
}
SHARES = {
    "record": "ecdfb3f2ecc8c3797e77d5795a8066ef/123567",
    "attributes": {"shares": [{"percentage": 100, "monetary_value": 2100000, "currency": "USD"}]},
    "date": "2018-06-14",
}


def test_an_entity_has_pages_of_its_own() -> None:
    size = {"count": 300, "qualifier": "eq"}
    entity = Entity.model_validate(
        EMBEDDED
        | {
            "attributes": {
                "name": {
                    "next": "b9dc2ca839c31",
                    "limit": 100,
                    "size": {"count": 4, "qualifier": "eq"},
                    "data": [
                        {"properties": {"value": "Acme Co."}, "record": ["record_id"], "record_count": 3}
                    ],
                }
            },
            "relationships": {
                "next": "b9dc2ca839c31",
                "prev": "49dc2ca839c31",
                "limit": 100,
                "size": size,
                "data": [{"target": EMBEDDED, "types": {"shareholder_of": [SHARES]}}],
            },
            "referenced_by": {
                "limit": 100,
                "size": size,
                "data": [{"record": {"id": "r/1"}, "type": "about"}],
            },
        }
    )
    assert entity.attributes["name"].data[0].properties == {"value": "Acme Co."}
    assert entity.relationships is not None
    assert entity.relationships.prev == "49dc2ca839c31"
    assert entity.relationships.data[0].types["shareholder_of"][0].date == "2018-06-14"
    assert entity.possibly_same_as is None
    assert entity.closed is None


@pytest.mark.parametrize("nested", [[SHARES], {"values": [SHARES]}])
def test_relationships_of_a_path_may_be_nested(nested: object) -> None:
    segment = {"field": "shareholder_of", "relationships": {"shareholder_of": nested}, "entity": EMBEDDED}
    assert PathSegment.model_validate(segment).relationships["shareholder_of"][0].record == SHARES["record"]


def test_dates_are_not_checked() -> None:
    record = Record.model_validate(
        {
            "id": "1",
            "label": "foo",
            "publication_date": "2018-02-29",
            "acquisition_date": "2018",
            "references": None,
        }
    )
    assert (record.publication_date, record.acquisition_date) == ("2018-02-29", "2018")


def test_the_record_search_of_the_document_has_a_number_for_a_date() -> None:
    search = RecordSearch.model_validate(
        {
            "offset": 0,
            "limit": 1,
            "next": True,
            "size": {"count": 10000, "qualifier": "gte"},
            "data": [
                {"id": "1", "acquisition_date": 3, "matches": {"address": ["Foo <em>example</em> Bar"]}}
            ],
            "facets": {"country": [{"key": "TUR", "label": "Turkey", "doc_count": 37701}]},
        }
    )
    assert search.data[0].acquisition_date == "3"
    assert search.size is not None
    assert search.size.qualifier == "gte"
    assert search.facets is not None
    assert search.facets["country"][0].doc_count == 37701


@pytest.mark.parametrize("counts", [[["address", 2], ["name", 5]], {"address": 2, "name": 5}])
def test_counts_are_pairs_or_a_map(counts: object) -> None:
    page = OffsetPage[ChangedResource].model_validate(
        {"limit": 2, "next": True, "data": [{"id": "1", "counts": counts}]}
    )
    assert page.data[0].counts == {"address": 2, "name": 5}


def test_projects_are_listed_with_members() -> None:
    listed = {
        "project": {
            "id": "y0nDYe",
            "label": "Test Project 8",
            "archived": False,
            "created": "2022-02-28 16:22:38.021729+00",
        },
        "members": [{"type": "user", "id": "test-user", "role": "admin"}],
    }
    page = TokenPage[ListedProject].model_validate({"prev": "a", "limit": 2, "data": [listed]})
    assert (page.next, page.prev, page.size) == (None, "a", None)
    assert page.data[0].project.created == "2022-02-28 16:22:38.021729+00"


def test_what_is_not_known_is_kept_and_given_back_unchanged() -> None:
    text = (
        '{"zeta": 1.50, "id": "e4", "count": 1, "attributes": {"name": ["Ö"], "odd": null},'
        ' "hits": {"values": {"A": {"name": ["<em>Ö</em>"]}}, "version": 1}}'
    )
    given = json.loads(text)
    entity = ResolvedEntity.model_validate(given)
    assert json.dumps(entity.given) == json.dumps(given)
    assert entity.hits is not None
    assert entity.hits.values == {"A": {"name": ["<em>Ö</em>"]}}


def test_an_unresolved_entity_may_lack_its_count() -> None:
    assert (
        ResolvedEntity.model_validate({"id": "d9", "attributes": {"identifier": [{"value": ""}]}}).count == 0
    )


def test_contents_do_not_show_in_a_repr() -> None:
    shape = ExportedResource.model_validate({"label": "ACME", "entity": EMBEDDED})
    request = UploadEntity(name=["ACME"])
    token = AccessToken.model_validate({"access_token": "sk_test_4eC39", "token_type": "Bearer"})
    for each in (shape, request, token):
        assert "ACME" not in f"{each!r}{each}"
        assert "sk_test" not in f"{each!r}{each}"


def test_null_lists_are_empty() -> None:
    assert Traversal.model_validate({"next": False, "data": None, "relationships": None}).data == []
    assert EntitySearch.model_validate({}).data == []


@pytest.mark.parametrize(
    "entity", [{}, {"name": []}, {"name": "ACME"}, {"nome": ["ACME"]}, {"identifier": [{}]}]
)
def test_what_is_sent_is_exact(entity: object) -> None:
    with pytest.raises(ValidationError):
        UploadEntity.model_validate(entity)


@pytest.mark.parametrize(
    "header",
    [
        "name",
        "country",
        "address",
        "date_of_birth",
        "contact",
        "identifier",
        "uk_company_number",
        "ru_inn",
        "lei",
    ],
)
def test_attributes_and_identifier_types_are_headers(header: str) -> None:
    assert known_header(header)


@pytest.mark.parametrize(
    "header",
    ["", "Name", "name ", "company", "company_name", "dateofbirth", "UK_company_number", "name\n", "uk_"],
)
def test_other_words_are_no_headers(header: str) -> None:
    assert not known_header(header)


@given(st.text())
def test_no_header_has_capitals_spaces_or_other_letters(header: str) -> None:
    assert not known_header(header) or set(header) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
