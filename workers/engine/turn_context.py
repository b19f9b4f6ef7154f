"""The current turn as context variables, so that log lines, spans and vendor calls belong to it."""

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
_count_lock = threading.Lock()


def count_call(observation: Observation) -> None:
    """Count a vendor call for the current turn, in metrics and traces; log it at debug level."""
    claim = _turn.get()
    if claim is not None:
        with _count_lock:  # a transfer calls from several threads
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
    """Bind the turn to the log lines and vendor calls in the block."""
    job = claim.job
    token = _turn.set(claim)
    correlation_token = correlation.set(job.correlation_id)
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
        correlation.reset(correlation_token)
        _turn.reset(token)
