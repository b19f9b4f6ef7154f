"""OpenTelemetry spans of a worker. Imported only when tracing is on.

    upstream's span, or `receive <command>` if there is none
    ├── process <command>          one for each turn, linked to the previous turn
    │   ├── <vendor>.<operation>
    │   ├── UPDATE job, INSERT step, …
    │   └── publish <event>        when the dispatcher has published it
    └── process <command>

Names and attributes follow OpenTelemetry's conventions for messaging, HTTP and databases; our own begin with `kyb.`.
A span holds no query, body or parameter, which may be personal data.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import structlog
from opentelemetry import context as contexts
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import (
    Link,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_trace_id,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import Engine, event

from clients.transport import Observation
from messages.envelope import Request
from workers.ledger.records import Job, StoredEvent
from workers.observability.turn_stats import TurnOutcome

#: Maximum wait for the export of the last spans when the worker stops.
FLUSH_TIMEOUT_SECONDS = 3.0

_WRITE = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM)\s+\"?(\w+)", re.IGNORECASE)
_PROPAGATOR = TraceContextTextMapPropagator()


def build_spans(exporter: str) -> Spans:
    """Return spans that are exported to a collector (`otlp`) or to standard output (`console`)."""
    name = os.environ.get("OTEL_SERVICE_NAME")
    attributes = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    has_name = bool(name) or "service.name=" in attributes
    resource = Resource.create(
        {"service.version": version("kyb-workers")} | ({} if has_name else {"service.name": "kyb-workers"})
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    sink: SpanExporter = OTLPSpanExporter() if exporter == "otlp" else ConsoleSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(sink))
    return Spans(provider)


class Spans:
    """Records spans.

    Args:
        provider: samples and exports the spans.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("kyb-workers")

    def close(self) -> None:
        """Export the remaining spans; wait at most `FLUSH_TIMEOUT_SECONDS` for an unavailable collector."""
        flushing = threading.Thread(target=self._provider.shutdown, name="flush", daemon=True)
        flushing.start()
        flushing.join(FLUSH_TIMEOUT_SECONDS)

    def start_trace(self, request: Request) -> Request:
        """Record the command's span; it is the root of the trace if the command has no `traceparent`."""
        span = self._tracer.start_span(
            f"receive {request.type}",
            _context(request.traceparent, request.tracestate),
            SpanKind.CONSUMER,
            attributes={
                "messaging.system": "rabbitmq",
                "messaging.operation.name": "receive",
                "messaging.operation.type": "receive",
                "messaging.destination.name": request.command.queue(),
                "messaging.message.id": request.id,
                "messaging.message.conversation_id": request.correlation_id,
            },
        )
        span.end()
        return (
            request if request.traceparent is not None else replace(request, traceparent=_traceparent(span))
        )

    @contextmanager
    def turn(self, job: Job) -> Iterator[RecordedTurn]:
        """Record the span of a turn. The job's events carry it, and the next turn links to it."""
        previous = get_current_span(_context(job.span, job.tracestate)).get_span_context()
        span = self._tracer.start_span(
            f"process {job.command}",
            _context(job.traceparent, job.tracestate),
            SpanKind.CONSUMER,
            attributes={
                "messaging.system": "rabbitmq",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": job.queue,
                "messaging.message.conversation_id": job.correlation_id,
                "kyb.job.id": job.id,
                "kyb.job.attempt": job.attempt,
                "kyb.turn": job.turn,
            },
            links=[Link(previous)] if previous.is_valid else [],
        )
        job.span = _traceparent(span)
        job.traceparent = job.traceparent or job.span
        token = contexts.attach(set_span_in_context(span))
        trace_id = format_trace_id(span.get_span_context().trace_id)
        try:
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                yield RecordedTurn(span)
        finally:
            contexts.detach(token)
            span.end()

    def vendor_called(self, observation: Observation) -> None:
        """Record an HTTP request as a child of the turn that made it."""
        status = observation.status
        attributes: dict[str, Any] = {
            "http.request.method": observation.method,
            "server.address": observation.host,
            "http.request.body.size": observation.sent,
            "http.response.body.size": observation.received,
        }
        if observation.template:
            attributes["url.template"] = observation.template
        if status is not None:
            attributes["http.response.status_code"] = status
        error_type = "no_answer" if status is None else str(status) if status >= 400 else None  # noqa: PLR2004 - HTTP
        name = f"{observation.vendor}.{observation.operation}"
        self._record_past(name, SpanKind.CLIENT, observation.total, attributes, error_type=error_type)

    def events_published(self, events: Sequence[StoredEvent], seconds: float) -> None:
        """Record the publication of events, each as a child of its turn."""
        for stored in events:
            body = json.loads(stored.body)
            parent = _context(body.get("traceparent"), body.get("tracestate"))
            attributes = {
                "messaging.system": "rabbitmq",
                "messaging.operation.name": "publish",
                "messaging.operation.type": "send",
                "messaging.destination.name": "kyb.events",
                "messaging.message.id": stored.id,
            }
            self._record_past(f"publish {stored.type}", SpanKind.PRODUCER, seconds, attributes, parent)

    def trace_ledger_writes(self, engine: Engine) -> None:
        """Record each write to the ledger: the statement and the table, without values."""
        system = {"sqlite": "sqlite"}.get(engine.dialect.name, "postgresql")

        def before(connection: Any, *_: object) -> None:
            connection.info["kyb_began"] = time.monotonic()

        def after(connection: Any, _cursor: object, statement: str, *_: object) -> None:
            write = _WRITE.match(statement)
            if write is not None and get_current_span().is_recording():
                verb, table = write[1].split()[0].upper(), write[2]
                attributes = {
                    "db.system.name": system,
                    "db.operation.name": verb,
                    "db.collection.name": table,
                }
                seconds = time.monotonic() - connection.info["kyb_began"]
                self._record_past(f"{verb} {table}", SpanKind.CLIENT, seconds, attributes)

        event.listen(engine, "before_cursor_execute", before)
        event.listen(engine, "after_cursor_execute", after)

    def _record_past(
        self,
        name: str,
        kind: SpanKind,
        seconds: float,
        attributes: dict[str, Any],
        parent: Context | None = None,
        *,
        error_type: str | None = None,
    ) -> None:
        """Record a span that ends now and began `seconds` ago."""
        now = time.time_ns()
        began = now - int(seconds * 1e9)
        span = self._tracer.start_span(name, parent, kind, attributes=attributes, start_time=began)
        if error_type is not None:
            span.set_attribute("error.type", error_type)
            span.set_status(Status(StatusCode.ERROR))
        span.end(now)


class RecordedTurn:
    """The span of a running turn."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def set_outcome(self, outcome: TurnOutcome, step: str | None) -> None:
        """Set the outcome of the turn and its last step."""
        self._span.set_attribute("kyb.turn.outcome", outcome.name)
        if step is not None:
            self._span.set_attribute("kyb.step", step)
        if outcome.name in {"failed", "retrying"}:
            self._span.set_attribute("error.type", outcome.reason)
        if outcome.name == "failed":
            self._span.set_status(Status(StatusCode.ERROR))


def _context(traceparent: str | None, tracestate: str | None) -> Context:
    """Return the context of a `traceparent`; empty if there is none or it is invalid."""
    carrier = {"traceparent": traceparent or "", "tracestate": tracestate or ""}
    return _PROPAGATOR.extract(carrier, Context())


def _traceparent(span: Span) -> str:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, set_span_in_context(span, Context()))
    return carrier["traceparent"]
