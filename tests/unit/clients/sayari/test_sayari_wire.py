"""Each documented operation, as it goes over the wire; the arguments are those of the document's examples."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import pytest

from clients.resource import list_operations
from clients.sayari import Sayari, UploadEntity, UploadIdentifier
from clients.sayari.requests import CSV, EXCEL, PDF
from tests.support.recording_client import RecordingClient
from tests.support.sayari_client import Scene

DOCUMENTED = {
    "POST /oauth/token",
    "GET /v1/entity/{id}",
    "GET /v1/entity_summary/{id}",
    "GET /v1/traversal/{id}",
    "GET /v1/ubo/{id}",
    "GET /v1/downstream/{id}",
    "GET /v1/watchlist/{id}",
    "GET /v1/shortest_path",
    "GET /v1/record/{id}",
    "GET /v1/search/entity",
    "POST /v1/search/entity",
    "GET /v1/search/record",
    "POST /v1/search/record",
    "GET /v1/source/{id}",
    "GET /v1/sources",
    "POST /v1/projects",
    "GET /v1/projects",
    "GET /v1/project/{id}",
    "GET /v1/project/{id}/contents",
    "PATCH /v1/project/{id}",
    "DELETE /v1/projects/{id}",
    "GET /v1/project/{id}/entity",
    "GET /v1/project/{id}/record",
    "GET /v1/project/{id}/resource",
    "POST /v1/resource",
    "GET /v1/resource/{id}",
    "PATCH /v1/resource/{id}",
    "DELETE /v1/resource/{id}",
    "GET /v1/project/{id}/change_notifications",
    "GET /v1/resource/{id}/change_notifications",
    "GET /v1/resource/{id}/change_notifications/count",
    "DELETE /v1/project/{id}/change_notifications",
    "DELETE /v1/resource/{id}/change_notifications",
    "POST /v1/project/{id}/resolutions",
    "GET /v1/project/{id}/resolutions/progress",
    "GET /v1/project/{id}/resolutions/resolved",
    "GET /v1/project/{id}/resolutions/unresolved",
    "DELETE /v1/project/{id}/resolutions/resolved/{resolutionId}",
    "DELETE /v1/project/{id}/resolutions/unresolved/{resolutionId}",
    "DELETE /v1/project/{id}/resolutions/resolved",
    "DELETE /v1/project/{id}/resolutions/unresolved",
    "GET /usage",
    "GET /history",
}

UK, ALBANIA = "ecdfb3f2ecc8c3797e77d5795a8066ef", "4ea8bac1bed868e1510ffd21842e9551"
#: Page tokens of the document; the last one is the simulator's own.
PROJECTS = "MjAyMi0wMi0yOCAxNjoyMjo0MS4yNDEzMTMrMDB8OGdqYTBC"
CONTENTS = "MjAyMi0wMi0yOCAxNzo1MzowOC41MDU5NzQrMDB8OGdqYTBC"
RESOLVED = "MjAyMi0wMy0wOCAxNjo1NToyOC4xNzkrMDB8ZWE5MTdiODkxYmNjZjJlZTFhNjcyM2Q0MmM2YzAwNWY"
RELATIONSHIPS = "MDAwMDAwMDA5fA"
LABEL = {"field": "label", "value": "New Label"}
RUSSKIY_MIR = {
    "name": ["Russkiy Mir Foundation", 'ФОНД "РУССКИЙ МИР"'],
    "identifier": [{"type": "ru_inn", "value": "7731281960"}, {"type": "ru_ogrn", "value": "1077799019253"}],
}


class Sent(NamedTuple):
    """A call and the request it must make, with the scene's ids for the names in braces."""

    call: Callable[[Sayari, Scene], Any]
    request: str
    body: Any = None


SENT = {
    "auth.token": Sent(
        lambda c, _: c.auth.token(),
        "POST /oauth/token",
        {
            "client_id": "sandbox",
            "client_secret": "sandbox",
            "audience": "sayari.com",
            "grant_type": "client_credentials",
        },
    ),
    "entities.get": Sent(
        lambda c, s: c.entities.get(
            s.entity, attributes={"name": {"limit": 10}}, relationships={"next": RELATIONSHIPS}
        ),
        f"GET /v1/entity/{{entity}}?attributes.name.limit=10&relationships.next={RELATIONSHIPS}",
    ),
    "entities.summary": Sent(lambda c, s: c.entities.summary(s.entity), "GET /v1/entity_summary/{entity}"),
    "traversals.traverse": Sent(
        lambda c, s: c.traversals.traverse(
            s.entity, max_depth=6, relationships=["has_shareholder", "branch_of"], psa=True
        ),
        "GET /v1/traversal/{entity}?max_depth=6&relationships=has_shareholder&relationships=branch_of&psa=true",
    ),
    "traversals.ubo": Sent(
        lambda c, s: c.traversals.ubo(s.other, offset=0, limit=20), "GET /v1/ubo/{other}?offset=0&limit=20"
    ),
    "traversals.downstream": Sent(
        lambda c, s: c.traversals.downstream(s.entity, countries="GBR", types=["company"]),
        "GET /v1/downstream/{entity}?countries=GBR&types=company",
    ),
    "traversals.watchlist": Sent(
        lambda c, s: c.traversals.watchlist(s.entity, min_depth=1, name="bank"),
        "GET /v1/watchlist/{entity}?min_depth=1&name=bank",
    ),
    "traversals.shortest_path": Sent(
        lambda c, s: c.traversals.shortest_path([s.entity, s.other]),
        "GET /v1/shortest_path?entities={entity}&entities={other}",
    ),
    "records.get": Sent(
        lambda c, s: c.records.get(f"{s.source}/00445790", references_limit=100, references_offset=0),
        "GET /v1/record/{source}%2F00445790?references.limit=100&references.offset=0",
    ),
    "search.entities": Sent(
        lambda c, _: c.search.entities("example", filters={"source": [UK, ALBANIA]}, limit=1),
        f"GET /v1/search/entity?q=example&filters=source%3D{UK}&filters=source%3D{ALBANIA}&limit=1",
    ),
    "search.entities_post": Sent(
        lambda c, _: c.search.entities_post("test", filters={"source": [UK, ALBANIA]}),
        "POST /v1/search/entity",
        {"q": "test", "filters": {"source": [UK, ALBANIA]}},
    ),
    "search.records": Sent(
        lambda c, _: c.search.records("apple", fields=["address", "name"], facets=True),
        "GET /v1/search/record?q=apple&fields=address&fields=name&facets=true",
    ),
    "search.records_post": Sent(
        lambda c, _: c.search.records_post("test", fields=["address", "name"], advanced=False, offset=0),
        "POST /v1/search/record",
        {"q": "test", "fields": ["address", "name"], "advanced": False, "offset": 0},
    ),
    "sources.get": Sent(lambda c, s: c.sources.get(s.source), "GET /v1/source/{source}"),
    "sources.list": Sent(lambda c, _: c.sources.list(limit=10), "GET /v1/sources?limit=10"),
    "projects.create": Sent(
        lambda c, _: c.projects.create("New Project"), "POST /v1/projects", {"label": "New Project"}
    ),
    "projects.list": Sent(
        lambda c, _: c.projects.list(limit=2, next=PROJECTS), f"GET /v1/projects?next={PROJECTS}&limit=2"
    ),
    "projects.get": Sent(lambda c, s: c.projects.get(s.project), "GET /v1/project/{project}"),
    "projects.contents": Sent(
        lambda c, s: c.projects.contents(s.project, limit=2, next=CONTENTS),
        f"GET /v1/project/{{project}}/contents?next={CONTENTS}&limit=2",
    ),
    "projects.update": Sent(
        lambda c, s: c.projects.update(s.project, field="archived", value=True),
        "PATCH /v1/project/{project}",
        {"field": "archived", "value": True},
    ),
    "projects.delete": Sent(lambda c, s: c.projects.delete(s.project), "DELETE /v1/projects/{project}"),
    "projects.entities": Sent(
        lambda c, s: c.projects.entities(s.project, limit=2), "GET /v1/project/{project}/entity?limit=2"
    ),
    "projects.records": Sent(lambda c, s: c.projects.records(s.project), "GET /v1/project/{project}/record"),
    "projects.resources": Sent(
        lambda c, s: c.projects.resources(s.project, prev=CONTENTS),
        f"GET /v1/project/{{project}}/resource?prev={CONTENTS}",
    ),
    "resources.create": Sent(
        lambda c, s: c.resources.create(
            type="entity", project=s.project, label="test entity 1", resource_id=s.entity
        ),
        "POST /v1/resource",
        {
            "type": "entity",
            "project": "{project}",
            "label": "test entity 1",
            "resource_graph": "sayari",
            "resource_id": "{entity}",
        },
    ),
    "resources.get": Sent(lambda c, s: c.resources.get(s.resource), "GET /v1/resource/{resource}"),
    "resources.update": Sent(
        lambda c, s: c.resources.update(s.resource, value="New Label"), "PATCH /v1/resource/{resource}", LABEL
    ),
    "resources.delete": Sent(lambda c, s: c.resources.delete(s.resource), "DELETE /v1/resource/{resource}"),
    "projects.change_notifications.list": Sent(
        lambda c, s: c.projects.change_notifications.list(s.project, limit=2),
        "GET /v1/project/{project}/change_notifications?limit=2",
    ),
    "resources.change_notifications.list": Sent(
        lambda c, s: c.resources.change_notifications.list(s.resource, type="name", limit=2),
        "GET /v1/resource/{resource}/change_notifications?type=name&limit=2",
    ),
    "resources.change_notifications.count": Sent(
        lambda c, s: c.resources.change_notifications.count(s.resource),
        "GET /v1/resource/{resource}/change_notifications/count",
    ),
    "projects.change_notifications.delete": Sent(
        lambda c, s: c.projects.change_notifications.delete(s.project),
        "DELETE /v1/project/{project}/change_notifications",
    ),
    "resources.change_notifications.delete": Sent(
        lambda c, s: c.resources.change_notifications.delete(s.resource),
        "DELETE /v1/resource/{resource}/change_notifications",
    ),
    "projects.resolutions.upload": Sent(
        lambda c, s: c.projects.resolutions.upload(
            s.project, entities=[UploadEntity.model_validate(RUSSKIY_MIR)]
        ),
        "POST /v1/project/{project}/resolutions",
        [RUSSKIY_MIR],
    ),
    "projects.resolutions.progress": Sent(
        lambda c, s: c.projects.resolutions.progress(s.project), "GET /v1/project/{project}/resolutions/progress"
    ),
    "projects.resolutions.resolved": Sent(
        lambda c, s: c.projects.resolutions.resolved(s.project, limit=2, next=RESOLVED),
        f"GET /v1/project/{{project}}/resolutions/resolved?next={RESOLVED}&limit=2",
    ),
    "projects.resolutions.unresolved": Sent(
        lambda c, s: c.projects.resolutions.unresolved(s.project),
        "GET /v1/project/{project}/resolutions/unresolved",
    ),
    "projects.resolutions.delete_resolved": Sent(
        lambda c, s: c.projects.resolutions.delete_resolved(s.project, s.resolved),
        "DELETE /v1/project/{project}/resolutions/resolved/{resolved}",
    ),
    "projects.resolutions.delete_unresolved": Sent(
        lambda c, s: c.projects.resolutions.delete_unresolved(s.project, s.unresolved),
        "DELETE /v1/project/{project}/resolutions/unresolved/{unresolved}",
    ),
    "projects.resolutions.delete_all_resolved": Sent(
        lambda c, s: c.projects.resolutions.delete_all_resolved(s.project),
        "DELETE /v1/project/{project}/resolutions/resolved",
    ),
    "projects.resolutions.delete_all_unresolved": Sent(
        lambda c, s: c.projects.resolutions.delete_all_unresolved(s.project),
        "DELETE /v1/project/{project}/resolutions/unresolved",
    ),
    "usage": Sent(
        lambda c, _: c.usage(from_=date(2020, 5, 21), to="2021-05-28"), "GET /usage?from=2020-05-21&to=2021-05-28"
    ),
    "history": Sent(
        lambda c, _: c.history(from_="2020-02-22", to="2021-05-29", events=["add_to_graph"]),
        "GET /history?events=add_to_graph&from=2020-02-22&to=2021-05-29",
    ),
}  # fmt: skip


def filled(template: Any, scene: Scene) -> Any:
    text = json.dumps(template)
    for name, value in vars(scene).items():
        text = text.replace(f"{{{name}}}", value)
    return json.loads(text)


def test_exactly_the_documented_operations_are_there(client: Sayari) -> None:
    operations = list(list_operations(client))
    assert sorted(f"{each.method} {each.path}" for each in operations) == sorted(DOCUMENTED)
    assert {each.name for each in operations} == set(SENT)
    assert all(each.summary for each in operations)


@pytest.mark.parametrize("operation", SENT)
def test_an_operation_sends_what_is_documented(
    operation: str, recorder: RecordingClient[Sayari], client: Sayari, scene: Scene
) -> None:
    sent = SENT[operation]
    before = recorder.sandbox.state.calls[f"sayari.{operation}"]
    sent.call(client, scene)

    request = recorder.requests[-1]
    target = request.url.raw_path.decode().removeprefix("/sayari")
    assert f"{request.method} {target}" == filled(sent.request, scene)
    assert request.headers["accept"] == "application/json"
    assert (request.headers.get("authorization", "").startswith("Bearer sk_test_")) is (
        operation != "auth.token"
    )
    body = json.loads(request.content) if request.content else None
    assert body == filled(sent.body, scene)
    assert recorder.sandbox.state.calls[f"sayari.{operation}"] == before + 1


@pytest.mark.parametrize(
    ("call", "accept", "begins"),
    [
        (lambda c, s, to: c.entities.get(s.entity, accept=CSV, to=to), CSV, b"attribute,value\r\n"),
        (lambda c, s, to: c.entities.get(s.entity, accept=PDF, to=to), PDF, b"%PDF-1."),
        (lambda c, s, to: c.entities.get(s.entity, accept=EXCEL, to=to), EXCEL, b"PK"),
        (lambda c, _, to: c.search.entities("tesco", accept=CSV, to=to), CSV, b"id,label\r\n"),
        (lambda c, _, to: c.search.entities_post("tesco", accept=CSV, to=to), CSV, b"id,label\r\n"),
        (lambda c, _, to: c.search.records("tesco", accept=CSV, to=to), CSV, b"id,label\r\n"),
        (lambda c, _, to: c.search.records_post("tesco", accept=CSV, to=to), CSV, b"id,label\r\n"),
        (lambda c, s, to: c.projects.entities(s.project, accept=EXCEL, to=to), EXCEL, b"PK"),
        (lambda c, s, to: c.projects.records(s.project, accept=EXCEL, to=to), EXCEL, b"PK"),
        (lambda c, s, to: c.projects.resources(s.project, accept=EXCEL, to=to), EXCEL, b"PK"),
    ],
)
def test_files_are_written_as_they_come(
    call: Callable[..., None],
    accept: str,
    begins: bytes,
    recorder: RecordingClient[Sayari],
    client: Sayari,
    scene: Scene,
) -> None:
    to = io.BytesIO()
    call(client, scene, to)
    assert recorder.requests[-1].headers["accept"] == accept
    assert to.getvalue().startswith(begins)


def test_a_csv_file_is_uploaded_as_a_form(
    recorder: RecordingClient[Sayari], client: Sayari, scene: Scene
) -> None:
    file = io.BytesIO(b"name,name,uk_company_number\nTesco,,00445790\nUnilever,Unilever PLC,\n")
    upload = client.projects.resolutions.upload(scene.project, file=file, filename="test_file.csv")
    assert (upload.file, upload.count) == ("test_file.csv", 2)
    assert recorder.requests[-1].headers["content-type"].startswith("multipart/form-data; boundary=")


@pytest.mark.parametrize("form", [bytes, io.BytesIO, lambda text: iter([text[:9], text[9:]])])
def test_csv_is_uploaded_as_a_body(
    form: Callable[[bytes], Any], recorder: RecordingClient[Sayari], client: Sayari, scene: Scene
) -> None:
    upload = client.projects.resolutions.upload(scene.project, csv=form(b"name\nTesco\nUnilever\n"))
    assert (upload.file, upload.count) == ("csv-body-upload", 2)
    assert recorder.requests[-1].headers["content-type"] == "text/csv"


def test_an_identifier_needs_no_type(recorder: RecordingClient[Sayari], client: Sayari, scene: Scene) -> None:
    entity = UploadEntity(identifier=[UploadIdentifier(value="00445790")])
    upload = client.projects.resolutions.upload(scene.project, entities=[entity])
    assert json.loads(recorder.requests[-1].content) == [{"identifier": [{"value": "00445790"}]}]
    assert (upload.file, upload.count) == ("json-body-upload", 1)


def test_an_upload_has_one_form(client: Sayari) -> None:
    with pytest.raises(TypeError, match="one of"):
        client.projects.resolutions.upload("DgEVYa", csv=b"name\n", entities=[])


def test_a_query_is_encoded(recorder: RecordingClient[Sayari], client: Sayari) -> None:
    client.search.entities("foo OR (bar~5) & a=b")
    query = recorder.requests[-1].url.raw_path.decode().partition("?")[2]
    assert unquote_plus(query) == "q=foo OR (bar~5) & a=b"
    assert "&" not in query
