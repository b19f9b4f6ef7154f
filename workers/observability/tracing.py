"""Tracing, if OpenTelemetry's environment variables turn it on; otherwise OpenTelemetry is not imported.

One trace covers the upstream's `traceparent`, all turns of a job, its calls to the vendor, its writes to the ledger
and its events. See `workers.observability.spans`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from clients.transport import Observation
from messages.envelope import Request
from workers.extras import importing
from workers.ledger.records import Job, StoredEvent
from workers.observability.turn_stats import TurnOutcome
from workers.settings import SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from workers.observability.spans import Spans


class TurnSpan(Protocol):
    """The span of a turn, whether tracing is on or not."""

    def set_outcome(self, outcome: TurnOutcome, step: str | None) -> None:
        """Set the outcome of the turn and its last step."""


class _Untraced:
    def set_outcome(self, outcome: TurnOutcome, step: str | None) -> None:
        pass


_UNTRACED = _Untraced()
_spans: Spans | None = None


def exporter_from(environment: Mapping[str, str]) -> str | None:
    """Return the configured exporter: `otlp`, `console` or None. Raises `SettingsError`."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    endpoint = any(
        environment.get(name)
        for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )
    exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip() or ("otlp" if endpoint else "none")
    if exporter not in {"otlp", "console", "none"}:
        raise SettingsError("OTEL_TRACES_EXPORTER: must be otlp, console or none")
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL"
    )
    if exporter == "otlp" and protocol not in {None, "", "http/protobuf"}:
        raise SettingsError("OTEL_EXPORTER_OTLP_PROTOCOL: traces are sent as http/protobuf only")
    return None if exporter == "none" else exporter


def start() -> None:
    """Start tracing if an exporter is configured. Raises `SettingsError`."""
    exporter = exporter_from(os.environ)
    if exporter is not None:
        with importing("otel", "OTEL_TRACES_EXPORTER"):
            from workers.observability.spans import build_spans  # noqa: PLC0415 - only when tracing is on

        use(build_spans(exporter))


def use(spans: Spans | None) -> None:
    """Record with these spans from now on; with None, stop tracing."""
    global _spans  # noqa: PLW0603 - tracing is global to the process, as in OpenTelemetry
    _spans = spans


def stop() -> None:
    """Export the remaining spans and stop tracing."""
    if _spans is not None:
        _spans.close()
        use(None)


def start_trace(request: Request) -> Request:
    """Record a received command; return it with a `traceparent`."""
    return request if _spans is None else _spans.start_trace(request)


@contextmanager
def turn(job: Job) -> Iterator[TurnSpan]:
    """Record a turn of the job; calls, writes and events in the block belong to it."""
    if _spans is None:
        yield _UNTRACED
    else:
        with _spans.turn(job) as span:
            yield span


def vendor_called(observation: Observation) -> None:
    """Record a call to a vendor."""
    if _spans is not None:
        _spans.vendor_called(observation)


def events_published(events: Sequence[StoredEvent], seconds: float) -> None:
    """Record the publication of events, which took `seconds`."""
    if _spans is not None:
        _spans.events_published(events, seconds)


def trace_ledger_writes(engine: Engine) -> None:
    """Record the writes of turns to the ledger from now on."""
    if _spans is not None:
        _spans.trace_ledger_writes(engine)
