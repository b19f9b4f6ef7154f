"""Liveness and readiness of a worker, from values in memory: a probe waits for no server.

Alive: the worker's threads run and make progress. An unavailable RabbitMQ or ledger does not count, since a restart
would not help. A thread that is stuck although both have been available for long does count.
Ready: RabbitMQ answers on the consuming connection, and the ledger answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from workers.observability.heartbeat import Heartbeat

#: Turns are stuck when every thread has run one for this multiple of the time slice plus the longest vendor timeout.
TURNS_STUCK_FACTOR = 10.0


class ActiveTurns:
    """The turns that are running.

    Args:
        threads: maximum number of turns at once.
        clock: returns monotonic seconds.
    """

    def __init__(self, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._threads = threads
        self._clock = clock
        self._lock = threading.Lock()
        self._began: dict[int, float] = {}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Count a turn of this thread as running in the block."""
        thread_id = threading.get_ident()
        with self._lock:
            self._began[thread_id] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                del self._began[thread_id]

    @property
    def count(self) -> int:
        """Number of running turns."""
        return len(self._began)

    @property
    def saturated_for(self) -> float:
        """Seconds since the last thread became busy; 0 while a thread is free."""
        with self._lock:
            if len(self._began) < self._threads:
                return 0.0
            return self._clock() - max(self._began.values())


@dataclass
class Health:
    """The state of a worker's parts.

    Attributes:
        servers: heartbeat of each server that the worker needs, e.g. `broker` and `ledger`.
        consuming: returns whether every queue is being consumed.
        dispatcher: beats with each tick.
        consumer: beats while the consuming thread runs, if there is one.
        active_turns: the running turns.
        longest_turn: a healthy turn takes less than this, in seconds.
        stopping: returns whether the worker is shutting down and takes no more work.
        threads: returns for each thread that must run whether it does.
    """

    servers: Mapping[str, Heartbeat]
    consuming: Callable[[], bool]
    dispatcher: Heartbeat
    consumer: Heartbeat | None
    active_turns: ActiveTurns
    longest_turn: float
    stopping: Callable[[], bool] = lambda: False
    threads: Callable[[], Mapping[str, bool]] = field(default=dict)

    def stuck(self) -> list[str]:
        """Return the parts that only a restart helps."""
        stuck = {name for name, runs in self.threads().items() if not runs}
        available_for = min((server.healthy_for for server in self.servers.values()), default=0.0)
        if not self.dispatcher.alive and available_for > self.dispatcher.timeout:
            stuck.add("dispatcher")
        if self.consumer is not None and not self.consumer.alive:
            stuck.add("consumer")
        if min(self.active_turns.saturated_for, available_for) > self.longest_turn:
            stuck.add("turns")
        return sorted(stuck)

    def missing(self) -> list[str]:
        """Return what keeps the worker from serving at the moment."""
        if self.stopping():
            return ["stopping"]
        missing = {name for name, server in self.servers.items() if not server.alive}
        if not self.consuming():
            missing.add("broker")
        return sorted(missing)
