"""One worker process: consumes its queues, runs turns and stands by as dispatcher."""

from __future__ import annotations

import ctypes
import gc
import threading
import time
from collections.abc import Mapping, Sequence
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

#: Interval at which an idle thread checks whether it should stop.
IDLE_WAKE_MILLISECONDS = 500
#: Interval between two attempts of a turn to reach the ledger.
LEDGER_RETRY_SECONDS = 1.0
#: A request may still take effect for this number of timeouts after it was sent, because vendors continue when their
#: caller has hung up. Assumed: no longer than another timeout, since proxies usually cut a call after a minute.
EFFECT_SETTLE_TIMEOUTS = 2.0
#: Connections to the ledger in addition to one per thread, for the dispatcher.
SPARE_CONNECTIONS = 4


#: The parameter of glibc's `mallopt` that limits its memory arenas (`malloc.h`).
_M_ARENA_MAX = -8
#: Arenas that all threads share; glibc's default is eight for each core.
MEMORY_ARENAS = 2


class QueueNotServed(ValueError):
    """A requested queue needs settings that this worker does not have."""


class Worker:
    """One worker. The ledger must be migrated already.

    Args:
        settings: of the process.
        queues: to serve. By default `kyb.control`, the queues of all vendors with settings, and `kyb.portfolio` if
            Creditsafe has settings.

    Raises:
        QueueNotServed: a requested queue needs settings that are missing.
    """

    def __init__(self, settings: Settings, queues: Sequence[str] | None = None) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._started = False
        threads = settings.worker.threads
        self.ledger = Ledger(
            Database(reloading_secret("KYB_LEDGER_URL", settings.ledger_url), threads + SPARE_CONNECTIONS)
        )
        tracing.trace_ledger_writes(self.ledger.database.engine)
        self._services = build_services(settings, self.ledger)
        self.queues = _queues_to_serve(self._services, queues)
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
        # The leader requeues the lost turns of every queue, also of those that this worker does not serve.
        self._dispatcher = Dispatcher(
            self.ledger.dispatch,
            handoff,
            list(QUEUES),
            PollScheduler(self.ledger.dispatch, rate_limits_from(settings)),
        )
        self._threads = dramatiq.Worker(
            broker, queues=set(self.queues), worker_timeout=IDLE_WAKE_MILLISECONDS, worker_threads=threads
        )
        self._active_turns = ActiveTurns(threads)
        #: The ledger's metrics.
        self.ledger_monitor = LedgerMonitor(
            self.ledger.queries, rate_limits_from(settings), lambda: self._dispatcher.is_leader
        )
        #: For the probes.
        self.health = self._health()

    def start(self) -> None:
        """Start the threads. RabbitMQ may be unavailable: the consumer connects once it is there."""
        if isinstance(self.broker, RabbitBroker):
            self.broker.link.start()
        self._threads.start()
        self._dispatcher.start()
        self.ledger_monitor.start()
        self._started = True
        log.info("serving", queues=self.queues)

    def stop(self) -> None:
        """Stop the threads. Active turns end their time slice within the grace; other messages go back to RabbitMQ."""
        self._stopping.set()
        self._started = False
        self.ledger_monitor.stop()
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
        servers = {"ledger": self.ledger_monitor.heartbeat}
        link = self.broker.link if isinstance(self.broker, RabbitBroker) else None
        if link is not None:
            servers["broker"] = link.broker_heartbeat
        return Health(
            servers=servers,
            consuming=link.consuming.is_set if link is not None else lambda: True,
            dispatcher=self._dispatcher.heartbeat,
            consumer=link.thread_heartbeat if link is not None else None,
            active_turns=self._active_turns,
            longest_turn=TURNS_STUCK_FACTOR * (self._settings.worker.turn + longest_timeout(self._settings)),
            stopping=self._stopping.is_set,
            threads=self._running_threads,
        )

    def _running_threads(self) -> dict[str, bool]:
        """Return for each thread that the worker needs whether it runs."""
        if not self._started:
            return {}
        running = {
            "dispatcher": self._dispatcher.is_alive(),
            "ledger_monitor": self.ledger_monitor.is_alive(),
        }
        if isinstance(self.broker, RabbitBroker):
            running["consumer"] = self.broker.link.is_alive()
        running["turns"] = all(thread.is_alive() for thread in self._turn_threads())
        return running

    def _turn_threads(self) -> list[Any]:
        """Return Dramatiq's threads, which have no common type."""
        return [*self._threads.workers, *self._threads.consumers.values()]

    def _await_threads(self) -> None:
        """Wait until each thread has begun: Dramatiq's threads never stop if they are stopped before that."""
        for thread in self._turn_threads():
            while thread.is_alive() and not thread.running:
                time.sleep(0.01)  # Dramatiq has no event for it

    def _declare_actors(self) -> None:
        for queue in QUEUES:
            self.broker.declare_queue(queue)
        for command in JOBS:
            self._declare_actor(command)
        self._declare_actor(REJECT)

    def _declare_actor(self, name: str) -> None:
        actor: dramatiq.Actor[..., None] = dramatiq.Actor(
            self._process_message,
            broker=self.broker,
            actor_name=name,
            queue_name=self.queues[0],
            priority=0,
            options={"throws": (Reject, Requeue)},
        )
        self.broker.actors[name] = actor

    def _process_message(self, **message: Any) -> None:
        """Process one message, and retry while the ledger is unavailable.

        Without the ledger no message can be processed, so this one waits here instead of being requeued over and
        over.
        """
        with self._active_turns.turn():
            self._retry_until_ledger_answers(message)

    def _retry_until_ledger_answers(self, message: Mapping[str, Any]) -> None:
        redelivered = False
        while True:
            try:
                if "body" in message:
                    self.turns.receive_command(message["body"], message.get("queue"), redelivered=redelivered)
                else:
                    self.turns.run_turn(message["job_id"], message["turn"], redelivered=redelivered)
            except LedgerUnavailable as error:
                redelivered = True
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
    """Return the limits of each run."""
    return RunLimits(
        min_delay=settings.polling.min_delay,
        max_delay=settings.polling.max_delay,
        stall_timeout=settings.polling.stall,
        time_slice=settings.worker.turn,
        effect_settle_seconds=EFFECT_SETTLE_TIMEOUTS * longest_timeout(settings),
        rate_limits=frozenset(rate_limit_key(*key) for key in rate_limits_from(settings)),
    )


def longest_timeout(settings: Settings) -> float:
    """Return the longest timeout of the vendors, in seconds."""
    timeouts = [v.timeout for v in (settings.creditsafe, settings.data8, settings.sayari) if v is not None]
    return max(timeouts, default=30.0)


def _queues_to_serve(services: Services, requested: Sequence[str] | None) -> list[str]:
    vendors = sorted(services.vendors())
    servable = ["kyb.control", *(f"kyb.{vendor}" for vendor in vendors)]
    if (
        "creditsafe" in vendors
    ):  # every portfolio needs Creditsafe; a job checks for the other vendors that it needs
        servable.append("kyb.portfolio")
    if requested is None:
        return servable
    for queue in requested:
        if queue not in servable:
            raise QueueNotServed(
                f"{queue}: not a queue this worker can serve; it has settings for {', '.join(servable)}"
            )
    return list(requested)
