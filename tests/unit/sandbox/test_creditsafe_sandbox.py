"""The simulator is as strict as the vendor."""

from __future__ import annotations

import csv
import gzip
import io
import tarfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox import Sandbox, register
from sandbox.core import SandboxState
from tests.support.clock import Clock

DATASTUDIO = "/v1/datastudio/portfolios"
CSV = b"name,country,reference\r\nTesco PLC,GB,1\r\nTESCO plc,United Kingdom,2\r\nNobody & Sons,,3\r\n"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> SandboxState:
    return SandboxState(job_seconds=10, queue_seconds=5, clock=clock)


@pytest.fixture
def http(state: SandboxState) -> Iterator[httpx.Client]:
    with Sandbox(state=state) as sandbox, httpx.Client(base_url=f"{sandbox.url}/creditsafe") as client:
        credentials = {"username": "sandbox", "password": "sandbox"}
        token = client.post("/v1/authenticate", json=credentials).json()["token"]
        client.headers["authorization"] = f"Bearer {token}"
        yield client


def portfolio(http: httpx.Client, name: str = "Suppliers", content: bytes | None = CSV) -> str:
    created = http.post(DATASTUDIO, json={"name": name})
    assert created.status_code == 201
    path = f"{DATASTUDIO}/{created.json()['portfolioId']}"
    if content is not None:
        answer = imported(http, path, content)
        assert answer.status_code == 202, answer.text
    return path


def imported(http: httpx.Client, path: str, content: bytes, part: str = "file") -> httpx.Response:
    return http.post(f"{path}/records/import", files={part: ("records.csv", content)})


def records(http: httpx.Client, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get(f"{path}/records").json()["data"]
    return found


def tar(*names: str, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(CSV)
            archive.addfile(member, io.BytesIO(CSV))
    return buffer.getvalue()


# -- access -----------------------------------------------------------------------------------------------


def test_tokens_last_an_hour(http: httpx.Client, clock: Clock) -> None:
    clock.now += 3_599
    assert http.get(DATASTUDIO).status_code == 200
    clock.now += 1
    refused = http.get(DATASTUDIO)
    assert (refused.status_code, [*refused.json()]) == (401, ["error"])
    assert http.get(DATASTUDIO, headers={"authorization": "Bearer nonsense"}).status_code == 401


def test_repeated_wrong_attempts_are_locked_out(
    http: httpx.Client, state: SandboxState, clock: Clock
) -> None:
    def attempt(password: str) -> int:
        return http.post("/v1/authenticate", json={"username": "sandbox", "password": password}).status_code

    assert [attempt("wrong") for _ in range(7)] == [401] * 5 + [429] * 2
    assert attempt("other") == 401
    assert attempt("sandbox") == 200
    assert state.effects["creditsafe.authenticate.locked", "sandbox"] == 1
    clock.now += 121
    assert attempt("wrong") == 401
    assert (
        http.post("/v1/authenticate", json={"username": "sandbox"})
        .json()["message"]
        .startswith("Access denied")
    )


# -- requests ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("POST", DATASTUDIO, {}),
        ("POST", DATASTUDIO, {"name": ""}),
        ("POST", DATASTUDIO, {"name": "x" * 256}),
        ("POST", DATASTUDIO, {"name": "x", "owner": "y"}),
        ("POST", DATASTUDIO, ["name"]),
        ("GET", f"{DATASTUDIO}?page=-1", None),
        ("GET", f"{DATASTUDIO}?pageSize=1001", None),
        ("PATCH", "{portfolio}", {}),
        ("POST", "{portfolio}/records", {"records": []}),
        ("POST", "{portfolio}/records", {"records": [{"name": "x"}] * 301}),
        ("POST", "{portfolio}/records", {"records": [{"nmae": "x"}]}),
        ("POST", "{portfolio}/records", {"records": [{"name": 1}]}),
        ("POST", "{portfolio}/records/delete", {"recordIds": ["R1"] * 301}),
        ("POST", "{portfolio}/records/delete", {"recordIds": []}),
        ("POST", "{portfolio}/records/import", {}),
        ("POST", "{portfolio}/match", {"matchAgainst": 5}),
        ("POST", "{portfolio}/duplicates/identify", {"fields": []}),
        ("POST", "{portfolio}/duplicates/identify", {"fields": ["shoeSize"]}),
        ("POST", "{portfolio}/enrich", {"fields": ["general.companyName"]}),
        ("POST", "{portfolio}/enrich", {"type": "GLOBAL_DATA_ENRICHMENT", "fields": ["general.shoeSize"]}),
    ],
)
def test_bad_requests_are_refused_without_effect(
    http: httpx.Client, state: SandboxState, verb: str, path: str, body: Any
) -> None:
    place = portfolio(http)
    before = state.effects.copy()
    answer = http.request(verb, path.format(portfolio=place), json=body)
    assert answer.status_code == 400
    assert {*answer.json()} == {"correlationId", "message", "details"}
    assert state.effects == before


@pytest.mark.parametrize("path", ["", "/records", "/match/x", "/duplicates/x", "/enrich/x"])
def test_unknown_things_are_not_found(http: httpx.Client, path: str) -> None:
    assert http.get(f"{DATASTUDIO}/unknown{path}").status_code == 404
    if path.endswith("x"):
        assert http.get(f"{portfolio(http)}{path}").status_code == 404


def test_portfolios_are_created_changed_listed_and_deleted(http: httpx.Client) -> None:
    first, second = portfolio(http, "One"), portfolio(http, "Two", None)
    assert http.patch(first, json={"description": "ours"}).status_code == 204
    found = http.get(first).json()
    assert (found["name"], found["description"], found["recordCount"]) == ("One", "ours", 3)
    listed = http.get(f"{DATASTUDIO}?page=1&pageSize=1").json()
    assert [p["name"] for p in listed["data"]] == ["Two"]
    assert listed["paging"] == {"size": 1, "prev": 0, "next": None, "last": 1}
    assert listed["totalCount"] == 2
    assert http.delete(first).status_code == 204
    assert http.delete(first).status_code == 404
    assert http.get(second).status_code == 200


# -- imports ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        CSV,
        b"\xef\xbb\xbf" + CSV,
        gzip.compress(CSV, mtime=0),
        tar("records.csv"),
        tar("records.csv", mode="w:gz"),
    ],
    ids=["csv", "bom", "gzip", "tar", "gztar"],
)
def test_every_format_is_imported(http: httpx.Client, state: SandboxState, content: bytes) -> None:
    path = portfolio(http, content=content)
    found = records(http, path)
    assert [record.pop("recordId")[:1] for record in found] == ["R"] * 3
    assert found == list(csv.DictReader(io.StringIO(CSV.decode())))
    [key] = [key for operation, key in state.effects if operation == "creditsafe.records.import_file"]
    assert key.startswith(path.rpartition("/")[2] + "/")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "first row"),
        (b"name\r\n", "no record"),
        (b"name,Town\r\nx,y\r\n", "column 2"),
        (b"name,name\r\nx,y\r\n", "twice"),
        (b"name,town\r\nx,y\r\nz\r\n", "line 3: 1 cells"),
        (b'name\r\n"x\r\n', "line 2"),
        (b"name\r\n\xff\r\n", "UTF-8"),
        (gzip.compress(CSV, mtime=0)[:-12], "damaged"),
        (tar("records.txt"), "one CSV"),
        (tar("a.csv", "b.csv"), "nothing else"),
        (gzip.compress(b"name\r\n" + b"x\r\n" * 100_000, mtime=0), "unpacks to more"),
    ],
)
def test_bad_files_are_refused_whole(
    http: httpx.Client, state: SandboxState, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    monkeypatch.setattr("sandbox.creditsafe.files.UNPACKED_LIMIT", 100_000)
    path = portfolio(http, content=None)
    answer = imported(http, path, content)
    assert answer.status_code == 400
    assert reason in answer.json()["details"]
    assert http.get(path).json()["recordCount"] == 0
    assert "creditsafe.records.import_file" not in {operation for operation, _ in state.effects}


def test_large_files_and_other_parts_are_refused(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.creditsafe.records.IMPORT_LIMIT", len(CSV) - 1)
    path = portfolio(http, content=None)
    assert imported(http, path, CSV).status_code == 413
    assert imported(http, path, CSV[:-20], part="importCsv").status_code == 400


def test_an_asynchronous_import_takes_its_time(http: httpx.Client, clock: Clock) -> None:
    path = portfolio(http, "Slow [async]", None)
    assert {*imported(http, path, CSV).json()} == {"executionId", "status"}
    assert http.get(path).json()["recordCount"] == 0
    clock.now += 15
    assert http.get(path).json()["recordCount"] == 3


def test_records_are_created_and_deleted(http: httpx.Client) -> None:
    path = portfolio(http)
    created = http.post(f"{path}/records", json={"records": [{"reference": "4"}, {"reference": "5"}]})
    assert created.status_code == 201
    assert [record["reference"] for record in created.json()["records"]] == ["4", "5"]
    ids = [record["recordId"] for record in created.json()["records"]]
    for deleted in (2, 0):
        answer = http.post(f"{path}/records/delete", json={"recordIds": [*ids, "R77", "nonsense"]})
        assert answer.json() == {"deleted": deleted}
    assert len(records(http, path)) == 3


# -- services ---------------------------------------------------------------------------------------------


def test_a_run_goes_by_the_clock_and_only_one_matches_at_a_time(http: httpx.Client, clock: Clock) -> None:
    path = portfolio(http)
    run = http.post(f"{path}/match", json={"matchAgainst": "SAFE_NUMBER"}).json()["executionId"]
    assert http.post(f"{path}/match").status_code == 409
    seen = []
    for seconds in (0, 5, 9.9, 0.1):
        clock.now += seconds
        seen.append(http.get(f"{path}/match/{run}").json()["status"])
    assert seen == ["PENDING", "IN_PROGRESS", "IN_PROGRESS", "COMPLETED"]
    summary = http.get(f"{path}/match/{run}").json()["summary"]
    assert summary == {"totalRows": 3, "matched": 2, "manualMatched": 0, "unmatched": 1, "duplicates": 1}
    statuses = [(record["matchStatus"], "safeNumber" in record) for record in records(http, path)]
    assert statuses == [("MATCHED", True), ("MATCHED", True), ("UNMATCHED", False)]
    assert http.post(f"{path}/match").status_code == 202


@pytest.mark.parametrize(
    ("name", "outcomes"), [("x [fails]", ["FAILED"] * 2), ("x [fails once]", ["FAILED", "COMPLETED"])]
)
def test_portfolios_can_be_named_to_fail(
    http: httpx.Client, clock: Clock, name: str, outcomes: list[str]
) -> None:
    path = portfolio(http, name)
    seen = []
    for _ in outcomes:
        run = http.post(f"{path}/match").json()["executionId"]
        clock.now += 15
        seen.append(http.get(f"{path}/match/{run}").json()["status"])
    assert seen == outcomes


@pytest.mark.parametrize("name", ["Suppliers", "Suppliers [async]"])
def test_duplicates_are_identified_then_removed(http: httpx.Client, clock: Clock, name: str) -> None:
    path = portfolio(http, name)
    clock.now += 15
    assert http.post(f"{path}/duplicates/remove").status_code == 409
    run = http.post(f"{path}/duplicates/identify", json={"fields": ["name"]}).json()["executionId"]
    assert http.post(f"{path}/duplicates/remove").status_code == 409
    clock.now += 15
    link = http.get(f"{path}/duplicates/{run}").json()["downloadUrl"]
    rows = list(csv.DictReader(io.StringIO(httpx.get(link).text)))
    first, second, _ = records(http, path)
    assert rows == [
        {
            "recordId": second["recordId"],
            "duplicateOf": first["recordId"],
            "reference": "2",
            "name": "TESCO plc",
        }
    ]
    for removed in (1, 0):
        answer = http.post(f"{path}/duplicates/remove").json()
        if "[async]" in name:
            clock.now += 15
            answer = http.get(f"{path}/duplicates/{answer['executionId']}").json()
        assert answer["removed"] == removed
    assert [record["reference"] for record in records(http, path)] == ["1", "3"]


@pytest.mark.parametrize("name", ["Suppliers", "Suppliers [partial] [whole files]"])
def test_result_files_can_be_fetched_in_part(http: httpx.Client, clock: Clock, name: str) -> None:
    path = portfolio(http, name)
    run = http.post(f"{path}/duplicates/identify", json={"fields": ["name"]}).json()["executionId"]
    clock.now += 15
    told = http.get(f"{path}/duplicates/{run}").json()
    whole = httpx.get(told["downloadUrl"])
    rest = httpx.get(told["downloadUrl"], headers={"Range": "bytes=10-"})
    if "[whole files]" in name:
        assert told["status"] == "PARTIALLY_COMPLETED"
        assert (rest.status_code, rest.content) == (200, whole.content)
        return
    size = len(whole.content)
    assert (whole.headers["accept-ranges"], whole.headers["content-length"]) == ("bytes", str(size))
    assert (rest.status_code, rest.content) == (206, whole.content[10:])
    assert rest.headers["content-range"] == f"bytes 10-{size - 1}/{size}"
    of_before = {"Range": "bytes=10-", "If-Range": '"another file"'}
    assert httpx.get(told["downloadUrl"], headers=of_before).content == whole.content
    assert httpx.get(told["downloadUrl"], headers={"Range": f"bytes={size}-"}).status_code == 416


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {"type": "GLOBAL_DATA_ENRICHMENT"}),
        ("", {"enrichmentType": "GLOBAL_DATA_ENRICHMENT"}),
        ("?type=GLOBAL_DATA_ENRICHMENT", {}),
    ],
)
def test_matched_records_are_enriched(
    http: httpx.Client, clock: Clock, query: str, body: dict[str, str]
) -> None:
    path = portfolio(http)
    http.post(f"{path}/match")
    clock.now += 15
    fields = {"fields": ["general.companyName", "contact.town"]}
    run = http.post(f"{path}/enrich{query}", json=body | fields).json()["executionId"]
    clock.now += 15
    link = http.get(f"{path}/enrich/{run}").json()["downloadUrl"]
    rows = list(csv.DictReader(io.StringIO(httpx.get(link).text)))
    assert [row["general.companyName"] for row in rows] == ["Tesco PLC", "Tesco PLC", ""]
    assert [row["contact.town"] for row in rows] == ["Welwyn Garden City", "Welwyn Garden City", ""]
    assert records(http, path)[0]["enrichment"]["general.companyName"] == "Tesco PLC"
    assert "enrichment" not in records(http, path)[2]


def test_links_expire_and_refuse_tokens(http: httpx.Client, clock: Clock, state: SandboxState) -> None:
    path = portfolio(http)
    run = http.post(f"{path}/duplicates/identify", json={"fields": ["name"]}).json()["executionId"]
    clock.now += 15
    link = http.get(f"{path}/duplicates/{run}").json()["downloadUrl"]
    assert httpx.URL(link).host != http.base_url.host
    assert httpx.get(link).status_code == 200
    assert httpx.get(link, headers={"authorization": http.headers["authorization"]}).status_code == 400
    clock.now += state.link_seconds
    assert httpx.get(link).status_code == 403


# -- the register -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "country", "found"),
    [
        ("tesco", "", "Tesco PLC"),
        ("Nestle SA", "CHE", "Nestlé S.A."),
        ("A.P. Moller-Maersk", "Denmark", "A.P. Møller - Mærsk A/S"),
        ("H&M Hennes & Mauritz", "se", "H & M Hennes & Mauritz AB"),
        ("Tesco PLC", "FR", None),
        ("Tescu PLC", "", None),
        ("", "", None),
    ],
)
def test_companies_are_found_by_name(name: str, country: str, found: str | None) -> None:
    company = register.find(name, country)
    assert (company.name if company else None) == found


def test_every_company_is_found_by_its_own_name() -> None:
    assert len({company.safe_number for company in register.COMPANIES}) == len(register.COMPANIES) >= 60
    for company in register.COMPANIES:
        assert register.find(company.name.upper(), company.country) == company


@given(st.text())
@example("\U0001d54a")  # a capital only once it is taken apart
def test_a_normalised_name_stays_as_it_is(name: str) -> None:
    assert register.normalised(register.normalised(name)) == register.normalised(name)
