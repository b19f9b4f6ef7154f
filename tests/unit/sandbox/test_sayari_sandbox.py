"""Sayari's simulator, asked directly: where it is strict, what it counts, how its resolution takes time."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from sandbox import Sandbox
from sandbox.core import SandboxState
from sandbox.sayari.base import stamp
from sandbox.sayari.formats import as_workbook
from sandbox.sayari.paging import decode, encode, token_page
from sandbox.sayari.register import register

UPLOAD = "name,country\nTesco,GBR\nTesco,USA\nNobody,\nTesco,GBR\n"
TESCO = next(entity for entity in register().entities.values() if entity.label == "Tesco PLC")


@pytest.fixture
def state() -> SandboxState:
    """A state whose time stands still unless a test moves it."""
    return SandboxState(job_seconds=10, queue_seconds=0, clock=lambda: 1_646_758_528.2)


@pytest.fixture
def api(state: SandboxState) -> Iterator[httpx.Client]:
    with Sandbox(state=state) as sandbox, httpx.Client(base_url=f"{sandbox.url}/sayari") as client:
        ask = {
            "client_id": "sandbox",
            "client_secret": "sandbox",
            "audience": "sayari.com",
            "grant_type": "client_credentials",
        }
        client.headers["authorization"] = (
            f"Bearer {client.post('/oauth/token', json=ask).json()['access_token']}"
        )
        yield client


def project(api: httpx.Client) -> str:
    return str(api.post("/v1/projects", json={"label": "Batch"}).json()["data"]["id"])


def upload(api: httpx.Client, id: str, text: str) -> httpx.Response:
    return api.post(
        f"/v1/project/{id}/resolutions", content=text.encode(), headers={"content-type": "text/csv"}
    )


def test_a_resolution_goes_on_by_the_clock(api: httpx.Client, state: SandboxState) -> None:
    id, start = project(api), state.clock()
    assert api.get(f"/v1/project/{id}/resolutions/progress").status_code == 404
    assert upload(api, id, UPLOAD).json() == {
        "file": "csv-body-upload",
        "uploaded": "2022-03-08T16:55:28.200Z",
        "count": 4,
    }
    seen = []
    for seconds in (0, 5, 10, 99):
        state.clock = lambda seconds=seconds: start + seconds  # type: ignore[misc]
        progress = api.get(f"/v1/project/{id}/resolutions/progress").json()
        assert progress["total"] == 4
        lists = [
            api.get(f"/v1/project/{id}/resolutions/{kind}").json() for kind in ("resolved", "unresolved")
        ]
        assert sum(page["size"]["count"] for page in lists) == 4 - progress["remaining"]
        seen.append((progress["remaining"], progress["updated"]))
    assert seen == [
        (4, "2022-03-08 16:55:28.2+00"),
        (2, "2022-03-08 16:55:33.2+00"),
        (0, "2022-03-08 16:55:38.2+00"),
        (0, "2022-03-08 16:55:38.2+00"),
    ]
    assert [page["size"]["count"] for page in lists] == [2, 2]
    assert len({item["id"] for page in lists for item in page["data"]}) == 4
    hits = lists[0]["data"][0]["hits"]
    assert hits["version"] == 1
    assert hits["values"][TESCO.id] == {"name": ["<em>Tesco</em> <em>PLC</em>"]}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("Name\nTesco\n", 406),
        ("name,\nTesco,\n", 406),
        ("name,company\nTesco,x\n", 406),
        ("", 406),
        ("name\nTesco,GBR\n", 406),
        ('name\n"Tesco\n', 406),
        ("\ufeffname\nTesco\n", 406),
    ],
)
def test_bad_tables_are_refused(api: httpx.Client, state: SandboxState, text: str, status: int) -> None:
    id = project(api)
    answer = upload(api, id, text)
    assert answer.status_code == status
    body = answer.json()
    assert body["status"] == status
    assert body["success"] is False
    assert body["message"] == body["messages"]
    assert state.effects["sayari.projects.resolutions.upload", id] == 0


def test_only_the_three_types_of_content_are_taken(api: httpx.Client) -> None:
    target = f"/v1/project/{project(api)}/resolutions"
    assert api.post(target, content=b"name", headers={"content-type": "text/plain"}).status_code == 415
    assert api.post(target, files={"file": ("list.xlsx", b"PK\x03\x04", "text/csv")}).status_code == 415
    assert api.post(target, files={"file": ("list.csv", b"\xff\xfe", "text/csv")}).status_code == 415
    assert api.post(target, files={"upload": ("list.csv", b"name\nTesco\n")}).status_code == 406
    assert api.post(target, json={"name": ["Tesco"]}).status_code == 406
    assert api.post(target, json=[{"nome": ["Tesco"]}]).status_code == 406
    assert api.post(target, json=[{"name": "Tesco"}]).status_code == 406
    assert api.post(target, files={"file": ("list.csv", b"name\nTesco\n")}).json()["file"] == "list.csv"


def test_columns_of_one_name_are_values_of_one_attribute(api: httpx.Client, state: SandboxState) -> None:
    state.job_seconds, id = 0, project(api)
    upload(api, id, "name,name,ru_inn,identifier\nGazprom,,7736050003,\nA,B,,12\n")
    resolved = api.get(f"/v1/project/{id}/resolutions/resolved").json()["data"]
    assert resolved[0]["attributes"] == {
        "name": ["Gazprom"],
        "identifier": [{"type": "ru_inn", "value": "7736050003", "label": "Ru Inn"}],
    }
    unresolved = api.get(f"/v1/project/{id}/resolutions/unresolved").json()["data"]
    assert unresolved[0]["attributes"] == {"name": ["A", "B"], "identifier": [{"value": "12"}]}


def test_effects_are_counted(api: httpx.Client, state: SandboxState) -> None:
    id = project(api)
    body = {
        "type": "entity",
        "project": id,
        "label": "x",
        "resource_graph": "sayari",
        "resource_id": TESCO.id,
    }
    saved = api.post("/v1/resource", json=body).json()["data"]["id"]
    upload(api, id, UPLOAD)
    api.patch(f"/v1/resource/{saved}", json={"field": "label", "value": "y"})
    api.delete(f"/v1/resource/{saved}/change_notifications")
    api.delete(f"/v1/resource/{saved}")
    api.patch(f"/v1/projects/{id}", json={"field": "label", "value": "y"})
    api.delete(f"/v1/project/{id}/resolutions/unresolved")
    api.delete(f"/v1/project/{id}")
    assert dict(state.effects) == {
        ("sayari.projects.create", "Batch"): 1,
        ("sayari.resources.create", TESCO.id): 1,
        ("sayari.projects.resolutions.upload", id): 1,
        ("sayari.resources.update", saved): 1,
        ("sayari.resources.change_notifications.delete", saved): 1,
        ("sayari.resources.delete", saved): 1,
        ("sayari.projects.update", id): 1,
        ("sayari.projects.resolutions.delete_all_unresolved", id): 1,
        ("sayari.projects.delete", id): 1,
    }


@pytest.mark.parametrize(
    ("method", "target", "options", "status"),
    [
        ("GET", "/v1/entity/nobody", {}, 404),
        ("GET", "/v1/record/no/such/record", {}, 404),
        ("GET", "/v1/search/entity", {}, 406),
        ("GET", "/v1/search/entity?q=a&fields=colour", {}, 406),
        ("GET", "/v1/search/entity?q=a&filters=colour%3Dred", {}, 406),
        ("GET", "/v1/search/entity?q=a&limit=101", {}, 406),
        ("GET", "/v1/search/entity?q=a", {"headers": {"accept": "image/png"}}, 415),
        ("POST", "/v1/search/entity", {"content": b"q"}, 400),
        ("GET", f"/v1/traversal/{TESCO.id}?limit=51", {}, 406),
        ("GET", f"/v1/traversal/{TESCO.id}?max_depth=11", {}, 406),
        ("GET", f"/v1/shortest_path?entities={TESCO.id}", {}, 406),
        ("GET", "/v1/projects?next=%21", {}, 406),
        ("GET", "/usage?from=yesterday", {}, 406),
        ("POST", "/v1/projects", {"json": {"label": 1}}, 406),
        ("POST", "/v1/resource", {"json": {"type": "entity"}}, 406),
        ("POST", "/oauth/token", {"json": {"client_id": "sandbox"}}, 400),
        ("GET", "/v1/sources", {"headers": {"authorization": "Bearer other"}}, 401),
    ],
)
def test_what_is_refused(
    api: httpx.Client, method: str, target: str, options: dict[str, Any], status: int
) -> None:
    assert api.request(method, target, **options).status_code == status


@pytest.mark.parametrize("value", [1, "yes", None])
def test_a_project_is_archived_with_a_boolean(api: httpx.Client, value: object) -> None:
    answer = api.patch(f"/v1/project/{project(api)}", json={"field": "archived", "value": value})
    assert answer.status_code == 406


def test_both_spellings_of_what_the_reference_spells_two_ways(api: httpx.Client) -> None:
    id = project(api)
    assert api.get(f"/v1/project/{id}").json() == api.get(f"/v1/projects/{id}").json()
    assert api.get("/v1/usage").json() == api.get("/usage").json()
    record = f"/v1/record/{TESCO.source.id}"
    assert api.get(f"{record}/00445790").json() == api.get(f"{record}%2F00445790").json()
    filters = [
        api.get(f"/v1/search/entity?q=tesco&{text}").json()
        for text in ("filters=country=GBR", "filter=country%3DGBR")
    ]
    posted = api.post(
        "/v1/search/entity?limit=100", json={"q": "tesco", "filter": {"country": ["GBR"]}}
    ).json()
    assert filters[0] == filters[1] == posted


def test_a_search_in_full_syntax(api: httpx.Client) -> None:
    q = "(identifier.value:00445790 AND identifier.type:uk_company_number)"
    found = api.get("/v1/search/entity", params={"q": q, "advanced": "true", "facets": "true"}).json()
    assert [entity["label"] for entity in found["data"]] == ["Tesco PLC"]
    assert found["data"][0]["matches"] == {"identifier": ["<em>00445790</em>"]}
    assert found["facets"]["country"] == [{"key": "GBR", "doc_count": 1, "label": "United Kingdom"}]


def test_owners_all_the_way_up_and_the_way_across(api: httpx.Client) -> None:
    labels = {entity.label: entity.id for entity in register().entities.values()}
    paths = api.get(f"/v1/ubo/{labels['Bentley Motors Limited']}").json()["data"]
    assert [step["field"] for step in paths[-1]["path"]] == [
        "subsidiary_of",
        "subsidiary_of",
        "has_shareholder",
    ]
    assert paths[-1]["target"]["label"] == "Porsche Automobil Holding SE"
    listed = api.get(f"/v1/watchlist/{labels['Public Joint Stock Company Gazprom']}").json()
    assert {path["target"]["sanctioned"] for path in listed["data"]} == {True}
    assert listed["watchlist"] is True
    plain, psa = (api.get(f"/v1/traversal/{TESCO.id}{query}").json() for query in ("", "?psa"))
    assert len(psa["data"]) == len(plain["data"]) + 1


def test_a_workbook_can_be_opened() -> None:
    with zipfile.ZipFile(io.BytesIO(as_workbook([("label",), ("A & B",)]))) as book:
        assert book.testzip() is None
        assert b"<t>A &amp; B</t>" in book.read("xl/worksheets/sheet1.xml")


@pytest.mark.parametrize(
    ("token", "place"),
    [
        ("MjAyMi0wMi0yOCAxNjoyMjozNC43MDc0NyswMHxtR0pCR2E", ("2022-02-28 16:22:34.70747+00", "mGJBGa")),
        (
            "MjAyMi0wMy0wOCAxNjo1NToyOC4xNzkrMDB8ZTQwNzllMjFlZjJmMTNiNTFhZjBhZDEwZjYzMDVjMzM",
            ("2022-03-08 16:55:28.179+00", "e4079e21ef2f13b51af0ad10f6305c33"),
        ),
    ],
)
def test_tokens_are_those_of_the_reference(token: str, place: tuple[str, str]) -> None:
    assert decode(token) == place
    assert encode(*place) == token


@given(st.floats(0, 4_000_000_000), st.floats(0, 4_000_000_000))
def test_timestamps_sort_as_text(one: float, other: float) -> None:
    assert (stamp(one) <= stamp(other)) is (round(one, 6) <= round(other, 6)) or abs(one - other) < 2e-6


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text("xyz", max_size=3))), st.integers(1, 5))
def test_pages_forward_and_back_are_the_list(places: list[tuple[str, str]], limit: int) -> None:
    items = [(*place, place) for place in sorted(set(places))]
    whole = [place for *_, place in reversed(items)]
    forward: list[Any] = []
    query = {"limit": str(limit)}
    while True:
        page = token_page(items, QueryParams(query), lambda item: item)
        assert ("prev" in page) is bool(forward)
        forward += page["data"]
        if "next" not in page:
            break
        query["next"] = page["next"]
    assert forward == whole
    if "prev" in page:
        before = token_page(
            items, QueryParams({"limit": str(limit), "prev": page["prev"]}), lambda item: item
        )
        first = whole.index(page["data"][0])
        assert before["data"] == whole[max(0, first - limit) : first]


@given(st.text(), st.text())
def test_any_place_has_a_token(time: str, id: str) -> None:
    if "|" not in time and not any("\ud800" <= c <= "\udfff" for c in time + id):
        assert decode(encode(time, id)) == (time, id)
