"""`/_sandbox/…`: what a person without our Python steers the simulators with."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME, Fault

KEYS = {"username": USERNAME, "password": PASSWORD}
PORTFOLIOS = "/creditsafe/v1/datastudio/portfolios"


@pytest.fixture
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url) as http:
        token = http.post("/creditsafe/v1/authenticate", json=KEYS).json()["token"]
        http.headers["authorization"] = f"Bearer {token}"
        yield http


def ordered(http: httpx.Client, **order: Any) -> None:
    assert http.post("/_sandbox/faults", json=order).status_code == 201


def test_effects_and_calls_are_counted(http: httpx.Client) -> None:
    for _ in range(2):
        http.post(PORTFOLIOS, json={"name": "Suppliers"})
    http.post(PORTFOLIOS, json={})
    assert http.get("/_sandbox/effects").json() == [
        {"operation": "creditsafe.portfolios.create", "key": "Suppliers", "count": 2}
    ]
    assert http.get("/_sandbox/calls").json() == {
        "creditsafe.authenticate": 1,
        "creditsafe.portfolios.create": 3,
    }


def test_a_fault_strikes_so_often_and_only_there(http: httpx.Client) -> None:
    operation = "creditsafe.portfolios.list"
    ordered(http, operation=operation, kind="status", status=503, retry_after=7, times=2)
    assert http.get("/data8/Job").status_code == 401
    for _ in range(2):
        answer = http.get(PORTFOLIOS)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert http.get(PORTFOLIOS).status_code == 200


@pytest.mark.parametrize(("body", "type"), [("", None), ("<html>Sorry</html>", "text/html; charset=utf-8")])
def test_a_fault_may_answer_anything(http: httpx.Client, body: str, type: str | None) -> None:
    ordered(http, kind="status", status=502, body=body)
    answer = http.get(PORTFOLIOS)
    assert (answer.status_code, answer.text, answer.headers.get("content-type")) == (502, body, type)


def test_cut_connections(http: httpx.Client) -> None:
    for kind, happened in (("lost_before", 0), ("lost_after", 1)):
        ordered(http, kind=kind)
        with pytest.raises(httpx.TransportError):
            http.post(PORTFOLIOS, json={"name": kind})
        assert len(http.get("/_sandbox/effects").json()) == happened


def test_faults_are_taken_back(http: httpx.Client) -> None:
    ordered(http, kind="status")
    http.delete("/_sandbox/faults")
    assert http.get(PORTFOLIOS).status_code == 200


def test_tokens_expire_on_demand(http: httpx.Client) -> None:
    http.post("/_sandbox/expire-tokens")
    assert http.get(PORTFOLIOS).status_code == 401


def test_durations_can_be_set(http: httpx.Client, sandbox: Sandbox) -> None:
    assert http.post("/_sandbox/settings", json={"job_seconds": 0, "queue_seconds": 90}).status_code == 200
    assert (sandbox.state.job_seconds, sandbox.state.queue_seconds) == (0, 90)


@pytest.mark.parametrize(
    ("control", "body", "error"),
    [
        ("faults", {"kind": "fire"}, "no fault: a fault's kind is one of status, slow"),
        ("faults", {"kind": "status", "often": 3}, "no fault: Fault.__init__() got an unexpected"),
        ("faults", {}, "no fault: Fault.__init__() missing"),
        ("faults", 3, "no fault: 'int' object"),
        ("faults", {"operation": "data8.job.get", "kind": "slow"}, "no operation data8.job.get"),
        ("settings", {"job_second": 3}, "no setting job_second"),
        ("settings", {"job_seconds": "long"}, "settings are numbers of seconds"),
    ],
)
def test_what_is_not_understood_is_said(
    http: httpx.Client, sandbox: Sandbox, control: str, body: Any, error: str
) -> None:
    before = sandbox.state.job_seconds
    answer = http.post(f"/_sandbox/{control}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(error)
    assert not any(sandbox.state.faults.values())
    assert sandbox.state.job_seconds == before


def test_it_stops_at_once_even_with_a_call_under_way() -> None:
    answered: list[BaseException] = []

    def call(url: str) -> None:
        try:
            httpx.get(f"{url}/data8/Job", timeout=30)
        except httpx.HTTPError as error:
            answered.append(error)

    with Sandbox() as sandbox:
        sandbox.state.faults["data8.jobs.list"].append(Fault("slow", seconds=30))
        caller = threading.Thread(target=call, args=(sandbox.url,))
        caller.start()
        while not sandbox.state.calls:
            time.sleep(0.001)  # there is nothing to wait for: the call is to be in the server, unanswered
        began = time.monotonic()
    caller.join()
    assert time.monotonic() - began < 5
    with pytest.raises(httpx.ConnectError):
        httpx.get(sandbox.url)
