"""A server process that never outlives the tests, however they end."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

#: Reads process groups, one a line, until the pipe is closed: by `close()`, or by the end of the tests,
#: a kill -9 included. Then it kills the last group and removes the folder.
_GUARD = """
while read -r group; do last=$group; done
test -z "$last" || kill -s KILL -- "-$last"
rm -rf -- "$0"
"""

#: Ports that this process has returned.
_issued_ports: set[int] = set()


class Missing(Exception):
    """A server that the tests need is not installed; the message says what to do."""


class Broken(Exception):
    """A server did not start in time; the message ends with what it wrote."""


class Server:
    """A process and its children, with a folder for their files.

    Args:
        name: for messages and the folder's name.
        user: the system's user that runs the process; None for the user who runs the tests.
    """

    def __init__(self, name: str, user: str | None = None) -> None:
        self.name = name
        self.user = user
        self.folder = Path(tempfile.mkdtemp(prefix=f"kyb-{name}-"))
        if user:
            shutil.chown(self.folder, user)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, self.folder], stdin=subprocess.PIPE, start_new_session=True
        )

    @property
    def output(self) -> Path:
        """The file with the process's output since the first start."""
        return self.folder / "output.log"

    @property
    def last_output(self) -> str:
        """The end of the output, for messages."""
        return self.output.read_text(errors="replace")[-2000:]

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    def launch(self, argv: list[str], environment: Mapping[str, str]) -> None:
        """Start `argv` in the folder, as the leader of a process group of its own."""
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
                extra_groups=[] if self.user else None,
            )
        self._notify_guard(str(self._process.pid))

    def await_ready(self, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Call `ready` until it returns True.

        Raises:
            Broken: the process ended, or the time limit passed.
        """
        deadline = time.monotonic() + seconds
        while not (self._alive and ready()):
            if not self._alive or time.monotonic() > deadline:
                self.kill()
                raise Broken(f"{self.name} did not start:\n{self.last_output}")
            time.sleep(0.05)  # a foreign process: there is no event to wait for

    @property
    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def end(self, sign: signal.Signals, seconds: float = 30) -> None:
        """Signal the process to end, wait for it, and kill the rest of its group."""
        if self._process is not None:
            self._process.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def send(self, sign: signal.Signals) -> None:
        """Send a signal to the process and its children."""
        if self._process is not None:
            os.killpg(self._process.pid, sign)

    def kill(self) -> None:
        """Kill the process and its children (SIGKILL)."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
            self._notify_guard("")

    def close(self) -> None:
        """Kill the process and remove its folder."""
        self.kill()
        self._guard.communicate()

    def _notify_guard(self, group: str) -> None:
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{group}\n".encode())
        self._guard.stdin.flush()


def free_port() -> int:
    """Return a free loopback port below the range of outgoing connections; never return it twice.

    So a restarted server finds its port still free. The port comes from the system's randomness, since processes in
    which Hypothesis sets the seed would all choose the same. Parallel test processes use disjoint ports, since a
    server that starts slowly does not occupy its port yet.
    """
    process_count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    index = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in random.SystemRandom().sample(range(20_000 + index, 32_000, process_count), 50):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _issued_ports:
                _issued_ports.add(port)
                return port
    raise Broken("50 loopback ports tried, none free")


def listening(port: int) -> bool:
    """Return whether a server accepts connections on this loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
