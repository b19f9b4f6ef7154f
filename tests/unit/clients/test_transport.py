from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from clients.errors import (
    OutcomeUnknown,
    RateLimited,
    Rejected,
    VendorError,
    VendorUnavailable,
)
from clients.operation import Call, Operation
from clients.transport import ACQUIRE_VALID_SECONDS, Transport, before_effect, correlation
from tests.support.vendor_server import READ, WRITE, Reply, VendorServer, bearers, tokens


def test_transport_reuses_connections_and_token_across_threads_when_answers_are_errors(
    vendor: VendorServer, transport: Transport
) -> None:
    vendor.replies += [Reply(status) for status in (200, 404, 429, 422, 200, 503)]
    for _ in range(8):
        with contextlib.suppress(VendorError):
            Call(transport, READ)()
    assert vendor.connections == 1
    with ThreadPoolExecutor(4) as threads:
        for answer in [threads.submit(Call(transport, READ)) for _ in range(40)]:
            answer.result()
    assert vendor.connections <= 4
    assert set(bearers(vendor)) == {"Bearer token-1"}


def test_transport_renews_the_token_and_resends_the_body_when_the_token_is_refused(
    vendor: VendorServer, transport: Transport
) -> None:
    bodies: list[Any] = [{"content": io.BytesIO(b"body")}, {"files": {"file": ("f", io.BytesIO(b"body"))}}]
    for body in bodies:
        vendor.received.clear()
        vendor.replies.append(Reply(401))
        Call(transport, WRITE)(**body)
        assert len(vendor.received) == 2
        assert all(b"body" in received.body for received in vendor.received)
        assert len(set(bearers(vendor))) == 2


def test_transport_does_not_resend_when_the_body_cannot_be_rewound(
    vendor: VendorServer, transport: Transport
) -> None:
    vendor.replies.append(Reply(401))
    with pytest.raises(VendorUnavailable, match="cannot be sent twice"):
        Call(transport, WRITE)(content=iter([b"one", b"two"]))
    assert [received.body for received in vendor.received] == [b"onetwo"]
    Call(transport, WRITE)(content=iter([b"one"]))  # the next attempt has another token
    assert bearers(vendor) == ["Bearer token-1", "Bearer token-2"]


def test_transport_raises_rejected_when_the_vendor_redirects(
    serve: Callable[[], VendorServer], vendor: VendorServer, transport: Transport
) -> None:
    other = serve()
    vendor.replies.append(Reply(302, {"Location": f"{other.url}/thing"}))
    with pytest.raises(Rejected) as refused:
        Call(transport, READ)()
    assert refused.value.status == 302
    assert other.received == []


def test_download_sends_token_and_correlation_only_when_the_host_is_the_vendors(
    serve: Callable[[], VendorServer], vendor: VendorServer, transport: Transport
) -> None:
    other = serve()
    with correlated("order-7"):
        for host in (vendor, other):
            with transport.download(f"{host.url}/file") as response:
                assert response.read() == b"{}"
    own, foreign = vendor.received[0].headers, other.received[0].headers
    assert (own["authorization"], own["x-correlation-id"]) == ("Bearer token-1", "order-7")
    assert not {"authorization", "x-correlation-id"} & set(foreign)


@contextlib.contextmanager
def correlated(id: str) -> Iterator[None]:
    token = correlation.set(id)
    try:
        yield
    finally:
        correlation.reset(token)


@pytest.mark.parametrize(
    ("id", "sent"),
    [
        ("customers-2026-08", "customers-2026-08"),
        ("two words; 100%", "two words; 100%"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("a\r\nHost: b", "a%0D%0AHost%3A%20b"),
        (" padded", "%20padded"),
    ],
)
def test_transport_sends_the_correlation_header_when_correlation_is_set(
    vendor: VendorServer, transport: Transport, id: str, sent: str
) -> None:
    with correlated(id):
        Call(transport, READ)()
        transport.authenticate(Operation("token", "POST", "/token"), f"{vendor.url}/token", {"json": {}})
    assert [received.headers["x-correlation-id"] for received in vendor.received] == [sent, sent]
    Call(transport, READ)()
    assert "x-correlation-id" not in vendor.received[-1].headers


def test_transport_raises_when_the_answer_is_cut_short(vendor: VendorServer, transport: Transport) -> None:
    for operation, error in ((READ, VendorUnavailable), (WRITE, OutcomeUnknown)):
        vendor.replies.append(Reply(headers={"Content-Length": "10", "Connection": "close"}))
        with pytest.raises(error, match="lost"):
            Call(transport, operation)()


def test_transport_acquires_another_permit_when_the_first_is_old(vendor: VendorServer) -> None:
    """Else it would reach the vendor in another window than that in which it was counted."""
    waits = [0.0, 0.0, 5.0]
    transport = Transport("data8", vendor.url, tokens(), acquire=lambda _: waits.pop(0))
    slow = before_effect.set(lambda: time.sleep(2 * ACQUIRE_VALID_SECONDS))  # as a ledger may be
    try:
        vendor.replies.append(Reply())
        Call(transport, WRITE)()
        assert waits == [5.0]
        waits.insert(0, 0.0)
        with pytest.raises(RateLimited):
            Call(transport, WRITE)()
    finally:
        before_effect.reset(slow)
        transport.close()
    assert len(vendor.received) == 1


def test_transport_does_not_observe_a_call_when_the_rate_limit_stops_it(vendor: VendorServer) -> None:
    seen: list[int | None] = []
    transport = Transport(
        "data8", vendor.url, tokens(), acquire=lambda _: 3.0, observe=lambda o: seen.append(o.status)
    )
    with pytest.raises(RateLimited) as limited:
        Call(transport, WRITE)()
    assert (limited.value.status, limited.value.retry_after) == (None, 3.0)
    assert vendor.received == []
    assert seen == []
    transport.close()
