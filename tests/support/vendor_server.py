"""A vendor's HTTP server with planned replies, a token source, and two operations to call."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from clients.auth import Token, TokenAuth
from clients.operation import Operation

READ = Operation("things.get", "GET", "/thing")
WRITE = Operation("things.create", "POST", "/thing", effect=True)


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


class VendorServer(ThreadingHTTPServer):
    """Sends the planned replies in order, then 200; records the requests."""

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
    server: VendorServer

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


def tokens() -> TokenAuth:
    """Return an auth that issues `token-1`, `token-2` and so on."""
    numbers = iter(range(1, 100))
    return TokenAuth(lambda _: Token(f"token-{next(numbers)}", 3600))


def bearers(vendor: VendorServer) -> list[str | None]:
    return [received.headers.get("authorization") for received in vendor.received]
