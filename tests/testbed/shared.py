"""One RabbitMQ and one PostgreSQL for all processes of a test run, started by the process that controls them.

Tests get a virtual host and a database of their own there. A test that stops, kills or reconfigures a server
asks for a private one instead.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ


class SharedServers:
    """The servers, starting in the background: processes wait for them at their first use.

    Raises:
        Missing: one is not installed.
    """

    def __init__(self) -> None:
        with ExitStack() as opened:
            self.rabbitmq = opened.enter_context(closing(RabbitMQ()))
            self.postgres = opened.enter_context(closing(Postgres()))
            self._opened = opened.pop_all()
        self._threads = ThreadPoolExecutor(2)
        self._starts = [self._threads.submit(server.start) for server in (self.postgres, self.rabbitmq)]

    def addresses(self) -> dict[str, str]:
        """Return what a test process needs to reach them."""
        return {
            "rabbitmq_url": self.rabbitmq.url,
            "rabbitmq_management_port": str(self.rabbitmq.management_port),
            "postgres_url": self.postgres.url,
        }

    def close(self) -> None:
        """Stop both and remove what they left.

        Raises:
            Broken: one did not start.
        """
        self._threads.shutdown()
        self._opened.close()
        for start in self._starts:
            start.result()
