"""How answers and errors are read: tokens, error bodies, links, states, pages."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.creditsafe import (
    IMPORT_LIMIT,
    Creditsafe,
    FileExecution,
    Import,
    Page,
    Portfolio,
    Removal,
    State,
)
from clients.creditsafe import client as client_module
from clients.creditsafe.paging import following, items
from clients.creditsafe.status import state_of
from clients.errors import (
    AuthenticationError,
    Conflict,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    VendorError,
    VendorUnavailable,
)
from sandbox import Sandbox
from sandbox.core import Fault, SandboxState
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[Sandbox]:
    with Sandbox(state=SandboxState(job_seconds=10, queue_seconds=5, clock=clock)) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Creditsafe]:
    with Creditsafe.connect(f"{sandbox.url}/creditsafe", "sandbox", "sandbox") as connected:
        yield connected


# -- errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "detail"),
    [
        (400, Rejected, "fault on demand"),  # {correlationId, message, details}
        (401, AuthenticationError, "fault on demand"),  # {error}
        (403, Rejected, "Access forbidden"),  # {message}
        (404, NotFound, "fault on demand"),
        (409, Conflict, "fault on demand"),
        (429, RateLimited, None),  # an empty body
        (500, VendorUnavailable, "fault on demand"),
        (502, VendorUnavailable, "fault on demand"),
    ],
)
def test_every_family_of_error_bodies_is_read(
    client: Creditsafe, sandbox: Sandbox, status: int, kind: type[VendorError], detail: str | None
) -> None:
    sandbox.state.faults["creditsafe.portfolios.list"].append(Fault("status", times=2, status=status))
    with pytest.raises(kind) as raised:
        client.portfolios.list()
    assert (raised.value.status, raised.value.detail) == (status, detail)
    assert (raised.value.vendor, raised.value.operation) == ("creditsafe", "portfolios.list")


@pytest.mark.parametrize("fault", [Fault("status", status=502), Fault("lost_after"), Fault("lost_before")])
def test_a_lost_answer_to_an_effect_leaves_its_outcome_unknown(
    client: Creditsafe, sandbox: Sandbox, fault: Fault
) -> None:
    sandbox.state.faults["creditsafe.portfolios.create"].append(fault)
    with pytest.raises(OutcomeUnknown):
        client.portfolios.create("Suppliers")
    assert sandbox.state.calls["creditsafe.portfolios.create"] == 1


def test_the_wait_that_the_vendor_names_is_kept(client: Creditsafe, sandbox: Sandbox) -> None:
    fault = Fault("status", status=429, retry_after=7)
    sandbox.state.faults["creditsafe.portfolios.list"].append(fault)
    with pytest.raises(RateLimited) as raised:
        client.portfolios.list()
    assert raised.value.retry_after == 7


# -- tokens -----------------------------------------------------------------------------------------------


def test_one_token_serves_many_calls(client: Creditsafe, sandbox: Sandbox) -> None:
    for _ in range(3):
        client.portfolios.list()
    assert sandbox.state.calls["creditsafe.authenticate"] == 1


def test_an_expired_token_is_replaced_once_and_the_call_repeated(
    client: Creditsafe, sandbox: Sandbox, clock: Clock
) -> None:
    portfolio = client.portfolios.create("Suppliers").portfolio_id
    clock.now += 3_601
    client.records.import_file(portfolio, io.BytesIO(b"name\r\nShell plc\r\n"))
    assert sandbox.state.calls["creditsafe.authenticate"] == 2
    assert client.portfolios.get(portfolio).record_count == 1


def test_tokens_are_renewed_before_their_hour_is_over(
    client: Creditsafe, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client_module.TOKEN_LIFETIME == 55 * 60
    monkeypatch.setattr(client_module, "TOKEN_LIFETIME", 0.0)
    client.portfolios.list()
    client.portfolios.list()
    assert sandbox.state.calls["creditsafe.authenticate"] == 2


def test_refused_credentials_are_tried_once_and_the_account_is_never_locked(sandbox: Sandbox) -> None:
    with Creditsafe.connect(f"{sandbox.url}/creditsafe", "sandbox", "mistyped") as client:
        for ask in (client.portfolios.list, client.authenticate, client.portfolios.list) * 3:
            with pytest.raises(AuthenticationError, match="Access denied") as refused:
                ask()
            assert "mistyped" not in str(refused.value)
    assert sandbox.state.calls == {"creditsafe.authenticate": 1}
    assert not sandbox.state.effects


@pytest.mark.parametrize("answer", [{}, {"token": ""}, {"token": None}, ["token"], None])
def test_an_answer_without_a_token_is_no_token(answer: Any) -> None:
    http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=answer)))
    with (
        Creditsafe.connect("https://creditsafe.test", "u", "p", http=http) as client,
        pytest.raises(VendorUnavailable, match="no token"),
    ):
        client.portfolios.list()


# -- files ------------------------------------------------------------------------------------------------


def test_a_file_that_is_too_large_is_not_sent(client: Creditsafe, sandbox: Sandbox) -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(IMPORT_LIMIT + 1)
        with pytest.raises(ValueError, match="50,000,001 bytes"):
            client.records.import_file("any", file)
    assert not sandbox.state.calls


def test_a_result_is_fetched_without_the_token_until_its_link_expires(sandbox: Sandbox, clock: Clock) -> None:
    sent: list[httpx.Request] = []
    http = httpx.Client(event_hooks={"request": [sent.append]})
    with Creditsafe.connect(f"{sandbox.url}/creditsafe", "sandbox", "sandbox", http=http) as client:
        portfolio = client.portfolios.create("Suppliers").portfolio_id
        client.records.import_file(portfolio, io.BytesIO(b"name,reference\r\nShell plc,1\r\nSHELL PLC,2\r\n"))
        run = client.duplicates.identify(portfolio, ["name"]).execution_id
        assert client.duplicates.status(portfolio, run).state is State.RUNNING
        clock.now += 15
        link = client.duplicates.status(portfolio, run).link
        assert link is not None
        with client.download(link) as response:
            assert response.read().decode().splitlines()[1].endswith(",2,SHELL PLC")
        assert sent[-1].url.host == "localhost"
        assert "authorization" not in sent[-1].headers
        assert "authorization" in sent[-2].headers
        clock.now += sandbox.state.link_seconds
        with pytest.raises(Rejected) as expired, client.download(link):
            pass
        assert expired.value.status == 403
        fresh = client.duplicates.status(portfolio, run).link
        assert fresh is not None
        with client.download(fresh) as response:
            whole, etag = response.read(), response.headers["etag"]
        for known, status, content in ((etag, 206, whole[9:]), ('"another file"', 200, whole)):
            with client.download(fresh, offset=9, etag=known) as response:
                assert (response.status_code, response.read()) == (status, content)
        sandbox.state.faults["creditsafe.download"].append(Fault("lost_after"))
        with (
            pytest.raises(VendorUnavailable, match="the answer was lost"),
            client.download(fresh) as response,
        ):
            response.read()


def test_links_are_searched_in_their_order() -> None:
    names = ["downloadUrl", "fileUrl", "filePath", "url", "link"]
    for position, name in enumerate(names):
        answer = {other: other for other in reversed(names[position:])} | {"status": "COMPLETED"}
        assert FileExecution.model_validate(answer).link == name
    assert FileExecution.model_validate({"url": "https://files.test"}).state is State.DONE
    assert FileExecution.model_validate({}).state is State.RUNNING


# -- tolerance --------------------------------------------------------------------------------------------


def test_ids_and_extras_are_taken_as_they_come() -> None:
    assert Portfolio.model_validate({"id": 12, "owner": "x"}).portfolio_id == "12"
    assert Portfolio.model_validate({"portfolioId": "a", "id": "b"}).portfolio_id == "a"
    assert Portfolio.model_validate({"id": 12}).model_dump(by_alias=True)["portfolioId"] == "12"


@pytest.mark.parametrize("status", [200, 202, 204])
def test_answers_without_a_body_are_understood(status: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        token = request.url.path.endswith("/authenticate")
        return httpx.Response(200, json={"token": "t"}) if token else httpx.Response(status)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    with Creditsafe.connect("https://creditsafe.test", "u", "p", http=http) as client:
        assert client.portfolios.update("p", name="n") is None
        assert client.portfolios.delete("p") is True
        assert client.records.delete("p", ["r"]).deleted is None
        assert client.records.import_file("p", io.BytesIO(b"name\r\nx\r\n")) == Import()
        assert client.duplicates.remove("p") == Removal()
        with pytest.raises(OutcomeUnknown, match="another shape"):
            client.matching.start("p")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("COMPLETED", State.DONE),
        ("success", State.DONE),
        ("Finished.", State.DONE),
        ("PARTIALLY_COMPLETED", State.PARTIAL),
        ("partiallyCompleted", State.PARTIAL),
        ("FAILED", State.FAILED),
        ("uploadError", State.FAILED),
        ("insufficientCredits", State.FAILED),
        ("INSUFFICIENT_CREDITS", State.FAILED),
        ("cancelled", State.FAILED),
        ("PENDING", State.RUNNING),
        ("IN_PROGRESS", State.RUNNING),
        ("readyForEnriching", State.RUNNING),
        ("something new", State.RUNNING),
        ("", State.RUNNING),
        (None, State.RUNNING),
    ],
)
def test_states_are_told_from_words(status: str | None, state: State) -> None:
    assert state_of(status) is state


@given(st.text())
def test_any_word_has_a_state_and_spelling_does_not_matter(status: str) -> None:
    assert state_of(status) is state_of(f"  {status.lower()}-")


# -- pages ------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(), max_size=3), max_size=5), st.booleans(), st.booleans())
def test_pages_are_followed_to_their_end(pages: list[list[int]], paging: bool, total: bool) -> None:
    everything = [item for page in pages for item in page]
    served = pages if paging else [page for page in pages if page]

    def ask(number: int) -> Page[int]:
        answer: dict[str, Any] = {"data": served[number] if number < len(served) else []}
        if total:
            answer["totalCount"] = len(everything)
        if paging:
            answer["paging"] = {"next": number + 1 if number + 1 < len(served) else None}
        return Page[int].model_validate(answer)

    assert list(items(ask)) == everything


@given(st.integers(0, 100), st.integers(-5, 100))
def test_pages_never_go_round_in_a_circle(page: int, named: int) -> None:
    answer = Page[int].model_validate({"data": [], "paging": {"next": named}})
    if named > page:
        assert following(answer, page, 0) == named
    else:
        with pytest.raises(VendorUnavailable, match="names page"):
            following(answer, page, 0)
