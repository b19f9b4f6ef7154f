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
        found = of or programs()
        self._mapper = Server("epmd")
        self._epmd = free_port()
        self._environment = {"PATH": found.path}
        self.nodes = [RabbitMQ(found, epmd=self._epmd) for _ in range(SIZE)]
        cookie = secrets.token_hex(16)
        for node in self.nodes:
            node.mate([mate.name for mate in self.nodes], cookie)

    @property
    def urls(self) -> str:
        """All nodes, as `KYB_BROKER_URL` has them."""
        return ";".join(node.url for node in self.nodes)

    def start(self) -> None:
        """Start all nodes; about 10 s."""
        self._mapper.launch(["epmd", "-address", "127.0.0.1", "-port", str(self._epmd)], self._environment)
        self._mapper.await_ready(lambda: listening(self._epmd))
        first, *others = self.nodes
        first.start()
        with ThreadPoolExecutor() as pool:
            list(pool.map(RabbitMQ.start, others))

    def leader(self, queue: str) -> RabbitMQ:
        """The node that leads a quorum queue."""
        for node in self.nodes:
            if node.running:
                for line in node.ctl("list_queues", "name", "pid").splitlines():
                    name, _, pid = line.partition("\t")
                    if name == queue and (at := re.search(r"kyb-(\d+)@", pid)):
                        return next(mate for mate in self.nodes if str(mate.port) == at[1])
        raise LookupError(queue)

    def used_by(self, connection: str) -> RabbitMQ | None:
        """The node that a client's connection of this name ends at."""
        for node in self.nodes:
            if node.running and connection in node.ctl("list_connections", "--local", "client_properties"):
                return node
        return None

    def close(self) -> None:
        """Kill all and remove what they left."""
        for node in self.nodes:
            node.close()
        self._mapper.close()
