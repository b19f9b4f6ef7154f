from __future__ import annotations

from collections.abc import Callable

import pytest

from clients.breaker import THRESHOLD, Breaker
from clients.errors import (
    OutcomeUnknown,
    RateLimited,
    Rejected,
    VendorUnavailable,
)
from clients.operation import Call
from clients.transport import Transport
from tests.support.vendor_server import READ, WRITE, Reply, VendorServer, tokens


class BreakerHarness:
    """A transport whose circuit breaker follows a manual clock."""

    def __init__(self, url: str, acquire: Callable[[str], float] = lambda _: 0.0) -> None:
        self.now = 0.0
        breaker = Breaker(clock=lambda: self.now, jitter=lambda: 1.0)
        self.transport = Transport("data8", url, tokens(), breaker=breaker, acquire=acquire)

    def refusal(self) -> float | None:
        with pytest.raises(VendorUnavailable, match="not called") as refused:
            Call(self.transport, WRITE)()
        return refused.value.retry_after


@pytest.mark.parametrize("trouble", [Reply(500), Reply(503, {"Retry-After": "3"}), Reply(hang_up=True)])
def test_breaker_allows_only_a_probe_when_the_vendor_fails(vendor: VendorServer, trouble: Reply) -> None:
    harness = BreakerHarness(vendor.url)
    vendor.replies += [trouble] * (THRESHOLD + 1)
    for _ in range(THRESHOLD):
        with pytest.raises((OutcomeUnknown, VendorUnavailable)):
            Call(harness.transport, WRITE)()
    assert harness.refusal() == 1.0
    harness.now = 1.0
    with pytest.raises((OutcomeUnknown, VendorUnavailable)) as probed:
        Call(harness.transport, WRITE)()
    assert "not called" not in probed.value.message
    assert harness.refusal() == 2.0
    assert len(vendor.received) == THRESHOLD + 1
    harness.now = 3.0
    Call(harness.transport, WRITE)()
    Call(harness.transport, WRITE)()
    harness.transport.close()


def test_breaker_opens_when_the_vendor_cannot_be_reached() -> None:
    harness = BreakerHarness("http://127.0.0.1:1")
    for _ in range(THRESHOLD):
        with pytest.raises(VendorUnavailable, match="cannot be reached"):
            Call(harness.transport, READ)()
    assert harness.refusal() == 1.0
    harness.transport.close()


@pytest.mark.parametrize("status", [302, 400, 404, 409, 422, 429])
def test_breaker_stays_closed_when_the_vendor_refuses(vendor: VendorServer, status: int) -> None:
    harness = BreakerHarness(vendor.url)
    vendor.replies += [Reply(status)] * (2 * THRESHOLD)
    for _ in range(2 * THRESHOLD):
        with pytest.raises((Rejected, RateLimited)):
            Call(harness.transport, WRITE)()
    assert len(vendor.received) == 2 * THRESHOLD
    harness.transport.close()


def test_breaker_stays_closed_when_another_host_fails(
    serve: Callable[[], VendorServer], vendor: VendorServer
) -> None:
    harness, other = BreakerHarness(vendor.url), serve()
    other.replies += [Reply(500)] * THRESHOLD
    for _ in range(THRESHOLD):
        with pytest.raises(VendorUnavailable), harness.transport.download(other.url):
            pass
    Call(harness.transport, READ)()
    harness.transport.close()


def test_breaker_lets_the_next_call_probe_when_the_probe_has_no_permit(vendor: VendorServer) -> None:
    waits = [0.0] * THRESHOLD + [7.0]
    harness = BreakerHarness(vendor.url, acquire=lambda _: waits.pop(0) if waits else 0.0)
    vendor.replies += [Reply(500)] * THRESHOLD
    for _ in range(THRESHOLD):
        with pytest.raises(VendorUnavailable):
            Call(harness.transport, READ)()
    assert harness.refusal() == 1.0  # and no permit was used up for it
    harness.now = 1.0
    with pytest.raises(RateLimited) as limited:
        Call(harness.transport, READ)()
    assert limited.value.retry_after == 7.0
    Call(harness.transport, READ)()
    harness.transport.close()
