"""`/livez`, `/readyz` and `/metrics` of a worker: answered from memory, so that no answer waits for anything."""

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

#: Seconds that somebody who connects has to say what he wants.
REQUEST_TIMEOUT_SECONDS = 5


class Probes:
    """A small HTTP server in a thread of its own.

    Args:
        settings: where it listens; port 0 takes a free one.
        health: `/livez` answers 503 with what is stuck, `/readyz` with what is missing, both 200 otherwise.
        collectors: what `/metrics` shows beside the metrics of the process.
    """

    def __init__(self, settings: HttpSettings, health: Health, collectors: Sequence[Collector] = ()) -> None:
        self._server = ThreadingHTTPServer((settings.host, settings.port), _handler(health, collectors))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="probes", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
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
                self._verdict("alive", "stuck", health.stuck)
            elif path == "/readyz":
                self._verdict("ready", "down", health.missing)
            elif path == "/metrics":
                self._answer(200, *render(self.headers.get("Accept", ""), collectors))
            else:
                self._json(404, {"status": "not found"})

        def _verdict(self, well: str, wrong: str, ask: Callable[[], list[str]]) -> None:
            found = ask()
            self._json(503 if found else 200, {"status": f"not {well}" if found else well, wrong: found})

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
