"""The clock: hands out turns that are due, tells what the outbox holds, and looks after what was lost.

Every worker process runs one of these; a lock in the ledger lets one at a time do the work, and ends with its
process. The others stand by.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import structlog
from sqlalchemy import Connection

from workers.broker.connection import BrokerUnavailable
from workers.broker.handoff import Handoff
from workers.ledger.database import LedgerUnavailable
from workers.ledger.dispatch_queue import DispatchQueue
from workers.observability import metrics, tracing
from workers.observability.heartbeat import Heartbeat
from workers.rate_limits.poll_scheduler import PollScheduler

log = structlog.get_logger("kyb.dispatcher")

#: Seconds between two looks while nothing is due.
IDLE_TICK_SECONDS = 0.2
#: Seconds in which it is waited for what else comes up, so that a busy ledger is asked once for many turns.
BATCH_LINGER_SECONDS = 0.05
#: Seconds between two attempts to become the one that dispatches, and after trouble.
LEADER_RETRY_SECONDS = 1.0
#: Turns or events handed over at once.
BATCH_SIZE = 200
#: The dispatcher is stuck when it has not completed a tick for this long although both servers answered.
DISPATCHER_STUCK_SECONDS = 60.0
#: Seconds between two searches for lost turns, and between two reports of unacked turns.
REQUEUE_INTERVAL_SECONDS = 5.0
#: A turn handed out so many seconds ago may be lost; whether it is, the ledger and the queue tell.
LOST_AFTER_SECONDS = 10.0


class Dispatcher:
    """The dispatching thread of one process.

    Args:
        queue: due turns and unpublished events.
        handoff: where turns and events go.
        queues: those whose lost turns it looks after: all that turns are handed out to.
        ration: chooses when vendors' budgets do not allow all that is due.
    """

    def __init__(
        self, queue: DispatchQueue, handoff: Handoff, queues: Sequence[str], ration: PollScheduler
    ) -> None:
        self._queue = queue
        self._handoff = handoff
        self._queues = queues
        self._ration = ration
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._kept = 0.0
        self._vouched = 0.0
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        #: Beats with every round.
        self.pulse = Heartbeat(DISPATCHER_STUCK_SECONDS)
        #: Whether this process is the one that dispatches.
        self.is_leader = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand and end."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Look now: something may be due, or to be told."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.pulse.beat()
            try:
                with (
                    self._queue.database.connect() as connection,
                    self._queue.try_lead(connection) as leading,
                ):
                    if leading:
                        self._set_leader(True)
                        self._lead(self._queue.database.for_reads(connection))
            except (LedgerUnavailable, BrokerUnavailable) as error:
                log.warning("dispatch paused", error=str(error))
            except Exception:
                log.exception("unhandled exception")
            self._set_leader(False)
            self._heartbeat()
            self._stopping.wait(LEADER_RETRY_SECONDS)

    def _set_leader(self, leading: bool) -> None:
        self.is_leader = leading
        metrics.IS_LEADER.set(leading)

    def _heartbeat(self) -> None:
        """Tell the ledger now and then what this process has in hand: that is not lost."""
        if time.monotonic() - self._vouched < REQUEUE_INTERVAL_SECONDS:
            return
        self._vouched = time.monotonic()
        if turns := self._handoff.unacked(REQUEUE_INTERVAL_SECONDS):
            try:
                with self._queue.database.write() as connection:
                    self._queue.heartbeat(connection, turns)
            except LedgerUnavailable as error:
                log.warning("unacked turns not reported", error=str(error))

    def _lead(self, connection: Connection) -> None:
        log.debug("leader elected")
        if self._handoff.is_volatile:
            with self._queue.database.write() as writing:
                self._queue.requeue_all(writing)
        while True:
            self._wake.clear()
            self.pulse.beat()
            pause = self._tick(connection)
            if self._stopping.is_set():
                return
            if pause:
                self._wake.wait(max(pause - BATCH_LINGER_SECONDS, 0.0))
                self._stopping.wait(BATCH_LINGER_SECONDS)

    def _tick(self, connection: Connection) -> float:
        """One round; gives the seconds until the next one is needed."""
        with connection.begin():
            events = self._queue.unpublished_events(connection, BATCH_SIZE)
            due, later = self._queue.due(connection, BATCH_SIZE, IDLE_TICK_SECONDS)
            turns = self._ration.select(connection, due, BATCH_SIZE)
        if turns:
            self._handoff.turns(turns)
            with self._queue.database.write() as writing:
                self._queue.mark_dispatched(writing, turns)
            for turn in turns:
                metrics.DISPATCHED.labels(turn.queue).inc()
        if events:
            began = time.monotonic()
            self._handoff.events(events)
            with self._queue.database.write() as writing:
                self._queue.mark_published(writing, events)
            metrics.PUBLISHED.inc(len(events))
            tracing.published(events, time.monotonic() - began)
        if time.monotonic() - self._kept >= REQUEUE_INTERVAL_SECONDS:
            self._requeue_lost_turns()
            self._kept = time.monotonic()
        if len(events) == BATCH_SIZE or len(turns) >= BATCH_SIZE:
            return 0.0
        return IDLE_TICK_SECONDS if later is None else later

    def _requeue_lost_turns(self) -> None:
        self._heartbeat()
        for queue in self._queues:
            empty = self._handoff.waiting(queue) == 0
            with self._queue.database.write() as writing:
                lost = self._queue.requeue_lost(writing, queue, LOST_AFTER_SECONDS, empty=empty)
            if lost:
                metrics.REDISPATCHED.labels(queue).inc(lost)
                log.warning("lost turns requeued", queue=queue, turns=lost)
