"""What the operations return and raise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from clients.data8 import Data8
from clients.errors import Conflict, NotFound, OutcomeUnknown, RateLimited, Rejected, VendorUnavailable
from sandbox.core import Fault
from tests.support.recording_client import RecordingClient

TEXT, WHOLE = 0, 1


@pytest.fixture(autouse=True)
def at_once(recorder: RecordingClient[Data8]) -> None:
    recorder.sandbox.state.job_seconds = recorder.sandbox.state.queue_seconds = 0


def filled(client: Data8, name: str, rows: int, columns: dict[str, int] | None = None) -> str:
    """A completed input dataset of numbered rows."""
    client.datasets.create(name, columns or {"row": WHOLE, "text": TEXT})
    for block, start in enumerate(range(0, rows, 1_000)):
        records = [{"row": n, "text": f"row {n}"} for n in range(start, min(rows, start + 1_000))]
        client.datasets.upload(name, block, records)
    client.datasets.update(name, record_count=rows)
    return name


def test_an_api_key_and_what_it_is_allowed(client: Data8) -> None:
    expiry = datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC)
    made = client.api_keys.create(description="web", expires_on=expiry, max_requests_per_ip_per_day=5)
    client.api_keys.allowed_domains.add(made.key, "www.example.com")
    client.api_keys.allowed_domains.add(made.key, "www.example.com")
    client.api_keys.allowed_services.add(made.key, "EmailValidation")
    client.api_keys.allowed_ips.add(made.key, "10.0.0.0/24")
    client.api_keys.allowed_ips.put(made.key, "10.0.1.0", 24)
    client.api_keys.allowed_ips.put(made.key, "10.0.2.0/24")
    client.api_keys.allowed_ips.remove(made.key, "10.0.0.0/24")

    found = client.api_keys.get(made.key)

    assert found.expires_on == expiry
    assert found.max_requests_per_ip_per_day == 5
    assert found.allowed_domains == client.api_keys.allowed_domains.list(made.key) == ["www.example.com"]
    assert found.allowed_services == client.api_keys.allowed_services.list(made.key) == ["EmailValidation"]
    assert found.allowed_ips == client.api_keys.allowed_ips.list(made.key) == ["10.0.1.0/24", "10.0.2.0/24"]
    assert [ref.key for ref in client.api_keys.list()] == [made.key]
    assert made.key not in repr(found)

    client.api_keys.update(made.key, description="other")
    assert client.api_keys.get(made.key).description == "other"
    client.api_keys.delete(made.key)
    with pytest.raises(NotFound):
        client.api_keys.get(made.key)


def test_a_secret_is_told_once_and_never_shown(client: Data8) -> None:
    made = client.client_credentials.create(description="worker")
    expiry = datetime(2030, 1, 1, tzinfo=UTC)
    secret = client.client_credentials.secrets.create(made.client_id, expires=expiry, description="first")

    assert made.secrets == []
    assert secret.generated_secret
    assert secret.generated_secret not in repr(secret)
    assert client.client_credentials.list()[0].secrets is None
    (listed,) = client.client_credentials.get(made.client_id).secrets or []
    assert (listed.client_secret_id, listed.expires) == (secret.client_secret_id, expiry)
    assert secret.generated_secret not in str(listed.model_dump())


@pytest.mark.parametrize("count", [0, 1, 100, 101, 250])
def test_datasets_are_listed_page_by_page(
    recorder: RecordingClient[Data8], client: Data8, count: int
) -> None:
    names = [f"d{n:03}" for n in range(count)]
    for name in reversed(names):
        client.datasets.create(name, {"a": TEXT})
    before = recorder.sandbox.state.calls["data8.datasets.list"]

    assert [ref.name for ref in client.datasets.all()] == names
    assert recorder.sandbox.state.calls["data8.datasets.list"] - before == count // 100 + 1
    assert list(client.datasets.all(input=False)) == []
    assert len(list(client.datasets.all(output=False))) == count


def test_jobs_are_listed_the_latest_first_and_filtered(client: Data8) -> None:
    dataset = filled(client, "rows", 1)
    for n in range(101):
        client.jobs.create(f"job {n}", "Echo", input_datasets={"Rows": dataset})
    client.jobs.create("other", "CompanyCleanse", input_datasets={"Rows": dataset})
    today = datetime.now(UTC)

    assert [ref.name for ref in client.jobs.all(workflow="Echo")] == [f"job {n}" for n in range(100, -1, -1)]
    assert client.jobs.list()[0].name == "other"
    assert client.jobs.list(start_date=today + timedelta(days=1)) == []
    assert client.jobs.list(end_date=(today - timedelta(days=1)).date()) == []
    assert len(list(client.jobs.all(start_date=today.date() - timedelta(days=1)))) == 102


@pytest.mark.parametrize("rows", [0, 1, 999, 1_000, 1_001, 2_500])
def test_records_come_back_in_order_and_no_request_is_too_many(
    recorder: RecordingClient[Data8], client: Data8, rows: int
) -> None:
    dataset = filled(client, "rows", rows)
    client.jobs.create("echo", "Echo", input_datasets={"Rows": dataset})
    output = client.jobs.get("echo").output_datasets["Rows"]
    before = recorder.sandbox.state.calls["data8.datasets.download"]

    assert list(client.datasets.records(output)) == [{"row": n, "text": f"row {n}"} for n in range(rows)]
    assert recorder.sandbox.state.calls["data8.datasets.download"] - before == -(-rows // 1_000)


def test_records_from_the_middle(client: Data8) -> None:
    client.jobs.create("echo", "Echo", input_datasets={"Rows": filled(client, "rows", 1_500)})
    output = client.jobs.get("echo").output_datasets["Rows"]

    assert [record["row"] for record in client.datasets.records(output, start=1_400)] == list(
        range(1_399, 1_500)
    )
    assert list(client.datasets.records(output, start=1_501)) == []


def test_a_failed_job_says_so_and_its_outputs_stay_incomplete(client: Data8) -> None:
    dataset = filled(client, "rows", 1)
    client.jobs.create("bad", "AlwaysFails", input_datasets={"Rows": dataset})

    job = client.jobs.get("bad")

    assert job.verdict(client.assumptions) == "failed"
    output = client.datasets.get(job.output_datasets["Rows"])
    assert (output.input, output.completed, output.record_count) == (False, False, 0)
    with pytest.raises(Rejected):
        client.datasets.download(output.name)


def test_the_vendor_s_refusals_are_typed_and_told(recorder: RecordingClient[Data8], client: Data8) -> None:
    client.datasets.create("taken", {"a": TEXT})

    with pytest.raises(Conflict, match="another dataset"):
        client.datasets.create("taken", {"a": TEXT})
    with pytest.raises(Rejected, match="columns") as invalid:
        client.datasets.create("free", {"Not valid": TEXT})
    with pytest.raises(NotFound) as absent:
        client.jobs.get("nobody")
    with pytest.raises(Rejected, match="no workflow"):
        client.jobs.create("job", "Nothing", input_datasets={"Rows": "taken"})

    assert invalid.value.status == 400
    assert (absent.value.status, absent.value.detail, absent.value.operation) == (404, None, "jobs.get")


def test_faults_are_told_by_what_became_of_the_request(
    recorder: RecordingClient[Data8], client: Data8
) -> None:
    client.jobs.list()  # a token
    state = recorder.sandbox.state
    for operation in ("data8.jobs.get", "data8.datasets.create"):
        state.faults[operation].extend(
            [
                Fault("status", status=429, retry_after=7),
                Fault("status", status=503, retry_after=3),
                Fault("status", status=500),
                Fault("lost_before"),
                Fault("lost_after"),
            ]
        )

    with pytest.raises(RateLimited) as limited:
        client.jobs.get("x")
    with pytest.raises(VendorUnavailable) as away:
        client.jobs.get("x")
    assert (limited.value.retry_after, away.value.retry_after) == (7, 3)
    for _ in range(3):
        with pytest.raises(VendorUnavailable):
            client.jobs.get("x")

    with pytest.raises(RateLimited):
        client.datasets.create("x", {"a": TEXT})
    with pytest.raises(VendorUnavailable):
        client.datasets.create("x", {"a": TEXT})
    for _ in range(3):
        with pytest.raises(OutcomeUnknown):
            client.datasets.create("x", {"a": TEXT})
    assert state.effects["data8.datasets.create", "x"] == 1
