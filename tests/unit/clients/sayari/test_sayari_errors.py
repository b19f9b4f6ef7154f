"""Errors as the vendor tells them, and tokens through their life."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from clients.auth import TokenAuth
from clients.errors import (
    AuthenticationError,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    VendorError,
    VendorUnavailable,
)
from clients.sayari import Sayari
from clients.sayari.auth import AccessToken, token_auth
from clients.transport import Transport
from sandbox import Sandbox
from sandbox.core import Fault, SandboxState
from tests.support.recording_client import RecordingClient
from tests.support.sayari_client import TESCO, Scene, record_sayari


@pytest.fixture
def recorder() -> Iterator[RecordingClient[Sayari]]:
    with Sandbox(state=SandboxState(job_seconds=0, queue_seconds=0)) as sandbox:
        recorder = record_sayari(sandbox)
        yield recorder
        recorder.close()


def test_the_vendors_words_are_kept_once(client: Sayari) -> None:
    with pytest.raises(NotFound) as failed:
        client.projects.get("nobody")
    assert str(failed.value) == "sayari projects.get: not found (HTTP 404): no such project"


@pytest.mark.parametrize("status", [400, 403, 405, 406, 415])
def test_refusals(recorder: RecordingClient[Sayari], client: Sayari, status: int) -> None:
    recorder.sandbox.state.faults["sayari.projects.delete"].append(Fault("status", status=status))
    with pytest.raises(Rejected) as failed:
        client.projects.delete("DgEVYa")
    assert (failed.value.status, failed.value.detail) == (status, "fault on demand")


def test_too_many_calls(recorder: RecordingClient[Sayari], client: Sayari) -> None:
    recorder.sandbox.state.faults["sayari.search.entities"].append(Fault("status", status=429, retry_after=7))
    with pytest.raises(RateLimited) as failed:
        client.search.entities("tesco")
    assert failed.value.retry_after == 7


def test_searches_and_traversals_have_a_rate_limit_of_their_own(recorder: RecordingClient[Sayari]) -> None:
    asked: list[str] = []

    def acquire(kind: str) -> float:
        asked.append(kind)
        return 3.0 if kind == "advanced" else 0.0

    client = recorder.connect(acquire=acquire)
    client.sources.list()
    advanced: list[Callable[[], Any]] = [
        lambda: client.search.entities("tesco"),
        lambda: client.search.entities_post("tesco"),
        lambda: client.search.records("tesco"),
        lambda: client.search.records_post("tesco"),
        lambda: client.traversals.traverse(TESCO.id),
        lambda: client.traversals.ubo(TESCO.id),
        lambda: client.traversals.downstream(TESCO.id),
        lambda: client.traversals.watchlist(TESCO.id),
        lambda: client.traversals.shortest_path([TESCO.id]),
    ]
    for call in advanced:
        with pytest.raises(RateLimited) as failed:
            call()
        assert failed.value.retry_after == 3.0
    assert asked == ["standard", "standard", *["advanced"] * len(advanced)]


@pytest.mark.parametrize(
    ("operation", "call", "error"),
    [
        ("projects.create", lambda c, _: c.projects.create("x"), OutcomeUnknown),
        (
            "projects.resolutions.upload",
            lambda c, s: c.projects.resolutions.upload(s.project, csv=b"name\nTesco\n"),
            OutcomeUnknown,
        ),
        ("search.entities_post", lambda c, _: c.search.entities_post("tesco"), VendorUnavailable),
        ("projects.list", lambda c, _: c.projects.list(), VendorUnavailable),
    ],
)
@pytest.mark.parametrize("fault", [Fault("lost_after"), Fault("status", status=500)])
def test_only_effects_have_an_unknown_outcome(
    operation: str,
    call: Callable[[Sayari, Scene], Any],
    error: type[VendorError],
    fault: Fault,
    recorder: RecordingClient[Sayari],
    client: Sayari,
    scene: Scene,
) -> None:
    recorder.sandbox.state.faults[f"sayari.{operation}"].append(Fault(fault.kind, status=fault.status))
    with pytest.raises(error):
        call(client, scene)


def test_usage_and_history_are_asked_for_under_v1_where_the_documented_path_is_gone(
    recorder: RecordingClient[Sayari], client: Sayari
) -> None:
    for operation in ("usage", "history"):
        recorder.sandbox.state.faults[f"sayari.{operation}"].append(Fault("status", status=404))
    assert client.usage().usage["search_entities"] == 0
    assert client.history().events == []
    paths = [request.url.path.removeprefix("/sayari") for request in recorder.requests]
    assert paths == ["/oauth/token", "/usage", "/v1/usage", "/history", "/v1/history"]


def test_one_token_serves_many_calls(recorder: RecordingClient[Sayari], client: Sayari) -> None:
    client.sources.list()
    client.projects.list()
    assert recorder.token_requests() == 1


def test_a_refused_token_is_renewed_once(recorder: RecordingClient[Sayari], client: Sayari) -> None:
    client.sources.list()
    recorder.sandbox.state.faults["sayari.sources.list"].append(Fault("expire"))
    client.sources.list()
    assert recorder.token_requests() == 2


def test_an_upload_is_sent_again_whole_with_the_new_token(
    recorder: RecordingClient[Sayari], client: Sayari, scene: Scene
) -> None:
    recorder.sandbox.state.faults["sayari.projects.resolutions.upload"].append(Fault("expire"))
    assert client.projects.resolutions.upload(scene.project, csv=b"name\nTesco\n").count == 1
    assert recorder.sandbox.state.effects["sayari.projects.resolutions.upload", scene.project] == 2


def test_wrong_credentials_are_not_tried_again(recorder: RecordingClient[Sayari]) -> None:
    client = recorder.connect(client_secret="wrong")
    for _ in range(3):
        with pytest.raises(AuthenticationError) as failed:
            client.sources.list()
        assert "wrong" not in str(failed.value)
    assert recorder.token_requests() == 1


@pytest.mark.parametrize(
    ("given", "lifetime"),
    [({}, 86_280), ({"expires_in": 3600}, 3480), ({"expires_in": 60}, 30), ({"expires_in": 0}, 0)],
)
def test_a_token_is_good_until_shortly_before_it_expires(given: dict[str, int], lifetime: float) -> None:
    assert AccessToken.model_validate({"access_token": "t"} | given).lifetime == lifetime


def test_a_token_is_renewed_before_it_expires(recorder: RecordingClient[Sayari]) -> None:
    now = [0.0]
    auth: TokenAuth = token_auth("sandbox", "sandbox", clock=lambda: now[0])
    with httpx.Client(event_hooks={"request": [recorder.requests.append]}) as http:
        transport = Transport("sayari", f"{recorder.sandbox.url}/sayari", auth, http=http)
        client = Sayari(transport, "sandbox", "sandbox")
        for now[0], tokens in ((0.0, 1), (86_279.0, 1), (86_281.0, 2), (172_000.0, 2)):
            client.sources.list()
            assert recorder.token_requests() == tokens


def test_an_answer_without_a_token_is_no_refusal(recorder: RecordingClient[Sayari]) -> None:
    def nothing(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"token_type": "Bearer"})

    client = Sayari.connect(
        "http://vendor.invalid", "id", "secret", http=httpx.Client(transport=httpx.MockTransport(nothing))
    )
    with pytest.raises(VendorUnavailable, match="no token"):
        client.sources.list()
    client.close()
