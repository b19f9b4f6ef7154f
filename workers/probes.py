"""`/livez` and `/readyz` of a worker, for Kubernetes and for scripts that wait until it serves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog

from workers.settings import HttpSettings

log = structlog.get_logger("kyb.probes")

#: Name and check of each part that must work for a worker to be ready; a check raises or gives False.
Checks = dict[str, Callable[[], bool]]


class Probes:
    """A small HTTP server in a thread of its own.

    Args:
        settings: where it listens; port 0 takes a free one.
        ready: what `/readyz` checks: 200 if all hold, else 503 with the names of those that do not.
    """

    def __init__(self, settings: HttpSettings, ready: Checks) -> None:
        self._server = ThreadingHTTPServer((settings.host, settings.port), _handler(ready))
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


def _handler(ready: Checks) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/livez":
                self._answer(200, {"status": "alive"})
            elif self.path == "/readyz":
                down = [name for name, check in ready.items() if not _holds(check)]
                self._answer(503 if down else 200, {"status": "not ready" if down else "ready", "down": down})
            else:
                self._answer(404, {"status": "not found"})

        def _answer(self, status: int, body: dict[str, object]) -> None:
            payload = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, format: str, *args: object) -> None:
            log.debug("probe", line=format % args)

    return Handler


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        log.debug("not ready", error=type(error).__name__)
        return False
