"""A thread that checks the ledger and reads its statistics, so that neither probes nor scrapes wait for the ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

import structlog
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from workers.ledger.database import LedgerOutdated, LedgerUnavailable
from workers.ledger.queries import LedgerQueries
from workers.ledger.statistics import LedgerStats
from workers.observability.heartbeat import Heartbeat
from workers.rate_limits.limiter import remaining_calls
from workers.settings import Rate

log = structlog.get_logger("kyb.ledger_monitor")

#: Seconds between two checks whether the ledger answers.
CHECK_INTERVAL_SECONDS = 2.0
#: The ledger counts as unavailable when a check was not answered for this long.
ANSWER_TIMEOUT_SECONDS = 5.0
#: Least number of seconds between two reads of the statistics, and the largest share of time that reading may take.
STATS_INTERVAL_SECONDS = 5.0
STATS_MAX_LOAD = 0.01
#: Seconds after which statistics are no longer exported.
STATS_TTL_SECONDS = 60.0


class LedgerMonitor:
    """The thread and a collector of Prometheus metrics with the last values. A scrape costs the ledger nothing.

    Args:
        queries: of the ledger to monitor.
        rates: rate limits of the vendors that this process serves, by vendor and class of operations.
        is_leader: returns whether this process is the leader: only the leader exports the statistics of the ledger.
    """

    def __init__(
        self,
        queries: LedgerQueries,
        rates: Mapping[tuple[str, str], Rate],
        is_leader: Callable[[], bool],
    ) -> None:
        self._queries = queries
        self._rates = rates
        self._is_leader = is_leader
        self._stopping = threading.Event()
        self._read_at = -STATS_TTL_SECONDS
        self._next_read_at = 0.0
        self._stats: LedgerStats | None = None
        self._remaining: dict[tuple[str, str], int] = {}
        self._thread = threading.Thread(target=self._run, name="ledger-monitor", daemon=True)
        #: Beats while the ledger answers.
        self.heartbeat = Heartbeat(CHECK_INTERVAL_SECONDS + ANSWER_TIMEOUT_SECONDS)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, without waiting for a ledger that does not answer."""
        self._stopping.set()
        self._thread.join(CHECK_INTERVAL_SECONDS)

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def collect(self) -> Iterator[Metric]:
        """Yield the last values unless they are too old."""
        recent = time.monotonic() - self._read_at < STATS_TTL_SECONDS
        if recent:
            yield from rate_limit_metrics(self._rates, self._remaining)
        if recent and self._stats is not None and self._is_leader():
            yield from ledger_metrics(self._stats)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._queries.check()
                self.heartbeat.beat()
                self._read()
            except (LedgerUnavailable, LedgerOutdated) as error:
                self.heartbeat.stop()
                log.debug("ledger unavailable", error=str(error))
            except Exception:
                self.heartbeat.stop()
                log.exception("unhandled exception")
            self._stopping.wait(CHECK_INTERVAL_SECONDS)

    def _read(self) -> None:
        began = time.monotonic()
        if began < self._next_read_at:
            return
        stats = self._queries.stats() if self._is_leader() else None
        self._remaining = remaining_calls(self._queries.database, self._rates)
        self._stats = stats
        self._read_at = time.monotonic()
        self._next_read_at = self._read_at + max(
            STATS_INTERVAL_SECONDS, (self._read_at - began) / STATS_MAX_LOAD
        )


def rate_limit_metrics(
    rates: Mapping[tuple[str, str], Rate], remaining: Mapping[tuple[str, str], int]
) -> Iterator[Metric]:
    """Yield the vendors' rate limits, which all workers of the ledger share."""
    limit = GaugeMetricFamily(
        "kyb_vendor_rate_limit_calls", "Calls allowed in one window", labels=["vendor", "kind"]
    )
    remaining_family = GaugeMetricFamily(
        "kyb_vendor_rate_limit_remaining_calls",
        "Calls that may still be made in the current window",
        labels=["vendor", "kind"],
    )
    for key, rate in rates.items():
        limit.add_metric(key, rate.calls)
        if key in remaining:
            remaining_family.add_metric(key, remaining[key])
    yield limit
    yield remaining_family


def ledger_metrics(stats: LedgerStats) -> Iterator[Metric]:
    """Yield the statistics of the whole ledger."""
    now = stats.now
    by_state = GaugeMetricFamily(
        "kyb_jobs",
        "Jobs that have not ended: `waiting` for their time, `due`, or `dispatched` (queued or running)",
        labels=["command", "state"],
    )
    for (command, state), count in stats.jobs.items():
        by_state.add_metric([command, state], count)
    yield by_state
    yield GaugeMetricFamily(
        "kyb_oldest_due_job_age_seconds",
        "How long the oldest due turn has waited to be dispatched",
        value=_age(now, stats.oldest_due),
    )
    oldest_dispatched = GaugeMetricFamily(
        "kyb_queue_oldest_turn_age_seconds",
        "How long the oldest dispatched turn has been queued or running",
        labels=["queue"],
    )
    for queue, dispatched_at in stats.oldest_dispatched.items():
        oldest_dispatched.add_metric([queue], _age(now, dispatched_at))
    yield oldest_dispatched
    yield GaugeMetricFamily("kyb_outbox_events", "Events not yet published", value=stats.unpublished)
    yield GaugeMetricFamily(
        "kyb_outbox_oldest_event_age_seconds",
        "Age of the oldest unpublished event",
        value=_age(now, stats.oldest_unpublished),
    )


def _age(now: float, then: float | None) -> float:
    return 0.0 if then is None else max(now - then, 0.0)
