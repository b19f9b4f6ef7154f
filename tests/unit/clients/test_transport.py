"""What is common to all vendors, over the wire, against a server that answers as it is told."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.auth import LOCKOUT_INITIAL_SECONDS, LOCKOUT_MAX_SECONDS, Token, TokenAuth
from clients.breaker import THRESHOLD, Breaker
from clients.errors import (
    AuthenticationError,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    VendorError,
    VendorUnavailable,
)
from clients.operation import Call, Operation
from clients.transport import ACQUIRE_VALID_SECONDS, Transport, before_effect, correlation
from clients.wire import RETRY_AFTER_MAX_SECONDS, error_message, header_value, retry_after

ASK = Operation("things.get", "GET", "/thing")
ACT = Operation("things.create", "POST", "/thing", effect=True)


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


class Vendor(ThreadingHTTPServer):
    """Answers with the replies it was given, then with 200; remembers what it received."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.received: list[Received] = []
        self.replies: deque[Reply] = deque()
        self.connections = 0
        self.url = f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise an answer takes 40 ms
    server: Vendor

    def answer(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.received.append(
            Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        )
        reply = self.server.replies.popleft() if self.server.replies else Reply()
        if reply.hang_up:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in ({"Content-Length": "2"} | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def serve() -> Iterator[Callable[[], Vendor]]:
    with contextlib.ExitStack() as stack:

        def start() -> Vendor:
            vendor = stack.enter_context(Vendor())
            threading.Thread(target=vendor.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(vendor.shutdown)
            return vendor

        yield start


@pytest.fixture
def vendor(serve: Callable[[], Vendor]) -> Vendor:
    return serve()


@pytest.fixture
def transport(vendor: Vendor) -> Iterator[Transport]:
    transport = Transport("data8", vendor.url, tokens())
    yield transport
    transport.close()


def tokens() -> TokenAuth:
    """Gives `token-1`, `token-2` and so on."""
    numbers = iter(range(1, 100))
    return TokenAuth(lambda _: Token(f"token-{next(numbers)}", 3600))


def bearers(vendor: Vendor) -> list[str | None]:
    return [received.headers.get("authorization") for received in vendor.received]


# -- connections and tokens ---------------------------------------------------------------------------------------------


def test_connections_and_the_token_are_used_again_by_all_threads_whatever_the_answer_was(
    vendor: Vendor, transport: Transport
) -> None:
    vendor.replies += [Reply(status) for status in (200, 404, 429, 422, 200, 503)]
    for _ in range(8):
        with contextlib.suppress(VendorError):
            Call(transport, ASK)()
    assert vendor.connections == 1
    with ThreadPoolExecutor(4) as threads:
        for answer in [threads.submit(Call(transport, ASK)) for _ in range(40)]:
            answer.result()
    assert vendor.connections <= 4
    assert set(bearers(vendor)) == {"Bearer token-1"}


def test_a_refused_token_is_renewed_once_and_the_body_sent_again_whole(
    vendor: Vendor, transport: Transport
) -> None:
    bodies: list[Any] = [{"content": io.BytesIO(b"body")}, {"files": {"file": ("f", io.BytesIO(b"body"))}}]
    for body in bodies:
        vendor.received.clear()
        vendor.replies.append(Reply(401))
        Call(transport, ACT)(**body)
        assert len(vendor.received) == 2
        assert all(b"body" in received.body for received in vendor.received)
        assert len(set(bearers(vendor))) == 2


def test_a_body_that_is_used_up_is_not_sent_again(vendor: Vendor, transport: Transport) -> None:
    vendor.replies.append(Reply(401))
    with pytest.raises(VendorUnavailable, match="cannot be sent twice"):
        Call(transport, ACT)(content=iter([b"one", b"two"]))
    assert [received.body for received in vendor.received] == [b"onetwo"]
    Call(transport, ACT)(content=iter([b"one"]))  # the next attempt has another token
    assert bearers(vendor) == ["Bearer token-1", "Bearer token-2"]


def test_refused_credentials_are_barred_for_longer_and_longer_until_they_are_taken() -> None:
    now = [0.0]
    asked: list[float] = []
    refuse = [True]

    def fetch(_: Transport) -> Token:
        asked.append(now[0])
        if refuse[0]:
            raise AuthenticationError("data8", "token", "credentials refused", status=400)
        return Token("token", 10)

    auth = TokenAuth(fetch, clock=lambda: now[0])
    transport = Transport("data8", "http://127.0.0.1:1", auth)
    bars = []
    for _ in range(6):
        with pytest.raises(AuthenticationError):
            auth.token(transport)
        with pytest.raises(AuthenticationError, match="not tried again") as barred:
            auth.token(transport)
        assert barred.value.retry_after is not None
        bars.append(barred.value.retry_after)
        now[0] += bars[-1]
    assert bars == [LOCKOUT_INITIAL_SECONDS, 120, 240, 480, LOCKOUT_MAX_SECONDS, LOCKOUT_MAX_SECONDS]
    assert len(asked) == 6
    refuse[0] = False
    assert auth.token(transport) == "token"
    refuse[0] = True
    now[0] += 11
    with pytest.raises(AuthenticationError):
        auth.token(transport)
    with pytest.raises(AuthenticationError) as barred:
        auth.token(transport)
    assert barred.value.retry_after == LOCKOUT_INITIAL_SECONDS
    transport.close()


def test_a_token_that_is_refused_when_fresh_bars_for_longer_and_longer_too() -> None:
    """Another token is no sign that the credentials are good again; only time without a refusal is."""
    now = [0.0]
    auth = TokenAuth(lambda _: Token(f"token {now[0]}", 10), clock=lambda: now[0])
    transport = Transport("data8", "http://127.0.0.1:1", auth)
    refusal = AuthenticationError("data8", "jobs.list", "token refused twice", status=401)

    def bar() -> float:
        auth.refused(auth.token(transport), refusal)
        auth.refused("an older one, from another thread", refusal)
        with pytest.raises(AuthenticationError, match="not tried again") as barred:
            auth.token(transport)
        now[0] += barred.value.retry_after or 0.0
        return barred.value.retry_after or 0.0

    assert [bar() for _ in range(6)] == [
        LOCKOUT_INITIAL_SECONDS,
        120,
        240,
        480,
        LOCKOUT_MAX_SECONDS,
        LOCKOUT_MAX_SECONDS,
    ]
    now[0] += LOCKOUT_MAX_SECONDS + 1
    assert bar() == LOCKOUT_INITIAL_SECONDS
    transport.close()


# -- other hosts ----------------------------------------------------------------------------------------


def test_a_redirect_is_refused_and_nothing_goes_to_the_other_host(
    serve: Callable[[], Vendor], vendor: Vendor, transport: Transport
) -> None:
    other = serve()
    vendor.replies.append(Reply(302, {"Location": f"{other.url}/thing"}))
    with pytest.raises(Rejected) as refused:
        Call(transport, ASK)()
    assert refused.value.status == 302
    assert other.received == []


def test_downloads_take_token_and_correlation_to_the_vendors_own_host_alone(
    serve: Callable[[], Vendor], vendor: Vendor, transport: Transport
) -> None:
    other = serve()
    with belonging_to("order-7"):
        for host in (vendor, other):
            with transport.download(f"{host.url}/file") as response:
                assert response.read() == b"{}"
    own, foreign = vendor.received[0].headers, other.received[0].headers
    assert (own["authorization"], own["x-correlation-id"]) == ("Bearer token-1", "order-7")
    assert not {"authorization", "x-correlation-id"} & set(foreign)


# -- correlation ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def belonging_to(id: str) -> Iterator[None]:
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
def test_every_call_carries_what_it_belongs_to(
    vendor: Vendor, transport: Transport, id: str, sent: str
) -> None:
    with belonging_to(id):
        Call(transport, ASK)()
        transport.authenticate(Operation("token", "POST", "/token"), f"{vendor.url}/token", {"json": {}})
    assert [received.headers["x-correlation-id"] for received in vendor.received] == [sent, sent]
    Call(transport, ASK)()
    assert "x-correlation-id" not in vendor.received[-1].headers


@given(st.text())
def test_any_correlation_can_be_a_header(id: str) -> None:
    value = header_value(id)
    assert value.isascii()
    assert value.isprintable()
    assert value == value.strip()


# -- the circuit ----------------------------------------------------------------------------------------


class Fused:
    """A transport whose circuit follows a clock set by hand."""

    def __init__(self, url: str, acquire: Callable[[str], float] = lambda _: 0.0) -> None:
        self.now = 0.0
        breaker = Breaker(clock=lambda: self.now, jitter=lambda: 1.0)
        self.transport = Transport("data8", url, tokens(), breaker=breaker, acquire=acquire)

    def refusal(self) -> float | None:
        with pytest.raises(VendorUnavailable, match="not called") as refused:
            Call(self.transport, ACT)()
        return refused.value.retry_after


@pytest.mark.parametrize("trouble", [Reply(500), Reply(503, {"Retry-After": "3"}), Reply(hang_up=True)])
def test_a_vendor_in_trouble_is_left_alone_but_for_a_probe(vendor: Vendor, trouble: Reply) -> None:
    fused = Fused(vendor.url)
    vendor.replies += [trouble] * (THRESHOLD + 1)
    for _ in range(THRESHOLD):
        with pytest.raises((OutcomeUnknown, VendorUnavailable)):
            Call(fused.transport, ACT)()
    assert fused.refusal() == 1.0
    fused.now = 1.0
    with pytest.raises((OutcomeUnknown, VendorUnavailable)) as probed:
        Call(fused.transport, ACT)()
    assert "not called" not in probed.value.message
    assert fused.refusal() == 2.0
    assert len(vendor.received) == THRESHOLD + 1
    fused.now = 3.0
    Call(fused.transport, ACT)()
    Call(fused.transport, ACT)()
    fused.transport.close()


def test_a_vendor_that_cannot_be_reached_is_left_alone() -> None:
    fused = Fused("http://127.0.0.1:1")
    for _ in range(THRESHOLD):
        with pytest.raises(VendorUnavailable, match="cannot be reached"):
            Call(fused.transport, ASK)()
    assert fused.refusal() == 1.0
    fused.transport.close()


@pytest.mark.parametrize("status", [302, 400, 404, 409, 422, 429])
def test_a_refusal_is_an_answer_of_a_vendor_that_is_well(vendor: Vendor, status: int) -> None:
    fused = Fused(vendor.url)
    vendor.replies += [Reply(status)] * (2 * THRESHOLD)
    for _ in range(2 * THRESHOLD):
        with pytest.raises((Rejected, RateLimited)):
            Call(fused.transport, ACT)()
    assert len(vendor.received) == 2 * THRESHOLD
    fused.transport.close()


def test_trouble_at_another_host_is_not_the_vendors(serve: Callable[[], Vendor], vendor: Vendor) -> None:
    fused, other = Fused(vendor.url), serve()
    other.replies += [Reply(500)] * THRESHOLD
    for _ in range(THRESHOLD):
        with pytest.raises(VendorUnavailable), fused.transport.download(other.url):
            pass
    Call(fused.transport, ASK)()
    fused.transport.close()


def test_a_probe_without_a_permit_is_made_by_the_next(vendor: Vendor) -> None:
    waits = [0.0] * THRESHOLD + [7.0]
    fused = Fused(vendor.url, acquire=lambda _: waits.pop(0) if waits else 0.0)
    vendor.replies += [Reply(500)] * THRESHOLD
    for _ in range(THRESHOLD):
        with pytest.raises(VendorUnavailable):
            Call(fused.transport, ASK)()
    assert fused.refusal() == 1.0  # and no permit was used up for it
    fused.now = 1.0
    with pytest.raises(RateLimited) as limited:
        Call(fused.transport, ASK)()
    assert limited.value.retry_after == 7.0
    Call(fused.transport, ASK)()
    fused.transport.close()


# -- answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        ("-3", 0, 0),
        ("inf", RETRY_AFTER_MAX_SECONDS, RETRY_AFTER_MAX_SECONDS),
        ("86400", RETRY_AFTER_MAX_SECONDS, RETRY_AFTER_MAX_SECONDS),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
    ],
)
def test_the_wait_that_a_vendor_names(value: str, low: float, high: float) -> None:
    seconds = retry_after(httpx.Response(429, headers={"Retry-After": value}))
    assert seconds is not None
    assert low <= seconds <= high


def test_the_date_that_a_vendor_names() -> None:
    date = formatdate(time.time() + 90, usegmt=True)
    seconds = retry_after(httpx.Response(429, headers={"Retry-After": date}))
    assert seconds is not None
    assert 60 <= seconds <= 90


@pytest.mark.parametrize("value", ["", "nan", "soon", "Wed, 99 Oct 2015 07:28:00 GMT"])
def test_a_wait_that_says_nothing(value: str) -> None:
    assert retry_after(httpx.Response(429, headers={"Retry-After": value})) is None


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126))
    | st.from_regex(
        r"(Mon, )?[0-9]{1,5} (Jan|x) -?[0-9]{1,6} [0-9]{1,3}:[0-9]{1,3}(:[0-9]{1,3})? (GMT|[+-][0-9]{1,6})",
        fullmatch=True,
    )
)
def test_any_retry_after_is_borne(value: str) -> None:
    seconds = retry_after(httpx.Response(503, headers={"Retry-After": value}))
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_MAX_SECONDS


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"message": "Access denied", "details": "sub expired"}, "Access denied; sub expired"),
        ({"error": "invalid_client"}, "invalid_client"),
        (
            {
                "type": "about:blank",
                "title": "Bad",
                "detail": "See errors",
                "errors": {"Name": ["is long", "is odd"]},
            },
            "Bad; See errors; Name: is long is odd",
        ),
        ({"messages": ["no such project", "no such project"]}, "no such project"),
        ({"record": {"name": "Jane"}}, None),
        (["Jane"], None),
        ("Jane", None),
    ],
)
def test_the_vendors_words_are_found_and_nothing_else(body: Any, words: str | None) -> None:
    assert error_message(httpx.Response(400, json=body)) == words


def test_a_page_that_is_no_json_has_no_words() -> None:
    assert error_message(httpx.Response(502, text="<html>Bad gateway</html>")) is None


def test_an_answer_that_is_cut_short_is_lost(vendor: Vendor, transport: Transport) -> None:
    for operation, error in ((ASK, VendorUnavailable), (ACT, OutcomeUnknown)):
        vendor.replies.append(Reply(headers={"Content-Length": "10", "Connection": "close"}))
        with pytest.raises(error, match="lost"):
            Call(transport, operation)()


def test_a_call_that_comes_long_after_it_was_allowed_is_asked_for_once_more(vendor: Vendor) -> None:
    """Else it would reach the vendor in another window than that in which it was counted."""
    waits = [0.0, 0.0, 5.0]
    transport = Transport("data8", vendor.url, tokens(), acquire=lambda _: waits.pop(0))
    slow = before_effect.set(lambda: time.sleep(2 * ACQUIRE_VALID_SECONDS))  # as a ledger may be
    try:
        vendor.replies.append(Reply())
        Call(transport, ACT)()
        assert waits == [5.0]
        waits.insert(0, 0.0)
        with pytest.raises(RateLimited):
            Call(transport, ACT)()
    finally:
        before_effect.reset(slow)
        transport.close()
    assert len(vendor.received) == 1


def test_a_call_that_was_not_sent_is_not_observed(vendor: Vendor) -> None:
    seen: list[int | None] = []
    transport = Transport(
        "data8", vendor.url, tokens(), acquire=lambda _: 3.0, observe=lambda o: seen.append(o.status)
    )
    with pytest.raises(RateLimited) as limited:
        Call(transport, ACT)()
    assert (limited.value.status, limited.value.retry_after) == (None, 3.0)
    assert vendor.received == []
    assert seen == []
    transport.close()
