"""One worker process: consumes its queues, runs turns, and stands by as dispatcher."""

from __future__ import annotations

import ctypes
import gc
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dramatiq
import structlog

from messages.catalogue import QUEUES
from workers.broker.dramatiq import EmbeddedBroker, RabbitBroker
from workers.broker.encoder import REJECT
from workers.broker.handoff import EmbeddedHandoff, Handoff, RabbitHandoff
from workers.broker.publisher import Publisher
from workers.credentials import reloading_secret
from workers.engine.client_factory import build_services, rate_limits_from
from workers.engine.dispatcher import Dispatcher
from workers.engine.registry import Services
from workers.engine.run_limits import RunLimits
from workers.engine.turns import Turns
from workers.errors import Reject, Requeue
from workers.jobs.catalogue import JOBS
from workers.ledger.database import Database, LedgerUnavailable
from workers.ledger.ledger import Ledger
from workers.observability import tracing
from workers.observability.health import TURNS_STUCK_FACTOR, ActiveTurns, Health
from workers.observability.ledger_monitor import LedgerMonitor
from workers.rate_limits.limiter import rate_limit_key
from workers.rate_limits.poll_scheduler import PollScheduler
from workers.settings import Settings

log = structlog.get_logger("kyb.worker")

#: Milliseconds after which an idle thread looks whether it should end.
IDLE_WAKE_MILLISECONDS = 500
#: Seconds between two attempts of a turn to reach the ledger.
LEDGER_RETRY_SECONDS = 1.0
#: A request may still take effect for so many timeouts after it was sent: vendors go on when their caller has
#: hung up. Assumed: no longer than another timeout, as proxies usually cut a call after a minute.
EFFECT_SETTLE_TIMEOUTS = 2.0
#: Connections to the ledger beyond one per thread: the dispatcher's.
SPARE_CONNECTIONS = 4


#: The parameter of glibc's `mallopt` that limits its memory arenas (`malloc.h`).
_M_ARENA_MAX = -8
#: Arenas that all threads share; glibc's default is eight for each core.
MEMORY_ARENAS = 2


class QueueNotServed(ValueError):
    """A queue was asked for that this worker cannot serve."""


class Worker:
    """A worker made from the settings; the ledger must be migrated already.

    Args:
        settings: of the process.
        queues: to serve; by default those of all vendors with settings, `kyb.control`, and `kyb.portfolio` with Creditsafe's.
    """

    def __init__(self, settings: Settings, queues: Sequence[str] | None = None) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._started = False
        threads = settings.worker.threads
        self.ledger = Ledger(
            Database(reloading_secret("KYB_LEDGER_URL", settings.ledger_url), threads + SPARE_CONNECTIONS)
        )
        tracing.watch_ledger(self.ledger.database.engine)
        self._services = build_services(settings, self.ledger)
        self.queues = _served(self._services, queues)
        self.turns = Turns(
            self.ledger.jobs,
            JOBS,
            self._services,
            run_limits_from(settings),
            settings.polling.deadline,
            self._stopping.is_set,
        )
        broker: RabbitBroker | EmbeddedBroker
        handoff: Handoff
        if settings.embedded:
            self._publisher = None
            broker = EmbeddedBroker()
            handoff = EmbeddedHandoff(broker)
        else:
            urls = reloading_secret("KYB_BROKER_URL", settings.broker_url)
            self._publisher = Publisher(urls)
            broker = RabbitBroker(urls, self.queues, threads, self._publisher)
            handoff = RabbitHandoff(self._publisher, broker.unacked)
        self.broker = broker
        self._declare_actors()
        # Whoever dispatches looks after every queue, also those that only others serve, or nobody just now.
        self._dispatcher = Dispatcher(
            self.ledger.dispatch,
            handoff,
            list(QUEUES),
            PollScheduler(self.ledger.dispatch, rate_limits_from(settings)),
        )
        self._threads = dramatiq.Worker(
            broker, queues=set(self.queues), worker_timeout=IDLE_WAKE_MILLISECONDS, worker_threads=threads
        )
        self._at_work = ActiveTurns(threads)
        #: What `/metrics` shows of the ledger.
        self.watch = LedgerMonitor(
            self.ledger.queries, rate_limits_from(settings), lambda: self._dispatcher.is_leader
        )
        #: What the probes are answered from.
        self.health = self._health()

    def start(self) -> None:
        """Begin to serve. RabbitMQ may be away: it is tried again and again."""
        if isinstance(self.broker, RabbitBroker):
            self.broker.link.start()
        self._threads.start()
        self._dispatcher.start()
        self.watch.start()
        self._started = True
        log.info("serving", queues=self.queues)

    def stop(self) -> None:
        """End: turns at work finish their slice within the grace, the rest is handed back."""
        self._stopping.set()
        self._started = False
        self.watch.stop()
        self._await_threads()
        self._threads.stop(timeout=int(self._settings.worker.shutdown_grace * 1000))
        self._dispatcher.stop()
        if isinstance(self.broker, RabbitBroker):
            self.broker.link.stop()
        if self._publisher is not None:
            self._publisher.close()
        self._services.close()
        self.ledger.database.close()
        log.info("stopped")

    def _health(self) -> Health:
        servers = {"ledger": self.watch.pulse}
        link = self.broker.link if isinstance(self.broker, RabbitBroker) else None
        if link is not None:
            servers["broker"] = link.answers
        return Health(
            servers=servers,
            consuming=link.up.is_set if link is not None else lambda: True,
            dispatcher=self._dispatcher.pulse,
            consumer=link.turning if link is not None else None,
            at_work=self._at_work,
            longest_turn=TURNS_STUCK_FACTOR * (self._settings.worker.turn + longest_timeout(self._settings)),
            stopping=self._stopping.is_set,
            threads=self._running,
        )

    def _running(self) -> dict[str, bool]:
        """The threads that must run while the worker does."""
        if not self._started:
            return {}
        running = {"dispatcher": self._dispatcher.is_alive(), "ledger_monitor": self.watch.is_alive()}
        if isinstance(self.broker, RabbitBroker):
            running["consumer"] = self.broker.link.is_alive()
        running["turns"] = all(thread.is_alive() for thread in self._turn_threads())
        return running

    def _turn_threads(self) -> list[Any]:
        """Dramatiq's, which have no common type."""
        return [*self._threads.workers, *self._threads.consumers.values()]

    def _await_threads(self) -> None:
        """Wait until each has begun: one that is told to stop before that would run for ever."""
        for thread in self._turn_threads():
            while thread.is_alive() and not thread.running:
                time.sleep(0.01)  # a moment after its start: it tells nobody

    def _declare_actors(self) -> None:
        for queue in QUEUES:
            self.broker.declare_queue(queue)
        for command in JOBS:
            self._actor(command, self._work)
        self._actor(REJECT, self._work)

    def _actor(self, name: str, function: Callable[..., None]) -> None:
        actor: dramatiq.Actor[..., None] = dramatiq.Actor(
            function,
            broker=self.broker,
            actor_name=name,
            queue_name=self.queues[0],
            priority=0,
            options={"throws": (Reject, Requeue)},
        )
        self.broker.actors[name] = actor

    def _work(self, **message: Any) -> None:
        """Do what one message asks for, however long the ledger is away.

        With the ledger away nothing can be done for any message, so this one waits here instead of going
        round between us and RabbitMQ.
        """
        with self._at_work.turn():
            self._take(message)

    def _take(self, message: Mapping[str, Any]) -> None:
        again = False
        while True:
            try:
                if "body" in message:
                    self.turns.arrive(message["body"], message.get("queue"), again=again)
                else:
                    self.turns.take(message["job_id"], message["turn"], again=again)
            except LedgerUnavailable as error:
                again = True
                log.warning("ledger unavailable", error=str(error))
                if self._stopping.wait(LEDGER_RETRY_SECONDS):
                    raise Requeue from None
            else:
                return
            finally:
                self._dispatcher.wake()


def tune_memory() -> None:
    """Limit glibc's memory arenas and freeze what is imported. Call it after the imports, before any thread starts.

    The threads of a transfer fill and free megabytes a second. With an arena of its own each would keep the memory
    between pieces still in use: a million rows took twice the memory. Other C libraries have neither arenas nor
    `mallopt`.

    Freezing imported objects also lets full collections run earlier: CPython delays them until new objects exceed
    25 % of the tracked ones.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, MEMORY_ARENAS)
    gc.collect()
    gc.freeze()


def run_limits_from(settings: Settings) -> RunLimits:
    """The bounds of every run."""
    return RunLimits(
        min_delay=settings.polling.min_delay,
        max_delay=settings.polling.max_delay,
        stall=settings.polling.stall,
        slice=settings.worker.turn,
        effect_settle_seconds=EFFECT_SETTLE_TIMEOUTS * longest_timeout(settings),
        rate_limits=frozenset(rate_limit_key(*key) for key in rate_limits_from(settings)),
    )


def longest_timeout(settings: Settings) -> float:
    """Seconds that the slowest vendor is waited for."""
    timeouts = [v.timeout for v in (settings.creditsafe, settings.data8, settings.sayari) if v is not None]
    return max(timeouts, default=30.0)


def _served(services: Services, asked: Sequence[str] | None) -> list[str]:
    vendors = sorted(services.vendors())
    able = ["kyb.control", *(f"kyb.{vendor}" for vendor in vendors)]
    if (
        "creditsafe" in vendors
    ):  # every portfolio goes there; what else a command needs it is asked for itself
        able.append("kyb.portfolio")
    if asked is None:
        return able
    for queue in asked:
        if queue not in able:
            raise QueueNotServed(
                f"{queue}: not a queue this worker can serve; it has settings for {', '.join(able)}"
            )
    return list(asked)
