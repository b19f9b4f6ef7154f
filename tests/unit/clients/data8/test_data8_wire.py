"""Each documented operation, as it goes over the wire; the examples are the document's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, NamedTuple

from clients.data8 import Data8
from clients.resource import list_operations
from tests.support.recording_client import RecordingClient

DOCUMENTED = {
    "GET /ApiKey",
    "POST /ApiKey",
    "GET /ApiKey/{key}",
    "PUT /ApiKey/{key}",
    "DELETE /ApiKey/{key}",
    "GET /ApiKey/{key}/allowedDomains",
    "PUT /ApiKey/{key}/allowedDomains/{domain}",
    "DELETE /ApiKey/{key}/allowedDomains/{domain}",
    "GET /ApiKey/{key}/allowedIPs",
    "POST /ApiKey/{key}/allowedIPs",
    "PUT /ApiKey/{key}/allowedIPs/{network}/{prefix}",
    "DELETE /ApiKey/{key}/allowedIPs/{network}/{prefix}",
    "GET /ApiKey/{key}/allowedServices",
    "PUT /ApiKey/{key}/allowedServices/{service}",
    "DELETE /ApiKey/{key}/allowedServices/{service}",
    "GET /ClientCredential",
    "POST /ClientCredential",
    "GET /ClientCredential/{id}",
    "PUT /ClientCredential/{id}",
    "DELETE /ClientCredential/{id}",
    "GET /ClientCredential/{id}/secrets",
    "POST /ClientCredential/{id}/secrets",
    "GET /ClientCredential/{id}/secrets/{secretId}",
    "PUT /ClientCredential/{id}/secrets/{secretId}",
    "DELETE /ClientCredential/{id}/secrets/{secretId}",
    "GET /Dataset",
    "POST /Dataset",
    "GET /Dataset/{name}",
    "PUT /Dataset/{name}",
    "DELETE /Dataset/{name}",
    "PATCH /Dataset/{name}/data",
    "GET /Dataset/{name}/data",
    "GET /Job",
    "POST /Job",
    "GET /Job/{name}",
}


class Sent(NamedTuple):
    """One call and the request it must make; `…` in the target stands for a generated id."""

    operation: str
    call: Callable[[Data8], Any]
    request: str
    body: Any = None


def credential(client: Data8) -> str:
    return client.client_credentials.list()[0].client_id


EXPIRY = datetime(1970, 1, 1, tzinfo=UTC)
JOB = "Contact Deceased Check 3124"

# In this order: each row may build on the ones above it.
TABLE = [
    Sent(
        "api_keys.create",
        lambda c: c.api_keys.create(
            key="a key",
            description="string",
            username="string",
            expires_on=EXPIRY,
            max_requests_per_ip_per_day=0,
            is_client_key=True,
        ),
        "POST /ApiKey",
        {
            "key": "a key",
            "description": "string",
            "username": "string",
            "expiresOn": "1970-01-01T00:00:00.0000000Z",
            "maxRequestsPerIPPerDay": 0,
            "isClientKey": True,
        },
    ),
    Sent("api_keys.list", lambda c: c.api_keys.list(), "GET /ApiKey"),
    Sent("api_keys.get", lambda c: c.api_keys.get("a key"), "GET /ApiKey/a%20key"),
    Sent(
        "api_keys.update",
        lambda c: c.api_keys.update("a key", description="other"),
        "PUT /ApiKey/a%20key",
        {"key": "a key", "description": "other"},
    ),
    Sent(
        "api_keys.allowed_domains.list",
        lambda c: c.api_keys.allowed_domains.list("a key"),
        "GET /ApiKey/a%20key/allowedDomains",
    ),
    Sent(
        "api_keys.allowed_domains.add",
        lambda c: c.api_keys.allowed_domains.add("a key", "www.example.com"),
        "PUT /ApiKey/a%20key/allowedDomains/www.example.com",
    ),
    Sent(
        "api_keys.allowed_domains.remove",
        lambda c: c.api_keys.allowed_domains.remove("a key", "www.example.com"),
        "DELETE /ApiKey/a%20key/allowedDomains/www.example.com",
    ),
    Sent(
        "api_keys.allowed_ips.list",
        lambda c: c.api_keys.allowed_ips.list("a key"),
        "GET /ApiKey/a%20key/allowedIPs",
    ),
    Sent(
        "api_keys.allowed_ips.add",
        lambda c: c.api_keys.allowed_ips.add("a key", "123.45.6.0/24"),
        "POST /ApiKey/a%20key/allowedIPs",
        "123.45.6.0/24",
    ),
    Sent(
        "api_keys.allowed_ips.put",
        lambda c: c.api_keys.allowed_ips.put("a key", "123.45.7.0", 24),
        "PUT /ApiKey/a%20key/allowedIPs/123.45.7.0/24",
    ),
    Sent(
        "api_keys.allowed_ips.put",
        lambda c: c.api_keys.allowed_ips.put("a key", "123.45.8.0/24"),
        "PUT /ApiKey/a%20key/allowedIPs/123.45.8.0%2F24",
    ),
    Sent(
        "api_keys.allowed_ips.remove",
        lambda c: c.api_keys.allowed_ips.remove("a key", "123.45.7.0", 24),
        "DELETE /ApiKey/a%20key/allowedIPs/123.45.7.0/24",
    ),
    Sent(
        "api_keys.allowed_ips.remove",
        lambda c: c.api_keys.allowed_ips.remove("a key", "123.45.8.0/24"),
        "DELETE /ApiKey/a%20key/allowedIPs/123.45.8.0%2F24",
    ),
    Sent(
        "api_keys.allowed_services.list",
        lambda c: c.api_keys.allowed_services.list("a key"),
        "GET /ApiKey/a%20key/allowedServices",
    ),
    Sent(
        "api_keys.allowed_services.add",
        lambda c: c.api_keys.allowed_services.add("a key", "EmailValidation"),
        "PUT /ApiKey/a%20key/allowedServices/EmailValidation",
    ),
    Sent(
        "api_keys.allowed_services.remove",
        lambda c: c.api_keys.allowed_services.remove("a key", "EmailValidation"),
        "DELETE /ApiKey/a%20key/allowedServices/EmailValidation",
    ),
    Sent("api_keys.delete", lambda c: c.api_keys.delete("a key"), "DELETE /ApiKey/a%20key"),
    Sent(
        "client_credentials.create",
        lambda c: c.client_credentials.create(description="string"),
        "POST /ClientCredential",
        {"description": "string"},
    ),
    Sent("client_credentials.list", lambda c: c.client_credentials.list(), "GET /ClientCredential"),
    Sent(
        "client_credentials.get",
        lambda c: c.client_credentials.get(credential(c)),
        "GET /ClientCredential/…",
    ),
    Sent(
        "client_credentials.update",
        lambda c: c.client_credentials.update(credential(c), description="other"),
        "PUT /ClientCredential/…",
        {"description": "other"},
    ),
    Sent(
        "client_credentials.secrets.create",
        lambda c: c.client_credentials.secrets.create(credential(c), expires=EXPIRY, description="string"),
        "POST /ClientCredential/…/secrets",
        {"expires": "1970-01-01T00:00:00.0000000Z", "description": "string"},
    ),
    Sent(
        "client_credentials.secrets.list",
        lambda c: c.client_credentials.secrets.list(credential(c)),
        "GET /ClientCredential/…/secrets",
    ),
    Sent(
        "client_credentials.secrets.get",
        lambda c: c.client_credentials.secrets.get(credential(c), 1),
        "GET /ClientCredential/…/secrets/1",
    ),
    Sent(
        "client_credentials.secrets.update",
        lambda c: c.client_credentials.secrets.update(credential(c), 1, description="other"),
        "PUT /ClientCredential/…/secrets/1",
        {"description": "other"},
    ),
    Sent(
        "client_credentials.secrets.delete",
        lambda c: c.client_credentials.secrets.delete(credential(c), 1),
        "DELETE /ClientCredential/…/secrets/1",
    ),
    Sent(
        "client_credentials.delete",
        lambda c: c.client_credentials.delete(credential(c)),
        "DELETE /ClientCredential/…",
    ),
    Sent(
        "datasets.create",
        lambda c: c.datasets.create("sample_dataset_1", {"firstname": 0, "lastname": 0, "priority": 1}),
        "POST /Dataset",
        {"name": "sample_dataset_1", "columns": {"firstname": 0, "lastname": 0, "priority": 1}},
    ),
    Sent("datasets.list", lambda c: c.datasets.list(), "GET /Dataset?page=1"),
    Sent(
        "datasets.list",
        lambda c: c.datasets.list(2, input=True, output=False),
        "GET /Dataset?page=2&input=true&output=false",
    ),
    Sent("datasets.get", lambda c: c.datasets.get("sample_dataset_1"), "GET /Dataset/sample_dataset_1"),
    Sent(
        "datasets.upload",
        lambda c: c.datasets.upload(
            "sample_dataset_1", 0, [{"firstname": "A", "lastname": "B", "priority": 1}]
        ),
        "PATCH /Dataset/sample_dataset_1/data",
        {"blockNumber": 0, "records": [{"firstname": "A", "lastname": "B", "priority": 1}]},
    ),
    Sent(
        "datasets.update",
        lambda c: c.datasets.update("sample_dataset_1", record_count=1),
        "PUT /Dataset/sample_dataset_1",
        {"recordCount": 1, "completed": True},
    ),
    Sent(
        "jobs.create",
        lambda c: c.jobs.create(
            JOB,
            "ContactDeceasedCheck",
            input_filename="/ToData8/contact.csv",
            input_datasets={"Contacts": "sample_dataset_1", "Accounts": "sample_dataset_1"},
            parameters={"MaxContactAge": "5"},
        ),
        "POST /Job",
        {
            "name": JOB,
            "workflowName": "ContactDeceasedCheck",
            "inputFilename": "/ToData8/contact.csv",
            "inputDatasets": {"Contacts": "sample_dataset_1", "Accounts": "sample_dataset_1"},
            "parameters": {"MaxContactAge": "5"},
        },
    ),
    Sent("jobs.get", lambda c: c.jobs.get(JOB), "GET /Job/Contact%20Deceased%20Check%203124"),
    Sent("jobs.list", lambda c: c.jobs.list(), "GET /Job?page=1"),
    Sent(
        "jobs.list",
        lambda c: c.jobs.list(
            2,
            workflow="Echo",
            start_date=date(2026, 1, 2),
            end_date=datetime(2026, 1, 3, 1, tzinfo=timezone(timedelta(hours=1))),
        ),
        "GET /Job?page=2&workflow=Echo&startDate=2026-01-02&endDate=2026-01-03T00%3A00%3A00.0000000Z",
    ),
    Sent(
        "datasets.download",
        lambda c: c.datasets.download(c.jobs.get(JOB).output_datasets["Contacts"], 1, 1_000),
        "GET /Dataset/out_contact_deceased_check_3124_contacts/data?start=1&count=1000",
    ),
    Sent(
        "datasets.delete",
        lambda c: c.datasets.delete("sample_dataset_1"),
        "DELETE /Dataset/sample_dataset_1",
    ),
]


def test_the_client_has_the_documented_operations_and_no_others(client: Data8) -> None:
    listed = [f"{found.method} {found.path}" for found in list_operations(client)]

    assert sorted(listed) == sorted(DOCUMENTED)
    assert {row.operation for row in TABLE} == {found.name for found in list_operations(client)}
    assert all(found.summary for found in list_operations(client))


def test_every_operation_as_documented(recorder: RecordingClient[Data8], client: Data8) -> None:
    recorder.sandbox.state.job_seconds = recorder.sandbox.state.queue_seconds = 0
    for row in TABLE:
        before = recorder.sandbox.state.calls[f"data8.{row.operation}"]
        row.call(client)
        request = recorder.requests[-1]
        verb, _, target = row.request.partition(" ")
        sent = request.url.raw_path.decode().removeprefix("/data8")
        if "…" in target:
            head, tail = target.split("…")
            assert sent.startswith(head), row
            assert sent.removeprefix(head)[32:] == tail, row
        else:
            assert sent == target, row
        assert request.method == verb, row
        content = request.read()
        assert (json.loads(content) if content else None) == row.body, row
        assert request.headers["authorization"].startswith("Bearer "), row
        assert recorder.sandbox.state.calls[f"data8.{row.operation}"] == before + 1, row
