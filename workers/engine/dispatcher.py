"""The dispatcher: dispatches due turns, publishes the events in the outbox and requeues lost turns.

Each worker process runs one. Leader election: a lock in the ledger, which ends with its process, makes one of them
the leader. The others stand by.
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

#: Interval between two ticks while nothing is due.
IDLE_TICK_SECONDS = 0.2
#: Wait before a tick, so that one query reads many turns from a busy ledger.
BATCH_LINGER_SECONDS = 0.05
#: Interval between two attempts to become the leader, and the wait after an error.
LEADER_RETRY_SECONDS = 1.0
#: Maximum number of turns or events in one hand-off.
BATCH_SIZE = 200
#: The dispatcher is stuck when it has completed no tick for this time although both servers answered.
DISPATCHER_STUCK_SECONDS = 60.0
#: Interval between two searches for lost turns, and between two heartbeats of unacked turns.
REQUEUE_INTERVAL_SECONDS = 5.0
#: A turn that was dispatched longer ago may be lost. The ledger and the queue show whether it is.
LOST_AFTER_SECONDS = 10.0


class Dispatcher:
    """The dispatching thread of one process.

    Args:
        queue: due turns and unpublished events.
        handoff: takes the turns and events.
        queues: all queues that turns are dispatched to; their lost turns are requeued.
        scheduler: selects among the due turns when the vendors' rate limits do not allow all of them.
    """

    def __init__(
        self, queue: DispatchQueue, handoff: Handoff, queues: Sequence[str], scheduler: PollScheduler
    ) -> None:
        self._queue = queue
        self._handoff = handoff
        self._queues = queues
        self._scheduler = scheduler
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._last_requeue = 0.0
        self._last_heartbeat = 0.0
        self._thread = threading.Thread(target=self._stand_by, name="dispatcher", daemon=True)
        #: Beats with each tick.
        self.heartbeat = Heartbeat(DISPATCHER_STUCK_SECONDS)
        #: Whether this process is the leader.
        self.is_leader = False

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the current batch and stop the thread."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def wake(self) -> None:
        """Tick now: a turn may be due, or an event unpublished."""
        self._wake.set()

    def _stand_by(self) -> None:
        """Try to become the leader until the process stops."""
        while not self._stopping.is_set():
            self.heartbeat.beat()
            try:
                with (
                    self._queue.database.connect() as connection,
                    self._queue.try_lead(connection) as elected,
                ):
                    if elected:
                        self._set_leader(True)
                        self._lead(self._queue.database.for_reads(connection))
            except (LedgerUnavailable, BrokerUnavailable) as error:
                log.warning("dispatch paused", error=str(error))
            except Exception:
                log.exception("unhandled exception")
            self._set_leader(False)
            self._report_unacked()
            self._stopping.wait(LEADER_RETRY_SECONDS)

    def _set_leader(self, is_leader: bool) -> None:
        self.is_leader = is_leader
        metrics.IS_LEADER.set(is_leader)

    def _report_unacked(self) -> None:
        """Record in the ledger which turns this process has received and not settled: they are not lost."""
        if time.monotonic() - self._last_heartbeat < REQUEUE_INTERVAL_SECONDS:
            return
        self._last_heartbeat = time.monotonic()
        if turns := self._handoff.unacked(REQUEUE_INTERVAL_SECONDS):
            try:
                with self._queue.database.write() as connection:
                    self._queue.heartbeat(connection, turns)
            except LedgerUnavailable as error:
                log.warning("unacked turns not reported", error=str(error))

    def _lead(self, connection: Connection) -> None:
        """Tick until the process stops or an error ends the leadership."""
        log.debug("leader elected")
        if self._handoff.is_volatile:
            with self._queue.database.write() as writing:
                self._queue.requeue_all(writing)
        while True:
            self._wake.clear()
            self.heartbeat.beat()
            pause = self._tick(connection)
            if self._stopping.is_set():
                return
            if pause:
                self._wake.wait(max(pause - BATCH_LINGER_SECONDS, 0.0))
                self._stopping.wait(BATCH_LINGER_SECONDS)

    def _tick(self, connection: Connection) -> float:
        """Dispatch turns and publish events; return the seconds until the next tick is needed."""
        with connection.begin():
            events = self._queue.unpublished_events(connection, BATCH_SIZE)
            due, later = self._queue.due(connection, BATCH_SIZE, IDLE_TICK_SECONDS)
            turns = self._scheduler.select(connection, due, BATCH_SIZE)
        if turns:
            self._handoff.publish_turns(turns)
            with self._queue.database.write() as writing:
                self._queue.mark_dispatched(writing, turns)
            for turn in turns:
                metrics.DISPATCHED.labels(turn.queue).inc()
        if events:
            began = time.monotonic()
            self._handoff.publish_events(events)
            with self._queue.database.write() as writing:
                self._queue.mark_published(writing, events)
            metrics.PUBLISHED.inc(len(events))
            tracing.events_published(events, time.monotonic() - began)
        if time.monotonic() - self._last_requeue >= REQUEUE_INTERVAL_SECONDS:
            self._requeue_lost_turns()
            self._last_requeue = time.monotonic()
        if len(events) == BATCH_SIZE or len(turns) >= BATCH_SIZE:
            return 0.0
        return IDLE_TICK_SECONDS if later is None else later

    def _requeue_lost_turns(self) -> None:
        self._report_unacked()
        for queue in self._queues:
            empty = self._handoff.queue_depth(queue) == 0
            with self._queue.database.write() as writing:
                lost = self._queue.requeue_lost(writing, queue, LOST_AFTER_SECONDS, empty=empty)
            if lost:
                metrics.REDISPATCHED.labels(queue).inc(lost)
                log.warning("lost turns requeued", queue=queue, turns=lost)
