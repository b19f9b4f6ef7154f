"""How tolerantly answers are read: the document leaves their shapes half open."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from clients.data8 import Assumptions, Data8, Dataset, Job
from clients.errors import VendorUnavailable

CODES = Assumptions()


def answering(*bodies: str) -> Data8:
    """A client of a vendor that gives these answers, one after the other."""
    left = iter(bodies)

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "t"})
        return httpx.Response(200, text=next(left))

    http = httpx.Client(transport=httpx.MockTransport(handle))
    return Data8.connect("http://vendor", "http://vendor/token", "id", "secret", http=http)


@pytest.mark.parametrize(
    "body",
    [
        '[{"a": "x", "b": 1}, {"a": null, "b": 2}]',
        '[["x", 1], [null, 2]]',
        '{"records": [{"a": "x", "b": 1}, {"a": null, "b": 2}]}',
        '{"records": [["x", 1], {"b": 2, "a": null}], "total": 2}',
    ],
)
def test_records_in_all_likely_encodings(body: str) -> None:
    dataset = json.dumps({"name": "d", "columns": {"a": 0, "b": 1}, "recordCount": 2})

    records = list(answering(dataset, body).datasets.records("d"))

    assert records == [{"a": "x", "b": 1}, {"a": None, "b": 2}]


def test_no_digit_of_a_fraction_is_lost() -> None:
    (record,) = answering('[{"a": 1.10, "b": 123456789012345678901234567890.123}]').datasets.download("d")

    assert record == {"a": Decimal("1.10"), "b": Decimal("123456789012345678901234567890.123")}
    assert str(dict(record)["a"]) == "1.10"


@pytest.mark.parametrize(
    "body", ["[]", '[["x"], ["y"]]', '[["x", 1], ["x", 1], ["x", 1]]', "null", '{"a": 1}', "[1]"]
)
def test_records_that_are_not_those_asked_for(body: str) -> None:
    dataset = json.dumps({"name": "d", "columns": {"a": 0, "b": 1}, "recordCount": 2})
    client = answering(dataset, body)

    with pytest.raises(VendorUnavailable):
        list(client.datasets.records("d"))


@pytest.mark.parametrize(
    ("ask", "body"),
    [
        (lambda c: c.datasets.get("d"), '{"name": "d"}'),
        (
            lambda c: c.datasets.get("d"),
            '{"name": "d", "columns": null, "recordCount": null, "new": {"x": 1}}',
        ),
        (lambda c: c.jobs.get("j"), '{"name": "j"}'),
        (
            lambda c: c.jobs.get("j"),
            '{"name": "j", "status": null, "statistics": null, "outputDatasets": {"A": null}, "parameters": null}',
        ),
        (lambda c: c.jobs.get("j"), '{"name": "j", "submittedAt": "2026-01-02T03:04:05.1234567"}'),
        (lambda c: c.client_credentials.get("i"), '{"clientId": "i", "secrets": null}'),
        (
            lambda c: c.client_credentials.secrets.create("i"),
            '{"clientSecretId": 1, "clientSecretId": 1, "generatedSecret": "s"}',
        ),
        (lambda c: c.api_keys.get("k"), '{"key": "k", "allowedIPs": null}'),
        (lambda c: c.api_keys.list(), "null"),
        (lambda c: c.jobs.list(), "[]"),
    ],
)
def test_absent_null_and_new_fields_are_borne(ask: Callable[[Data8], Any], body: str) -> None:
    ask(answering(body))


@pytest.mark.parametrize("body", ["<html>", "[1, 2]", "{}", '{"name": 7}'])
def test_another_shape_is_an_error_without_the_body_in_it(body: str) -> None:
    with pytest.raises(VendorUnavailable) as error:
        answering(body).jobs.get("j")

    assert body not in str(error.value)


@pytest.mark.parametrize(
    ("job", "verdict"),
    [
        ({}, "running"),
        ({"status": 0}, "running"),
        ({"status": 1, "percentComplete": 99}, "running"),
        ({"status": 2}, "running"),
        ({"status": 2, "percentComplete": 100}, "done"),
        ({"status": 2, "completedAt": "2026-01-02T03:04:05.0000000Z"}, "done"),
        ({"status": 3}, "failed"),
        ({"status": 3, "completedAt": "2026-01-02T03:04:05.0000000Z", "percentComplete": 100}, "failed"),
        ({"status": 4, "percentComplete": 10}, "failed"),
        ({"status": 7, "percentComplete": 100}, "running"),
        ({"status": "Finished", "percentComplete": 100, "outputDatasets": {"A": "other"}}, "running"),
        ({"status": 7, "percentComplete": 100, "outputDatasets": {"A": "whole"}}, "done"),
        ({"status": 7, "percentComplete": 50, "outputDatasets": {"A": "whole"}}, "running"),
        ({"status": 7, "percentComplete": 100, "outputDatasets": {"A": "whole", "B": "part"}}, "running"),
    ],
)
def test_a_job_s_verdict(job: dict[str, Any], verdict: str) -> None:
    outputs = [Dataset(name="whole", completed=True), Dataset(name="part", completed=False)]

    assert Job.model_validate({"name": "j", **job}).verdict(CODES, outputs) == verdict


def test_a_deployer_can_say_what_the_codes_are() -> None:
    codes = Assumptions(complete=frozenset({"Finished"}), failed=frozenset({99}))

    assert Job(name="j", status="Finished", percent_complete=100).verdict(codes) == "done"
    assert Job(name="j", status=99).verdict(codes) == "failed"
    assert Job(name="j", status=3).verdict(codes) == "running"
