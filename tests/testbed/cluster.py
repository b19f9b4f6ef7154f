"""Three RabbitMQ nodes on loopback as one cluster."""

from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor

from tests.testbed.rabbitmq import Programs, RabbitMQ, programs
from tests.testbed.server import Server, free_port, listening

SIZE = 3


class Cluster:
    """Three nodes: quorum queues and streams have a member on each. Any one of them may be killed.

    Args:
        of: the programs of all nodes; by default as `RabbitMQ` chooses them.
    """

    def __init__(self, of: Programs | None = None) -> None:
        chosen = of or programs()
        self._mapper = Server("epmd")
        self._epmd = free_port()
        self._environment = {"PATH": chosen.path}
        self.nodes = [RabbitMQ(chosen, epmd=self._epmd) for _ in range(SIZE)]
        cookie = secrets.token_hex(16)
        for node in self.nodes:
            node.mate([mate.name for mate in self.nodes], cookie)

    @property
    def urls(self) -> str:
        """All nodes, as `KYB_BROKER_URL` has them."""
        return ";".join(node.url for node in self.nodes)

    def start(self) -> None:
        """Start all nodes at once, as they wait for each other; some 20 s."""
        self._mapper.launch(["epmd", "-address", "127.0.0.1", "-port", str(self._epmd)], self._environment)
        self._mapper.await_ready(lambda: listening(self._epmd))
        with ThreadPoolExecutor() as pool:
            list(pool.map(RabbitMQ.start, self.nodes))

    def leader(self, queue: str) -> RabbitMQ:
        """The node that leads a quorum queue. Raises `LookupError` if there is none now."""
        return self._at("list_queues", "pid", "name", has=rf"{re.escape(queue)}$")

    def node_of_connection(self, connection: str) -> RabbitMQ:
        """The node that a client's connection of this name ends at. Raises `LookupError`."""
        return self._at("list_connections", "pid", "client_properties", has=re.escape(connection))

    def _at(self, *listing: str, has: str) -> RabbitMQ:
        """The node named first in the line of a listing that has this pattern."""
        node = next(node for node in self.nodes if node.running)
        for line in node.ctl(*listing).splitlines():
            at = re.match(r"<?kyb-(\d+)@", line)
            if at and re.search(has, line):
                return next(node for node in self.nodes if str(node.port) == at[1])
        raise LookupError(has)

    def close(self) -> None:
        """Kill all and remove what they left."""
        for node in self.nodes:
            node.close()
        self._mapper.close()
