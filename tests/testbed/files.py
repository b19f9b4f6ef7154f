"""A file server over HTTPS whose behaviour the test sets."""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


@dataclass
class Page:
    """The response under one path.

    Attributes:
        content: bytes of the file.
        ranges: whether the server honours range requests.
        version: its ETag.
        status: another status than 200 or 206.
        headers: further response headers.
        excess: bytes sent beyond the requested ones.
    """

    content: bytes = b""
    ranges: bool = True
    version: str = '"1"'
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    excess: bytes = b""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore clients that do not trust the certificate and hang up."""


class FileServer:
    """HTTPS (or HTTP) on loopback.

    Attributes:
        pages: by encoded path.
        asked: (path with query, Range, Host) of each request, in order.
    """

    def __init__(self, authority: trustme.CA | None, *names: str) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str | None, str | None]] = []
        self._http = _Quiet(("127.0.0.1", 0), self._handler())
        if authority is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert(*(names or ("127.0.0.1", "localhost"))).configure_cert(context)
            self._http.socket = context.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                range_header = self.headers["Range"]
                server.asked.append((self.path, range_header, self.headers["Host"]))
                page = server.pages.get(self.path.partition("?")[0], Page(status=404))
                status, content, headers = (
                    page.status or 200,
                    page.content,
                    {"ETag": page.version, **page.headers},
                )
                byte_range = re.fullmatch(r"bytes=(\d+)-(\d+)", range_header or "")
                if page.status is None and page.ranges and byte_range:
                    start, end = int(byte_range[1]), min(int(byte_range[2]) + 1, len(content))
                    status = 206 if start < len(content) else 416
                    part = f"{start}-{end - 1}" if status == 206 else "*"
                    headers["Content-Range"] = f"bytes {part}/{len(content)}"
                    content = content[start:end] if status == 206 else b""
                with contextlib.suppress(OSError):  # the client may have hung up
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content) + len(page.excess)))
                    self.end_headers()
                    self.wfile.write(content + page.excess)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def authority(folder: Path) -> tuple[trustme.CA, Path]:
    """Create a throw-away certificate authority, and the file of its certificate."""
    made = trustme.CA()
    path = folder / "authority.pem"
    made.cert_pem.write_to_path(str(path))
    return made, path
