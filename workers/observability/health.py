"""Whether a worker is alive, and whether it is ready: answered from what is known, never by asking anything now.

Alive: its threads run and get on. That RabbitMQ or the ledger is away does not count against it, since a restart
would mend neither; that a thread is stuck although both have long been there does.
Ready: RabbitMQ answers on the connection that consumes, and the ledger answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from workers.observability.heartbeat import Heartbeat

#: Turns are stuck when every thread has run one for this many times its slice and its vendor's timeout.
TURNS_STUCK_FACTOR = 10.0


class ActiveTurns:
    """The turns that run now.

    Args:
        threads: how many there may be.
        clock: monotonic seconds.
    """

    def __init__(self, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._threads = threads
        self._clock = clock
        self._lock = threading.Lock()
        self._began: dict[int, float] = {}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A turn is at work in this thread."""
        me = threading.get_ident()
        with self._lock:
            self._began[me] = self._clock()
        try:
            yield
        finally:
            with self._lock:
                del self._began[me]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._began)

    @property
    def saturated_for(self) -> float:
        """For how many seconds no thread has been free for another turn; 0 while one is."""
        with self._lock:
            if len(self._began) < self._threads:
                return 0.0
            return self._clock() - max(self._began.values())


@dataclass
class Health:
    """What is known of the parts of a worker.

    Attributes:
        servers: a pulse of each server that the worker cannot do without, e.g. `broker` and `ledger`.
        consuming: whether every queue is being consumed.
        dispatcher: beats with every round.
        consumer: beats with every round of the consuming thread, if there is one.
        at_work: the turns.
        longest_turn: seconds that no healthy turn takes.
        stopping: whether the worker was told to end: it takes no more work.
        threads: gives every thread that must run, and whether it does.
    """

    servers: Mapping[str, Heartbeat]
    consuming: Callable[[], bool]
    dispatcher: Heartbeat
    consumer: Heartbeat | None
    at_work: ActiveTurns
    longest_turn: float
    stopping: Callable[[], bool] = lambda: False
    threads: Callable[[], Mapping[str, bool]] = field(default=dict)

    def stuck(self) -> list[str]:
        """What only a restart will mend."""
        found = [name for name, runs in self.threads().items() if not runs]
        steady = min((pulse.healthy_for for pulse in self.servers.values()), default=0.0)
        if not self.dispatcher.alive and steady > self.dispatcher.timeout:
            found.append("dispatcher")
        if self.consumer is not None and not self.consumer.alive:
            found.append("consumer")
        if min(self.at_work.saturated_for, steady) > self.longest_turn:
            found.append("turns")
        return sorted(set(found))

    def missing(self) -> list[str]:
        """What keeps it from serving just now."""
        if self.stopping():
            return ["stopping"]
        found = [name for name, pulse in self.servers.items() if not pulse.alive]
        if not self.consuming() and "broker" not in found:
            found.append("broker")
        return sorted(found)
