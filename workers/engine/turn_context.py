"""The turn that the current thread runs: its log lines, its trace and its vendor calls belong together."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog

from clients.transport import Observation, correlation
from workers.ledger.claim import Claim
from workers.observability import metrics, tracing
from workers.rate_limits.limiter import rate_limit_key

log = structlog.get_logger("kyb.turn")

_turn: ContextVar[Claim | None] = ContextVar("turn", default=None)
_counting = threading.Lock()


def count_call(observation: Observation) -> None:
    """Count a vendor call, also for the turn that makes it, and log it at debug level."""
    claim = _turn.get()
    if claim is not None:
        with _counting:  # a transfer calls from several threads
            claim.job.vendor_calls += 1
        claim.last_rate_limit_key = rate_limit_key(observation.vendor, observation.rate_limit)
    metrics.vendor_called(observation)
    tracing.vendor_called(observation)
    log.debug(
        "vendor call",
        operation=f"{observation.vendor}.{observation.operation}",
        status=observation.status,
        seconds=round(observation.seconds, 3),
    )


@contextmanager
def bind_turn(claim: Claim) -> Iterator[None]:
    """Every log line and vendor call in the block belongs to this turn."""
    job = claim.job
    token = _turn.set(claim)
    correlated = correlation.set(job.correlation_id)
    try:
        with structlog.contextvars.bound_contextvars(
            job_id=job.id,
            command=job.command,
            correlation_id=job.correlation_id,
            vendor=job.vendor,
            turn=job.turn,
        ):
            yield
    finally:
        correlation.reset(correlated)
        _turn.reset(token)
