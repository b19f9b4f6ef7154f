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
from workers.ledger.ledger import Ledger
from workers.observability import metrics, tracing
from workers.observability.health import DISPATCHER_STUCK
from workers.observability.heartbeat import Pulse
from workers.rate_limits.poll_scheduler import Ration

log = structlog.get_logger("kyb.dispatcher")

#: Seconds between two looks while nothing is due.
TICK = 0.2
#: Seconds in which it is waited for what else comes up, so that a busy ledger is asked once for many turns.
GATHER = 0.05
#: Seconds between two attempts to become the one that dispatches, and after trouble.
STANDBY = 1.0
#: Turns or events handed over at once.
BATCH = 200
#: Seconds between two rounds of the keeper.
KEEP = 5.0
#: A turn handed out so many seconds ago may be lost; whether it is, the ledger and the queue tell.
LOST_AFTER = 10.0


class Dispatcher:
    """The dispatching thread of one process.

    Args:
        ledger: the record.
        handoff: where turns and events go.
        queues: those whose lost turns it looks after: all that turns are handed out to.
        ration: chooses when vendors' budgets do not allow all that is due.
    """

    def __init__(self, ledger: Ledger, handoff: Handoff, queues: Sequence[str], ration: Ration) -> None:
        self._ledger = ledger
        self._handoff = handoff
        self._queues = queues
        self._ration = ration
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._kept = 0.0
        self._vouched = 0.0
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        #: Beats with every round.
        self.pulse = Pulse(DISPATCHER_STUCK)
        #: Whether this process is the one that dispatches.
        self.leading = False

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
                with self._ledger.database.connect() as connection, self._ledger.lead(connection) as leading:
                    if leading:
                        self._leads(True)
                        self._lead(self._ledger.database.for_looks(connection))
            except (LedgerUnavailable, BrokerUnavailable) as error:
                log.warning("not dispatching", error=str(error))
            except Exception:
                log.exception("defect")
            self._leads(False)
            self._vouch()
            self._stopping.wait(STANDBY)

    def _leads(self, leading: bool) -> None:
        self.leading = leading
        metrics.LEADS.set(leading)

    def _vouch(self) -> None:
        """Tell the ledger now and then what this process has in hand: that is not lost."""
        if time.monotonic() - self._vouched < KEEP:
            return
        self._vouched = time.monotonic()
        if turns := self._handoff.in_hand(KEEP):
            try:
                with self._ledger.database.write() as connection:
                    self._ledger.held(connection, turns)
            except LedgerUnavailable as error:
                log.warning("what this process has in hand may be handed out again", error=str(error))

    def _lead(self, connection: Connection) -> None:
        log.debug("dispatching")
        if self._handoff.forgets:
            with self._ledger.database.write() as writing:
                self._ledger.reclaim(writing)
        while True:
            self._wake.clear()
            self.pulse.beat()
            pause = self._tick(connection)
            if self._stopping.is_set():
                return
            if pause:
                self._wake.wait(max(pause - GATHER, 0.0))
                self._stopping.wait(GATHER)

    def _tick(self, connection: Connection) -> float:
        """One round; gives the seconds until the next one is needed."""
        with connection.begin():
            events = self._ledger.unpublished(connection, BATCH)
            due, later = self._ledger.due(connection, BATCH, TICK)
            turns = self._ration.choose(connection, due, BATCH)
        if turns:
            self._handoff.turns(turns)
            with self._ledger.database.write() as writing:
                self._ledger.handed(writing, turns)
            for turn in turns:
                metrics.HANDED.labels(turn.queue).inc()
        if events:
            began = time.monotonic()
            self._handoff.events(events)
            with self._ledger.database.write() as writing:
                self._ledger.published(writing, events)
            metrics.PUBLISHED.inc(len(events))
            tracing.published(events, time.monotonic() - began)
        if time.monotonic() - self._kept >= KEEP:
            self._keep()
            self._kept = time.monotonic()
        if len(events) == BATCH or len(turns) >= BATCH:
            return 0.0
        return TICK if later is None else later

    def _keep(self) -> None:
        self._vouch()
        for queue in self._queues:
            empty = self._handoff.waiting(queue) == 0
            with self._ledger.database.write() as writing:
                lost = self._ledger.recover_lost(writing, queue, LOST_AFTER, empty=empty)
            if lost:
                metrics.LOST.labels(queue).inc(lost)
                log.warning("handed out again", queue=queue, turns=lost)
