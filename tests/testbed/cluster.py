"""A RabbitMQ cluster of three nodes on loopback."""

from __future__ import annotations

import re
import secrets
from concurrent.futures import ThreadPoolExecutor

from tests.testbed.rabbitmq import Programs, RabbitMQ, programs
from tests.testbed.server import Server, free_port, listening

SIZE = 3


class Cluster:
    """Three nodes, with a member of each quorum queue and stream on every node; a test may kill any node.

    Args:
        of: the programs of all nodes; by default those that `RabbitMQ` uses.
    """

    def __init__(self, of: Programs | None = None) -> None:
        chosen = of or programs()
        self._mapper = Server("epmd")
        self._epmd = free_port()
        self._environment = {"PATH": chosen.path}
        self.nodes = [RabbitMQ(chosen, epmd=self._epmd) for _ in range(SIZE)]
        cookie = secrets.token_hex(16)
        for node in self.nodes:
            node.join_cluster([each.name for each in self.nodes], cookie)

    @property
    def urls(self) -> str:
        """The URLs of all nodes, in the format of `KYB_BROKER_URL`."""
        return ";".join(node.url for node in self.nodes)

    def start(self) -> None:
        """Start all nodes at once, as they wait for each other; this takes about 20 s."""
        self._mapper.launch(["epmd", "-address", "127.0.0.1", "-port", str(self._epmd)], self._environment)
        self._mapper.await_ready(lambda: listening(self._epmd))
        with ThreadPoolExecutor() as pool:
            list(pool.map(RabbitMQ.start, self.nodes))

    def leader(self, queue: str) -> RabbitMQ:
        """Return the leader of a quorum queue. Raises `LookupError` if it has none."""
        return self._node_in("list_queues", "pid", "name", pattern=rf"{re.escape(queue)}$")

    def node_of_connection(self, connection: str) -> RabbitMQ:
        """Return the node that accepted the connection of this name. Raises `LookupError`."""
        return self._node_in("list_connections", "pid", "client_properties", pattern=re.escape(connection))

    def _node_in(self, *listing: str, pattern: str) -> RabbitMQ:
        """Return the node that a line of the listing starts with, if the line matches the pattern."""
        node = next(node for node in self.nodes if node.running)
        for line in node.ctl(*listing).splitlines():
            at = re.match(r"<?kyb-(\d+)@", line)
            if at and re.search(pattern, line):
                return next(node for node in self.nodes if str(node.port) == at[1])
        raise LookupError(pattern)

    def close(self) -> None:
        """Kill all nodes and remove their files."""
        for node in self.nodes:
            node.close()
        self._mapper.close()
