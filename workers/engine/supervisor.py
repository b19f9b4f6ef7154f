"""Supervises the `KYB_WORKER__PROCESSES` worker processes of one `kyb worker`.

A child that exits is restarted; the other children continue.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence

import structlog

from workers.settings import Settings

log = structlog.get_logger("kyb.supervisor")

#: Delay before a child that exited is restarted.
RESTART_DELAY_SECONDS = 1.0
#: Time in addition to the shutdown grace before a child is killed.
KILL_MARGIN_SECONDS = 5.0
#: Interval between two checks of the children.
LIVENESS_CHECK_SECONDS = 0.1


class Supervisor:
    """Keeps the number of children in the settings running.

    Args:
        settings: of the process.
        arguments: of `kyb worker`.
        restart_delay: seconds before a child that exited is restarted.
    """

    def __init__(
        self, settings: Settings, arguments: Sequence[str], restart_delay: float = RESTART_DELAY_SECONDS
    ) -> None:
        self._command = [sys.executable, "-m", "workers.cli.main", "worker", *arguments]
        self._environments = [_environment(settings, n) for n in range(settings.worker.processes)]
        self._grace = settings.worker.shutdown_grace + KILL_MARGIN_SECONDS
        self._restart_delay = restart_delay
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._due = dict.fromkeys(range(settings.worker.processes), 0.0)

    def run(self, stopping: threading.Event) -> None:
        """Keep the children running until `stopping` is set, then end them within the grace."""
        while not stopping.wait(LIVENESS_CHECK_SECONDS):
            self._reap()
            self._start()
        self._stop()

    def pids(self) -> list[int]:
        """Return the ids of the running processes."""
        return [child.pid for child in list(self._children.values())]

    def _start(self) -> None:
        now = time.monotonic()
        for number in [n for n, due in self._due.items() if due <= now]:
            del self._due[number]
            # A process group of its own: Ctrl-C reaches only the supervisor, which passes it on once.
            child = subprocess.Popen(self._command, env=self._environments[number], process_group=0)  # noqa: S603
            self._children[number] = child
            log.info("worker process started", number=number, pid=child.pid)

    def _reap(self) -> None:
        for number, child in list(self._children.items()):
            code = child.poll()
            if code is not None:
                del self._children[number]
                self._due[number] = time.monotonic() + self._restart_delay
                log.warning("worker process exited", number=number, pid=child.pid, code=code)

    def _stop(self) -> None:
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        ends_at = time.monotonic() + self._grace
        for number, child in self._children.items():
            try:
                child.wait(max(ends_at - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                log.warning("worker process killed", number=number, pid=child.pid)
                child.kill()
                child.wait()


def _environment(settings: Settings, number: int) -> Mapping[str, str]:
    """Return a child's environment; its probes listen on the port of the settings plus its number."""
    port = settings.http.port + number if settings.http.port else 0
    return {**os.environ, "KYB_WORKER__PROCESSES": "1", "KYB_HTTP__PORT": str(port)}
