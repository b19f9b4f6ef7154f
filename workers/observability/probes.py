"""The probes `/livez`, `/readyz` and `/metrics` of a worker, answered from memory without waiting."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog

from workers.observability.health import Health
from workers.observability.metrics import Collector, render
from workers.settings import HttpSettings

log = structlog.get_logger("kyb.probes")

#: A connection that sends no request within this time is closed.
REQUEST_TIMEOUT_SECONDS = 5


class Probes:
    """A small HTTP server in its own thread.

    Args:
        settings: host and port; port 0 takes a free one.
        health: `/livez` answers 503 with the parts that are stuck, `/readyz` with those that are missing; otherwise 200.
        collectors: more metrics for `/metrics`, in addition to those of the process.
    """

    def __init__(self, settings: HttpSettings, health: Health, collectors: Sequence[Collector] = ()) -> None:
        self._server = ThreadingHTTPServer((settings.host, settings.port), _handler(health, collectors))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(health: Health, collectors: Sequence[Collector]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_TIMEOUT_SECONDS

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path == "/livez":
                self._report("alive", "stuck", health.stuck)
            elif path == "/readyz":
                self._report("ready", "down", health.missing)
            elif path == "/metrics":
                self._answer(200, *render(self.headers.get("Accept", ""), collectors))
            else:
                self._json(404, {"status": "not found"})

        def _report(self, healthy: str, problem: str, check: Callable[[], list[str]]) -> None:
            problems = check()
            status = f"not {healthy}" if problems else healthy
            self._json(503 if problems else 200, {"status": status, problem: problems})

        def _json(self, status: int, body: dict[str, object]) -> None:
            self._answer(status, "application/json", json.dumps(body).encode())

        def _answer(self, status: int, media_type: str, payload: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:
            log.debug("probe", line=format % args)

    return Handler
