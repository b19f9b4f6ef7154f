"""The life of a token."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import pytest

from clients.data8 import Data8
from clients.data8.client import token_fetcher
from clients.errors import AuthenticationError
from sandbox.core import PASSWORD, USERNAME, Fault
from tests.support.recording_client import RecordingClient


def test_the_token_is_asked_for_in_a_form(recorder: RecordingClient[Data8]) -> None:
    recorder.connect().jobs.list()

    asked = recorder.requests[0]
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in asked.headers
    assert parse_qs(asked.read().decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["BatchApi"],
        "client_id": [USERNAME],
        "client_secret": [PASSWORD],
    }


def test_the_token_is_asked_for_with_basic_authentication_if_so_set(recorder: RecordingClient[Data8]) -> None:
    recorder.connect(basic_auth=True).jobs.list()

    asked = recorder.requests[0]
    assert asked.headers["authorization"].startswith("Basic ")
    assert parse_qs(asked.read().decode()) == {"grant_type": ["client_credentials"], "scope": ["BatchApi"]}


@pytest.mark.parametrize("basic_auth", [False, True])
def test_a_generated_secret_opens_the_api(recorder: RecordingClient[Data8], *, basic_auth: bool) -> None:
    owner = recorder.connect()
    made = owner.client_credentials.create(description="worker")
    secret = owner.client_credentials.secrets.create(made.client_id).generated_secret

    other = recorder.connect(client_id=made.client_id, client_secret=secret, basic_auth=basic_auth)

    assert other.jobs.list() == []


def test_eight_threads_share_one_token(recorder: RecordingClient[Data8]) -> None:
    client = recorder.connect()
    start = threading.Barrier(8)

    def call(_: int) -> None:
        start.wait()
        client.jobs.list()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(8)))

    assert recorder.token_requests() == 1


@pytest.mark.parametrize(
    ("expires_in", "usable"), [(3600, 3540), (600, 540), (60, 30), (None, 3540), (-1, 3540)]
)
def test_a_token_is_used_until_a_minute_before_it_expires(
    recorder: RecordingClient[Data8], expires_in: float | None, usable: float
) -> None:
    fetch = token_fetcher("http://token", "id", "secret", basic_auth=False, assumed_lifetime=3600)

    class Answers:
        vendor = "data8"

        def authenticate(self, *_: object) -> dict[str, object]:
            return {"access_token": "t", "token_type": "Bearer", "expires_in": expires_in}

    assert fetch(Answers()).lifetime == usable  # type: ignore[arg-type]


def test_a_token_that_is_refused_is_renewed_once(recorder: RecordingClient[Data8]) -> None:
    client = recorder.connect()
    client.jobs.list()
    recorder.sandbox.state.faults["data8.jobs.list"].append(Fault("expire"))

    assert client.jobs.list() == []
    assert recorder.token_requests() == 2


def test_a_token_that_is_refused_twice_is_an_error(recorder: RecordingClient[Data8]) -> None:
    client = recorder.connect()
    recorder.sandbox.state.faults["data8.jobs.list"].append(Fault("expire", times=2))

    with pytest.raises(AuthenticationError, match="token refused twice") as refused:
        client.jobs.list()

    assert refused.value.status == 401
    assert recorder.token_requests() == 2
    for _ in range(3):
        with pytest.raises(AuthenticationError, match="not tried again for 60 s"):
            client.jobs.list()
    assert recorder.token_requests() == 2
    assert recorder.sandbox.state.calls["data8.jobs.list"] == 2


def test_a_token_expires_at_the_vendor_by_its_clock(recorder: RecordingClient[Data8]) -> None:
    client = recorder.connect()
    client.jobs.list()
    recorder.sandbox.state.clock = lambda: time.time() + 3_601

    assert client.jobs.list() == []
    assert recorder.token_requests() == 2


def test_refused_credentials_are_not_tried_again(recorder: RecordingClient[Data8]) -> None:
    client = recorder.connect(client_secret="wrong")

    with pytest.raises(AuthenticationError) as first:
        client.jobs.list()
    with ThreadPoolExecutor(8) as pool:
        more = [pool.submit(client.jobs.list) for _ in range(8)]

    assert first.value.status == 400
    assert first.value.detail == "invalid_client"
    for refused in more:
        error = refused.exception()
        assert isinstance(error, AuthenticationError)
        assert 50 < (error.retry_after or 0) <= 60
    assert recorder.token_requests() == 1
    assert "wrong" not in f"{first.value!r} {first.value} {client!r} {vars(client)!r}"
