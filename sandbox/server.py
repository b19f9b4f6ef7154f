"""The simulators as one server on loopback: `/creditsafe`, `/data8`, `/sayari`, `/_sandbox`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from sandbox.controls import Controls
from sandbox.core import PASSWORD, USERNAME, SandboxState, Simulator
from sandbox.creditsafe import Creditsafe
from sandbox.data8 import Data8
from sandbox.sayari import Sayari


def app(state: SandboxState) -> Starlette:
    """The three simulators and their controls as one ASGI application."""
    simulators: list[Simulator] = [Creditsafe(state), Data8(state), Sayari(state)]
    mounts = [Mount(f"/{simulator.vendor}", routes=simulator.routes()) for simulator in simulators]
    return Starlette(routes=[*Controls(state, simulators).routes(), *mounts])


class Sandbox:
    """The simulators in a thread of this process, for demos and tests.

        with Sandbox() as sandbox:
            os.environ |= sandbox.environment()

    Args:
        port: 0 takes a free one.
        state: durations, faults and counters; `sandbox.state` to look at and to change.
        name: the host name by which other machines reach it: it listens everywhere then, not on loopback alone.
    """

    def __init__(self, port: int = 0, state: SandboxState | None = None, name: str | None = None) -> None:
        self.state = state or SandboxState()
        everywhere = "0.0.0.0"  # noqa: S104 - asked for by whoever gives a name
        self._socket = socket.create_server(("127.0.0.1" if name is None else everywhere, port))
        # asyncio sets this only on sockets made with an explicit protocol; without it an answer takes 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{name or '127.0.0.1'}:{self.port}"
        self.state.links = f"http://{name or 'localhost'}:{self.port}"
        config = uvicorn.Config(app(self.state), log_level="critical", access_log=False, lifespan="off")
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="sandbox", daemon=True)

    def environment(self) -> dict[str, str]:
        """The settings that point a worker at these simulators."""
        return {
            "KYB_CREDITSAFE__BASE_URL": f"{self.url}/creditsafe",
            "KYB_CREDITSAFE__USERNAME": USERNAME,
            "KYB_CREDITSAFE__PASSWORD": PASSWORD,
            "KYB_DATA8__BASE_URL": f"{self.url}/data8",
            "KYB_DATA8__TOKEN_URL": f"{self.url}/data8/connect/token",
            "KYB_DATA8__CLIENT_ID": USERNAME,
            "KYB_DATA8__CLIENT_SECRET": PASSWORD,
            "KYB_SAYARI__BASE_URL": f"{self.url}/sayari",
            "KYB_SAYARI__CLIENT_ID": USERNAME,
            "KYB_SAYARI__CLIENT_SECRET": PASSWORD,
        }

    def __enter__(self) -> Self:
        self._thread.start()
        self._server.up.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._thread.join()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


class _Server(uvicorn.Server):
    """A server in a thread: it says when it is up, stops at once and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End it; for any thread, once it is up."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self.up.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # the Date header, once a second
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's
        """Cut the calls under way; uvicorn would wait for them, and looks only ten times a second."""
        for server in self.servers:
            server.close()
        for task in (under_way := list(self.server_state.tasks)):
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
