"""Every documented operation, on the wire against the simulator."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import httpx
import pytest

from clients.creditsafe import Creditsafe, NewRecord, State
from clients.resource import list_operations
from sandbox import Sandbox

BASE = "/v1/datastudio/portfolios"
ROWS = [
    NewRecord(name="Tesco PLC", country="GB", reference="1"),
    NewRecord(name="TESCO plc", country="United Kingdom", reference="2"),
    NewRecord(name="Nobody & Sons", reference="3"),
]


class Wire:
    """The requests as they were sent."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.http = httpx.Client(timeout=10, event_hooks={"request": [self._note]})

    def _note(self, request: httpx.Request) -> None:
        request.read()
        self.requests.append(request)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        running.state.job_seconds = running.state.queue_seconds = 0
        yield running


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def client(sandbox: Sandbox, wire: Wire) -> Iterator[Creditsafe]:
    url = f"{sandbox.url}/creditsafe"
    with Creditsafe.connect(url, "sandbox", "sandbox", http=wire.http) as connected:
        yield connected


class Given(NamedTuple):
    """What the calls of the table work on: every service has run over the portfolio."""

    portfolio: str
    record: str
    match: str
    duplicates: str
    enrichment: str


@pytest.fixture
def given(client: Creditsafe) -> Given:
    portfolio = client.portfolios.create("Suppliers").portfolio_id
    records = client.records.create(portfolio, ROWS).records
    return Given(
        portfolio,
        records[0].record_id,
        client.matching.start(portfolio).execution_id,
        client.duplicates.identify(portfolio, ["safeNumber"]).execution_id,
        client.enrichment.start(portfolio, ["general.companyName"]).execution_id,
    )


class Case(NamedTuple):
    """An operation as documented, a call of it, and what must be sent."""

    name: str
    endpoint: str
    call: Callable[[Creditsafe, Given], Any]
    query: dict[str, str] | None = None
    body: Any = None


CASES = [
    Case(
        "authenticate",
        "POST /v1/authenticate",
        lambda c, _: c.authenticate(),
        body={"username": "sandbox", "password": "sandbox"},
    ),
    Case(
        "portfolios.create",
        f"POST {BASE}",
        lambda c, _: c.portfolios.create("Buyers", "of 2026"),
        body={"name": "Buyers", "description": "of 2026"},
    ),
    Case("portfolios.get", f"GET {BASE}/{{portfolioId}}", lambda c, g: c.portfolios.get(g.portfolio)),
    Case(
        "portfolios.list",
        f"GET {BASE}",
        lambda c, _: c.portfolios.list(page=1, page_size=20),
        query={"page": "1", "pageSize": "20"},
    ),
    Case(
        "portfolios.update",
        f"PATCH {BASE}/{{portfolioId}}",
        lambda c, g: c.portfolios.update(g.portfolio, name="Sellers"),
        body={"name": "Sellers"},
    ),
    Case(
        "portfolios.delete",
        "DELETE /{apiVersion}/datastudio/portfolios/{portfolioId}",
        lambda c, g: c.portfolios.delete(g.portfolio),
    ),
    Case(
        "records.create",
        f"POST {BASE}/{{portfolioId}}/records",
        lambda c, g: c.records.create(g.portfolio, [NewRecord(org_number="00445790", personal_id="x")]),
        body={"records": [{"orgNumber": "00445790", "personalID": "x"}]},
    ),
    Case(
        "records.import_file",
        f"POST {BASE}/{{portfolioId}}/records/import",
        lambda c, g: c.records.import_file(g.portfolio, io.BytesIO(b"name\r\nShell plc\r\n")),
        body=b"name\r\nShell plc\r\n",
    ),
    Case(
        "records.list",
        f"GET {BASE}/{{portfolioId}}/records",
        lambda c, g: c.records.list(g.portfolio),
        query={"page": "0", "pageSize": "100"},
    ),
    Case(
        "records.delete",
        "POST /{apiVersion}/datastudio/portfolios/{portfolioId}/records/delete",
        lambda c, g: c.records.delete(g.portfolio, [g.record]),
        body={"recordIds": ["{record}"]},
    ),
    Case(
        "matching.start",
        f"POST {BASE}/{{portfolioId}}/match",
        lambda c, g: c.matching.start(g.portfolio),
        body={"matchAgainst": "SAFE_NUMBER"},
    ),
    Case(
        "matching.status",
        f"GET {BASE}/{{portfolioId}}/match/{{executionId}}",
        lambda c, g: c.matching.status(g.portfolio, g.match),
    ),
    Case(
        "duplicates.identify",
        "POST /{apiVersion}/datastudio/portfolios/{portfolioId}/duplicates/identify",
        lambda c, g: c.duplicates.identify(g.portfolio, ["name", "postcode"]),
        body={"fields": ["name", "postcode"]},
    ),
    Case(
        "duplicates.status",
        "GET /{apiVersion}/datastudio/portfolios/{portfolioId}/duplicates/{executionId}",
        lambda c, g: c.duplicates.status(g.portfolio, g.duplicates),
    ),
    Case(
        "duplicates.remove",
        f"POST {BASE}/{{portfolioId}}/duplicates/remove",
        lambda c, g: c.duplicates.remove(g.portfolio),
    ),
    Case(
        "enrichment.start",
        f"POST {BASE}/{{portfolioId}}/enrich",
        lambda c, g: c.enrichment.start(g.portfolio, ["general.companyName"]),
        body={"type": "GLOBAL_DATA_ENRICHMENT", "fields": ["general.companyName"]},
    ),
    Case(
        "enrichment.status",
        f"GET {BASE}/{{portfolioId}}/enrich/{{executionId}}",
        lambda c, g: c.enrichment.status(g.portfolio, g.enrichment),
    ),
]


def test_the_client_has_the_documented_operations_and_no_others(client: Creditsafe) -> None:
    listed = {op.name: f"{op.method} {op.path}" for op in list_operations(client)}
    assert listed == {case.name: case.endpoint for case in CASES}
    assert len(listed) == 17
    assert all(op.summary for op in list_operations(client))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_is_sent_is_what_is_documented(
    case: Case, client: Creditsafe, wire: Wire, given: Given, sandbox: Sandbox
) -> None:
    wire.requests.clear()
    sandbox.state.calls.clear()
    assert case.call(client, given) is not None or case.name == "portfolios.update"
    [request] = wire.requests
    execution = getattr(
        given, {"matching": "match"}.get(case.name.split(".")[0], case.name.split(".")[0]), ""
    )
    verb, path = case.endpoint.split(" ")
    path = path.format(apiVersion="v1", portfolioId=given.portfolio, executionId=execution)
    assert (request.method, request.url.path) == (verb, f"/creditsafe{path}")
    assert {name: value for name, [value] in parse_qs(request.url.query.decode()).items()} == (
        case.query or {}
    )
    _check_headers(case, request)
    if isinstance(case.body, bytes):
        assert case.body in request.content
        assert b'name="file"; filename="records.csv"\r\nContent-Type: text/csv\r\n' in request.content
    elif case.body is None:
        assert request.content == b""
    else:
        expected = json.dumps(case.body).replace("{record}", given.record)
        assert json.loads(request.content) == json.loads(expected)
    assert sandbox.state.calls == {f"creditsafe.{case.name}": 1}


def _check_headers(case: Case, request: httpx.Request) -> None:
    authorization = request.headers.get("authorization")
    assert authorization is None if case.name == "authenticate" else authorization.startswith("Bearer ")
    if isinstance(case.body, dict):
        assert request.headers["content-type"] == "application/json"
    if isinstance(case.body, bytes):
        assert request.headers["content-type"].startswith("multipart/form-data; boundary=")


def test_what_comes_back_is_typed(client: Creditsafe, given: Given) -> None:
    portfolio = client.portfolios.get(given.portfolio)
    assert (portfolio.name, portfolio.record_count) == ("Suppliers", 3)
    matching = client.matching.status(given.portfolio, given.match)
    assert matching.state is State.DONE
    assert matching.summary is not None
    assert matching.summary.items() >= {"totalRows": 3, "matched": 2, "unmatched": 1}.items()
    record = client.records.list(given.portfolio).data[0]
    assert record.safe_number is not None
    assert (record.match_status, record.enrichment) == ("MATCHED", {"general.companyName": "Tesco PLC"})
    assert (record.model_extra or {}) == {"name": "Tesco PLC", "country": "GB", "reference": "1"}
    assert client.duplicates.remove(given.portfolio).removed == 1
    assert client.records.delete(given.portfolio, [given.record, "R9"]).deleted == 1
    assert client.portfolios.delete(given.portfolio) is True
    assert client.portfolios.delete(given.portfolio) is False


def test_personal_data_and_tokens_are_in_no_repr(client: Creditsafe, given: Given) -> None:
    assert "Tesco" not in repr(client.records.list(given.portfolio))
    token = client.authenticate()
    assert token.token.get_secret_value() not in repr(token)
    with pytest.raises(ValueError, match="at most 300") as refused:
        client.records.create(given.portfolio, [NewRecord(name="Secret")] * 301)
    assert "Secret" not in str(refused.value)


def test_parameters_stay_in_their_place(client: Creditsafe, wire: Wire) -> None:
    with pytest.raises(Exception, match="not found"):
        client.portfolios.get("../portfolios?x=1#y")
    assert wire.requests[-1].url.raw_path.endswith(b"/portfolios/..%2Fportfolios%3Fx%3D1%23y")


def test_listings_are_read_page_by_page(client: Creditsafe, wire: Wire) -> None:
    names = [f"Portfolio {number}" for number in range(7)]
    ids = [client.portfolios.create(name).portfolio_id for name in names]
    client.records.create(ids[0], [NewRecord(reference=str(number)) for number in range(7)])
    wire.requests.clear()
    assert [found.name for found in client.portfolios.all(page_size=3)] == names
    assert len(wire.requests) == 3
    records = client.records.all(ids[0], page_size=3)
    assert [(record.model_extra or {})["reference"] for record in records] == [str(n) for n in range(7)]
    assert list(client.records.all(ids[1])) == []
