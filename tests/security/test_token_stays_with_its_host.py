"""The bearer token goes only to its vendor's own host, not to redirects or download links elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from clients.auth import Token, TokenAuth
from clients.errors import Rejected, VendorError
from clients.operation import Operation
from clients.transport import Transport, correlation

TOKEN = "the-bearer-token"
GET = Operation("things.get", "GET", "/things")


class Host:
    """A server with responses that the test sets, which records its requests."""

    def __init__(self) -> None:
        self.answer: Callable[[str], tuple[int, dict[str, str]]] = lambda _: (200, {})
        self.seen: list[tuple[str, dict[str, str]]] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                status, headers = host.answer(self.path)
                self.send_response(status)
                for name, value in (headers | {"content-length": "0", "connection": "close"}).items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """The vendor's own host and another one."""
    pair = Host(), Host()
    yield pair
    for host in pair:
        host.close()


@pytest.fixture
def transport(hosts: tuple[Host, Host]) -> Iterator[Transport]:
    made = Transport("data8", hosts[0].url, TokenAuth(lambda _: Token(TOKEN, 600.0)), timeout=5.0)
    token = correlation.set("correlated")
    yield made
    correlation.reset(token)
    made.close()


def get(transport: Transport) -> None:
    with transport.open(GET, GET.path, {}) as response:
        response.read()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_when_a_vendor_sends_one(
    transport: Transport, hosts: tuple[Host, Host], status: int
) -> None:
    own, other = hosts
    own.answer = lambda _: (status, {"location": f"{other.url}/elsewhere"})
    with pytest.raises(Rejected):
        get(transport)
    with pytest.raises(Rejected), transport.download(f"{own.url}/file"):
        pass
    assert other.seen == []
    assert [headers["authorization"] for _, headers in own.seen] == [f"Bearer {TOKEN}"] * 2


@pytest.mark.parametrize(
    "link",
    [
        "http://127.0.0.1:{other}/file",
        "http://localhost:{own}/file",
        "http://127.0.0.1:{own}@127.0.0.1:{other}/file",
        "http://user:word@127.0.0.1:{other}/file",
        "http://127.0.0.1:{other}/file?next=http://127.0.0.1:{own}",
        "http://127.0.0.1:{other}\\@127.0.0.1:{own}/file",
        "//127.0.0.1:{other}/file",
        "https://127.0.0.1:{own}/file",
        "file:///etc/hostname",
        "http://127.0.0.1:{own}:{other}/file",
        "http://[127.0.0.1:{own}/file",
    ],
)
def test_download_sends_no_token_when_the_link_leads_to_another_host(
    transport: Transport, hosts: tuple[Host, Host], link: str
) -> None:
    own, other = hosts
    with suppress(VendorError), transport.download(link.format(own=own.port, other=other.port)) as response:
        response.read()
    for _, headers in other.seen:
        assert TOKEN not in str(headers)
        assert "x-correlation-id" not in headers
    for _, headers in own.seen:  # another name counts as another host
        assert TOKEN not in str(headers)


def test_download_sends_the_token_when_the_link_leads_to_the_vendor(
    transport: Transport, hosts: tuple[Host, Host]
) -> None:
    own, _ = hosts
    with transport.download(f"{own.url}/file") as response:
        response.read()
    assert own.seen[0][1]["authorization"] == f"Bearer {TOKEN}"
    assert own.seen[0][1]["x-correlation-id"] == "correlated"
