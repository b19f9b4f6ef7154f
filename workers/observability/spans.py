"""The spans of a worker. Imported only where tracing is on.

    upstream's span, or `receive <command>` where there is none
    ├── process <command>          one for each turn, linked to the turn before
    │   ├── <vendor>.<operation>
    │   ├── UPDATE job, INSERT step, …
    │   └── publish <event>        when the dispatcher has published it
    └── process <command>

Names and attributes are OpenTelemetry's for messaging, HTTP and databases; ours begin with `kyb.`. A span holds
no query, no body and no parameter: they may be personal data.
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

#: Seconds that the last spans may take on their way when the worker ends.
FLUSH_TIMEOUT_SECONDS = 3.0

_WRITE = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM)\s+\"?(\w+)", re.IGNORECASE)
_PROPAGATOR = TraceContextTextMapPropagator()


def exporting(exporter: str) -> Spans:
    """Spans that go to a collector (`otlp`) or to standard output (`console`), as the environment says."""
    name = os.environ.get("OTEL_SERVICE_NAME")
    given = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    named = bool(name) or "service.name=" in given
    resource = Resource.create(
        {"service.version": version("kyb-workers")} | ({} if named else {"service.name": "kyb-workers"})
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    sink: SpanExporter = OTLPSpanExporter() if exporter == "otlp" else ConsoleSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(sink))
    return Spans(provider)


class Spans:
    """Makes the spans.

    Args:
        provider: decides on sampling and takes them.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("kyb-workers")

    def close(self) -> None:
        """Send what is left; a collector that is away is not waited for longer than `FLUSH` seconds."""
        flushing = threading.Thread(target=self._provider.shutdown, name="flush", daemon=True)
        flushing.start()
        flushing.join(FLUSH_TIMEOUT_SECONDS)

    def rooted(self, request: Request) -> Request:
        """The command's span; where the upstream has none of its own, the job's trace begins with it."""
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
        return request if request.traceparent is not None else replace(request, traceparent=_carried(span))

    @contextmanager
    def turn(self, job: Job) -> Iterator[RecordedTurn]:
        """The span of a turn; the job's events carry it, and the next turn links to it."""
        before = get_current_span(_context(job.span, job.tracestate)).get_span_context()
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
            links=[Link(before)] if before.is_valid else [],
        )
        job.span = _carried(span)
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
        """One HTTP exchange, as a child of the turn that made it."""
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
        wrong = "no_answer" if status is None else str(status) if status >= 400 else None  # noqa: PLR2004 - HTTP
        name = f"{observation.vendor}.{observation.operation}"
        self._past(name, SpanKind.CLIENT, observation.total, attributes, wrong=wrong)

    def published(self, events: Sequence[StoredEvent], seconds: float) -> None:
        """Events, each as a child of the turn that told it."""
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
            self._past(f"publish {stored.type}", SpanKind.PRODUCER, seconds, attributes, parent)

    def watch_ledger(self, engine: Engine) -> None:
        """Have the writes of turns traced: what they do to which table, never with what."""
        system = {"sqlite": "sqlite"}.get(engine.dialect.name, "postgresql")

        def before(connection: Any, *_: object) -> None:
            connection.info["kyb_began"] = time.monotonic()

        def after(connection: Any, _cursor: object, statement: str, *_: object) -> None:
            found = _WRITE.match(statement)
            if found is not None and get_current_span().is_recording():
                verb, table = found[1].split()[0].upper(), found[2]
                attributes = {
                    "db.system.name": system,
                    "db.operation.name": verb,
                    "db.collection.name": table,
                }
                seconds = time.monotonic() - connection.info["kyb_began"]
                self._past(f"{verb} {table}", SpanKind.CLIENT, seconds, attributes)

        event.listen(engine, "before_cursor_execute", before)
        event.listen(engine, "after_cursor_execute", after)

    def _past(
        self,
        name: str,
        kind: SpanKind,
        seconds: float,
        attributes: dict[str, Any],
        parent: Context | None = None,
        *,
        wrong: str | None = None,
    ) -> None:
        """A span of what is over by now."""
        now = time.time_ns()
        began = now - int(seconds * 1e9)
        span = self._tracer.start_span(name, parent, kind, attributes=attributes, start_time=began)
        if wrong is not None:
            span.set_attribute("error.type", wrong)
            span.set_status(Status(StatusCode.ERROR))
        span.end(now)


class RecordedTurn:
    """The span of a turn at work."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def ended(self, outcome: TurnOutcome, step: str | None) -> None:
        """How it ended, and at which step."""
        self._span.set_attribute("kyb.turn.outcome", outcome.name)
        if step is not None:
            self._span.set_attribute("kyb.step", step)
        if outcome.name in {"failed", "retrying"}:
            self._span.set_attribute("error.type", outcome.reason)
        if outcome.name == "failed":
            self._span.set_status(Status(StatusCode.ERROR))


def _context(traceparent: str | None, tracestate: str | None) -> Context:
    """What a carried trace context says; empty without one, or where it is none."""
    carrier = {"traceparent": traceparent or "", "tracestate": tracestate or ""}
    return _PROPAGATOR.extract(carrier, Context())


def _carried(span: Span) -> str:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, set_span_in_context(span, Context()))
    return carrier["traceparent"]
