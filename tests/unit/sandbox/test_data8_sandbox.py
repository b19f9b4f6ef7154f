"""The simulator is as strict as the document, told by plain HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME
from sandbox.data8.workflows import cleanse_cell

FORM = {
    "grant_type": "client_credentials",
    "scope": "BatchApi",
    "client_id": USERNAME,
    "client_secret": PASSWORD,
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def data8(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{sandbox.url}/data8") as http:
        token = http.post("/connect/token", data=FORM).json()
        assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 3600, "BatchApi")
        http.headers["authorization"] = f"Bearer {token['access_token']}"
        yield http


def made(data8: httpx.Client, name: str = "rows", columns: dict[str, int] | None = None) -> str:
    answer = data8.post("/Dataset", json={"name": name, "columns": columns or {"a": 0, "b": 1}})
    assert answer.status_code == 201, answer.text
    return name


def completed(data8: httpx.Client, name: str, columns: dict[str, int], *records: Any) -> str:
    made(data8, name, columns)
    assert (
        data8.patch(f"/Dataset/{name}/data", json={"blockNumber": 1, "records": records}).status_code == 204
    )
    done = data8.put(f"/Dataset/{name}", json={"recordCount": len(records), "completed": True})
    assert done.status_code == 204, done.text
    return name


def problem(answer: httpx.Response, status: int, *fields: str) -> None:
    """A problem of that status; a validation problem of these fields if any are named."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "instance"} <= set(body)
    assert body["status"] == status
    assert sorted(body.get("errors", [])) == sorted(fields)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"scope": "Other"}, "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_token_is_refused(sandbox: Sandbox, change: dict[str, str], error: str) -> None:
    answer = httpx.post(f"{sandbox.url}/data8/connect/token", data=FORM | change)

    assert (answer.status_code, answer.json()) == (400, {"error": error})


@pytest.mark.parametrize(
    "header", [{}, {"authorization": "Bearer x"}, {"authorization": f"Basic {PASSWORD}"}]
)
def test_nothing_is_served_without_a_token(sandbox: Sandbox, header: dict[str, str]) -> None:
    answer = httpx.get(f"{sandbox.url}/data8/Job", headers=header)

    assert (answer.status_code, answer.content, answer.headers["www-authenticate"]) == (401, b"", "Bearer")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"name": "Upper", "columns": {"a": 0}}, ["name"]),
        ({"name": "1st", "columns": {"a": 0}}, ["name"]),
        ({"name": "a-b", "columns": {"a": 0}}, ["name"]),
        ({"name": "", "columns": {"a": 0}}, ["name"]),
        ({"name": "fine", "columns": {"A": 0}}, ["columns"]),
        ({"name": "fine", "columns": {"first name": 0}}, ["columns"]),
        ({"name": "fine", "columns": {"a": 9}}, ["columns"]),
        ({"name": "fine", "columns": {}}, ["columns"]),
        ({"name": "fine"}, ["columns"]),
        ({"name": "fine", "columns": {"a": 0}, "completed": True}, ["completed"]),
        ({"name": "fine", "columns": {"a": "0"}}, ["columns.a"]),
        ([], ["$"]),
    ],
)
def test_a_dataset_is_refused(data8: httpx.Client, body: Any, fields: list[str]) -> None:
    problem(data8.post("/Dataset", json=body), 400, *fields)


def test_a_dataset_s_name_is_taken_for_good(data8: httpx.Client) -> None:
    made(data8)
    problem(data8.post("/Dataset", json={"name": "rows", "columns": {"a": 0}}), 409)

    assert data8.delete("/Dataset/rows").status_code == 204
    assert data8.delete("/Dataset/rows").status_code == 404
    assert data8.get("/Dataset").json() == []
    problem(data8.post("/Dataset", json={"name": "rows", "columns": {"a": 0}}), 409)


def test_a_new_dataset_is_incomplete_and_completes_once(data8: httpx.Client) -> None:
    made(data8)
    block = {"blockNumber": 3, "records": [{"a": "x", "b": 1}]}
    assert data8.get("/Dataset/rows").json() == {
        "name": "rows",
        "columns": {"a": 0, "b": 1},
        "input": True,
        "recordCount": 0,
        "completed": False,
    }

    assert data8.patch("/Dataset/rows/data", json=block).status_code == 204
    problem(data8.put("/Dataset/rows", json={"recordCount": 2, "completed": True}), 400, "recordCount")
    assert data8.put("/Dataset/rows", json={"recordCount": 1, "completed": True}).status_code == 204
    problem(data8.put("/Dataset/rows", json={"recordCount": 1, "completed": True}), 400, "name")
    problem(data8.patch("/Dataset/rows/data", json=block), 400, "name")
    problem(data8.get("/Dataset/rows/data", params={"start": 1}), 400, "name")
    assert data8.get("/Dataset/rows").json()["completed"] is True


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        ({"blockNumber": 1, "records": [{"a": "x"}] * 1_001}, ["records"]),
        ({"blockNumber": -1, "records": []}, ["blockNumber"]),
        ({"records": []}, ["blockNumber"]),
        ({"blockNumber": 1, "records": [{"c": "x"}]}, ["records[0]"]),
        ({"blockNumber": 1, "records": [["x"]]}, ["records[0]"]),
        ({"blockNumber": 1, "records": [{"a": "x"}, {"a": 1}]}, ["records[1].a"]),
        ({"blockNumber": 1, "records": [{"b": "1"}]}, ["records[0].b"]),
        ({"blockNumber": 1, "records": [{"b": True}]}, ["records[0].b"]),
        ({"blockNumber": 1, "records": [{"b": 2**63}]}, ["records[0].b"]),
        ({"blockNumber": 1, "records": [{"b": 1.5}]}, ["records[0].b"]),
    ],
)
def test_a_block_is_refused_and_changes_nothing(data8: httpx.Client, block: Any, fields: list[str]) -> None:
    made(data8)

    answer = data8.patch("/Dataset/rows/data", json=block)

    assert answer.status_code == 400
    assert [field.partition(".dict")[0].partition(".list")[0] for field in answer.json()["errors"]] == fields
    assert data8.get("/Dataset/rows").json()["recordCount"] == 0


def test_blocks_go_by_number_and_overwrite(sandbox: Sandbox, data8: httpx.Client) -> None:
    sandbox.state.job_seconds = sandbox.state.queue_seconds = 0
    made(data8)
    for number, records in [
        (2, [["c", 3]]),
        (1, [["old", 0]]),
        (1, [["a", 1], {"b": 2, "a": "b"}]),
        (9, [{"b": 4}]),
    ]:
        answer = data8.patch("/Dataset/rows/data", json={"blockNumber": number, "records": records})
        assert answer.status_code == 204
    data8.put("/Dataset/rows", json={"recordCount": 4, "completed": True})
    data8.post("/Job", json={"name": "j", "workflowName": "Echo", "inputDatasets": {"In": "rows"}})

    output = data8.get("/Job/j").json()["outputDatasets"]["In"]

    assert data8.get(f"/Dataset/{output}/data", params={"start": 2, "count": 2}).json() == [
        {"a": "b", "b": 2},
        {"a": "c", "b": 3},
    ]
    assert data8.get(f"/Dataset/{output}/data", params={"start": 4}).json() == [{"a": None, "b": 4}]
    assert data8.get(f"/Dataset/{output}/data", params={"start": 5}).json() == []
    problem(data8.get(f"/Dataset/{output}/data", params={"start": 1, "count": 1_001}), 400, "count")
    problem(data8.get(f"/Dataset/{output}/data", params={"start": 0}), 400, "start")
    problem(data8.get(f"/Dataset/{output}/data"), 400, "start")
    problem(data8.put(f"/Dataset/{output}", json={"completed": True}), 400, "name")
    problem(data8.patch(f"/Dataset/{output}/data", json={"blockNumber": 1, "records": []}), 400, "name")


def test_an_absent_dataset_or_job(data8: httpx.Client) -> None:
    for answer in (
        data8.get("/Dataset/none"),
        data8.put("/Dataset/none", json={"completed": True}),
        data8.patch("/Dataset/none/data", json={"blockNumber": 1, "records": []}),
        data8.get("/Job/none"),
    ):
        assert (answer.status_code, answer.content) == (404, b"")
    problem(data8.get("/Dataset/none/data", params={"start": 1}), 404)


@pytest.mark.parametrize(
    "name", ["a/b", "a:b", "a*b", "a?b", 'a"b', "a<b", "a>b", "a|b", "a\\b", "a\nb", " "]
)
def test_a_job_s_name_must_be_fit_for_a_file(data8: httpx.Client, name: str) -> None:
    problem(data8.post("/Job", json={"name": name, "workflowName": "Echo"}), 400, "name")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "taken"}, "name"),
        ({"workflowName": "Nothing"}, "workflowName"),
        ({"inputDatasets": {"In": "none"}}, "inputDatasets.In"),
        ({"inputDatasets": {"In": "incomplete"}}, "inputDatasets.In"),
        ({"inputDatasets": {"In": "out_taken_in"}}, "inputDatasets.In"),
        ({"inputDatasets": {}}, "inputDatasets"),
        ({"inputDatasets": None}, "inputDatasets"),
        ({"parameters": {"Unknown": "1"}}, "parameters"),
        ({"parameters": {"Unknown": 1}}, "parameters.Unknown"),
        ({"workflowName": "CompanyCleanse", "inputDatasets": {"A": "rows", "B": "rows"}}, "inputDatasets"),
        ({"workflowName": "ContactDeceasedCheck", "inputDatasets": {"Contacts": "rows"}}, "inputDatasets"),
    ],
)
def test_a_job_is_refused_and_nothing_starts(
    sandbox: Sandbox, data8: httpx.Client, change: dict[str, Any], field: str
) -> None:
    completed(data8, "rows", {"a": 0}, {"a": "x"})
    made(data8, "incomplete")
    job = {"name": "taken", "workflowName": "Echo", "inputDatasets": {"In": "rows"}}
    assert data8.post("/Job", json=job).status_code == 201

    problem(data8.post("/Job", json=job | {"name": "new"} | change), 400, field)

    assert [found["name"] for found in data8.get("/Job").json()] == ["taken"]
    assert sandbox.state.effects["data8.jobs.create", "taken"] == 1


def test_a_job_runs_by_the_clock(sandbox: Sandbox, data8: httpx.Client) -> None:
    now = 1_767_323_045.0
    sandbox.state.clock = lambda: now
    sandbox.state.queue_seconds, sandbox.state.job_seconds = 5, 10
    data8.headers["authorization"] = (
        f"Bearer {data8.post('/connect/token', data=FORM).json()['access_token']}"
    )
    completed(data8, "rows", {"a": 0}, {"a": "x"})
    answer = data8.post(
        "/Job", json={"name": "a job", "workflowName": "Echo", "inputDatasets": {"In": "rows"}}
    )
    assert (answer.status_code, answer.content) == (201, b"")

    def at(seconds: float) -> dict[str, Any]:
        nonlocal now
        now = 1_767_323_045.0 + seconds
        job: dict[str, Any] = data8.get(answer.headers["location"]).json()
        output = data8.get(f"/Dataset/{job['outputDatasets']['In']}").json()
        readable = data8.get(f"/Dataset/{job['outputDatasets']['In']}/data", params={"start": 1})
        assert output["completed"] is (readable.status_code == 200) is (job["completedAt"] is not None)
        return job

    queued, running, complete = at(4), at(10), at(15)

    assert (queued["status"], queued["percentComplete"], queued["statistics"]) == (0, 0, {})
    assert (running["status"], running["percentComplete"], running["completedAt"]) == (1, 50, None)
    assert (complete["status"], complete["percentComplete"]) == (2, 100)
    assert running["estimatedFinishTime"] == complete["completedAt"] == "2026-01-02T03:04:20.0000000Z"
    assert complete["submittedAt"] == "2026-01-02T03:04:05.0000000Z"
    assert complete["statistics"] == {"InRecords": 1}


def test_company_cleanse_keeps_every_cell_and_adds_to_it(sandbox: Sandbox, data8: httpx.Client) -> None:
    sandbox.state.job_seconds = sandbox.state.queue_seconds = 0
    columns = {"company_name": 0, "country": 0, "country_code": 0, "postcode": 0, "employees": 1, "flags": 0}
    row = {
        "company_name": "  Example \t Ltd ",
        "country": "uk",
        "country_code": "gbr",
        "postcode": "ch411aa",
        "employees": 7,
        "flags": "n/a",
    }
    completed(data8, "companies", columns, row)
    data8.post(
        "/Job",
        json={"name": "j", "workflowName": "CompanyCleanse", "inputDatasets": {"Companies": "companies"}},
    )

    (output,) = data8.get("/Job/j").json()["outputDatasets"].values()

    assert data8.get(f"/Dataset/{output}/data", params={"start": 1}).json() == [
        row
        | {
            "cleansed_company_name": "Example Ltd",
            "cleansed_country": "United Kingdom",
            "cleansed_country_code": "GB",
            "cleansed_postcode": "CH41 1AA",
            "cleansed_flags": "n/a",
            "flags_2": "flags:placeholder",
        }
    ]


@pytest.mark.parametrize(
    ("column", "value", "cleansed", "flag"),
    [
        ("name", "", "", "empty"),
        ("city", "", "", None),
        ("city", "Unknown", "Unknown", "placeholder"),
        ("city", "=1+1", "=1+1", "formula"),
        ("phone", "+44 20", "+44 20", None),
        ("city", "Z\ufffdrich", "Z\ufffdrich", "mojibake"),
        ("city", "a\x00b\nc", "a b c", None),
        ("country", "Atlantis", "Atlantis", "unknown_country"),
        ("country", "DEU", "Germany", None),
        ("zip", " 90 210 ", "90 210", None),
    ],
)
def test_how_a_cell_is_cleansed(column: str, value: str, cleansed: str, flag: str | None) -> None:
    assert cleanse_cell(column, value) == (cleansed, flag)


def test_contacts_are_checked_against_accounts(sandbox: Sandbox, data8: httpx.Client) -> None:
    sandbox.state.job_seconds = sandbox.state.queue_seconds = 0
    completed(
        data8, "contacts", {"id": 0, "accounts": 0}, *({"id": f"{n}", "accounts": "x"} for n in range(100))
    )
    completed(data8, "accounts", {"owner": 0}, {"owner": "1"}, {"owner": "1"}, {"owner": "2"})
    for name, age in (("five", "5"), ("none", "0")):
        job = {
            "name": name,
            "workflowName": "ContactDeceasedCheck",
            "inputDatasets": {"Contacts": "contacts", "Accounts": "accounts"},
            "parameters": {"MaxContactAge": age},
        }
        assert data8.post("/Job", json=job).status_code == 201

    def rows(name: str) -> list[dict[str, Any]]:
        output = data8.get(f"/Job/{name}").json()["outputDatasets"]["Contacts"]
        found: list[dict[str, Any]] = data8.get(f"/Dataset/{output}/data", params={"start": 1}).json()
        return found

    assert [row["accounts_2"] for row in rows("five")[:4]] == [0, 2, 1, 0]
    assert 0 < sum(row["deceased"] for row in rows("five")) < 30
    assert sum(row["deceased"] for row in rows("none")) == 0
    assert all(row["accounts"] == "x" for row in rows("five"))


def test_an_api_key_is_refused(data8: httpx.Client) -> None:
    assert data8.post("/ApiKey", json={"key": "k"}).status_code == 201
    problem(data8.post("/ApiKey", json={"key": "k"}), 400)
    problem(data8.post("/ApiKey", json={"maxRequestsPerIPPerDay": "many"}), 400)
    problem(data8.put("/ApiKey/k", json={"key": "other"}), 400)
    problem(data8.put("/ApiKey/none", json={}), 404)
    problem(data8.post("/ApiKey/k/allowedIPs", json="somewhere"), 400)
    problem(data8.put("/ApiKey/k/allowedIPs/10.0.0.0/99"), 400)
    problem(data8.delete("/ApiKey/k/allowedIPs/10.0.0.0/8"), 404)
    problem(data8.delete("/ApiKey/k/allowedDomains/example.com"), 404)
    assert data8.post("/ApiKey/k/allowedIPs", json={"network": "10.0.0.0", "prefix": 8}).status_code == 204
    assert data8.get("/ApiKey/k/allowedIPs").json() == ["10.0.0.0/8"]
    assert "isClientKey" not in data8.get("/ApiKey/k").json()


def test_a_credential_s_id_and_secrets_are_not_the_caller_s(data8: httpx.Client) -> None:
    problem(data8.post("/ClientCredential", json={"clientId": "mine"}), 400)
    problem(data8.post("/ClientCredential", json={"secrets": [{"description": "x"}]}), 400)
    made_ = data8.post("/ClientCredential", json={"description": "x", "secrets": []}).json()
    problem(data8.get(f"/ClientCredential/{made_['clientId']}/secrets/7"), 404)
    problem(data8.get("/ClientCredential/none/secrets"), 404)
    assert data8.delete(f"/ClientCredential/{made_['clientId']}").status_code == 204
    problem(data8.get(f"/ClientCredential/{made_['clientId']}"), 404)


@pytest.mark.parametrize(
    "query",
    [{"page": "0"}, {"page": "x"}, {"startDate": "soon"}, {"endDate": "2026-13-01"}],
)
def test_a_list_s_query_is_refused(data8: httpx.Client, query: dict[str, str]) -> None:
    problem(data8.get("/Job", params=query), 400, *query)
