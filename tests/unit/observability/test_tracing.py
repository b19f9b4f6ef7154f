"""One trace covers upstream, turns, calls, writes and events; without settings tracing is off."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from sandbox import Sandbox
from sandbox.core import Fault
from tests.support.cli import kyb_process
from tests.support.waiting import wait_for_line, wait_until
from tests.unit.observability.conftest import ServiceHarness
from workers.observability import tracing
from workers.observability.spans import Spans
from workers.observability.tracing import exporter_from
from workers.settings import SettingsError

START = "data8.start_job"
TRACE = "0af7651916cd43dd8448eb211c80319c"
UPSTREAM = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    """Turn tracing on; the upstream decides on sampling."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(root=ALWAYS_ON))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(Spans(provider))
    yield exporter
    tracing.stop()


@pytest.fixture
def traced(exported: InMemorySpanExporter, harness: ServiceHarness) -> ServiceHarness:
    return harness


def named(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if span.name == name]


def events(harness: ServiceHarness) -> list[dict[str, Any]]:
    return [json.loads(stored.body) for stored in harness.ledger.queries.events(job_id="job")]


def test_trace_covers_command_turns_calls_and_events(
    traced: ServiceHarness, exported: InMemorySpanExporter
) -> None:
    traced.state.faults["data8.jobs.get"].append(Fault("status", status=503))
    job = traced.run(START, traced.companies(), traceparent=UPSTREAM, tracestate="congo=t61rcWkgMzE")
    tracing.events_published(traced.ledger.queries.events(job_id="job"), 0.01)
    spans = exported.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {TRACE}
    turns = named(exported, f"process {START}")
    assert len(turns) == job.turns > 2
    for number, turn in enumerate(turns):
        assert turn.parent is not None
        assert turn.parent.is_remote
        assert f"{turn.parent.span_id:016x}" == "b7ad6b7169203331"
        assert turn.kind is SpanKind.CONSUMER
        assert turn.context.trace_state.get("congo") == "t61rcWkgMzE"
        assert turn.attributes is not None
        assert turn.attributes["kyb.turn"] == number + 1
        assert [link.context.span_id for link in turn.links] == (
            [turns[number - 1].context.span_id] if number else []
        )
    outcomes = [turn.attributes["kyb.turn.outcome"] for turn in turns if turn.attributes is not None]
    assert outcomes[-1] == "completed"
    assert "retrying" in outcomes
    of_turn = {turn.context.span_id for turn in turns}
    (create,) = named(exported, "data8.jobs.create")
    assert create.kind is SpanKind.CLIENT
    assert create.attributes is not None
    assert create.attributes["http.request.method"] == "POST"
    assert create.attributes["url.template"] == "/Job"
    assert create.attributes["http.response.status_code"] == 201
    (failed,) = [
        span for span in named(exported, "data8.jobs.get") if span.status.status_code is StatusCode.ERROR
    ]
    assert failed.attributes is not None
    assert failed.attributes["error.type"] == "503"
    assert named(exported, "UPDATE job")
    assert named(exported, "INSERT step")
    for name in ("data8.token", "data8.jobs.create", "UPDATE job", "INSERT step"):
        for span in named(exported, name):
            assert span.parent is not None
            assert span.parent.span_id in of_turn, name
    published_events = events(traced)
    for event in published_events:
        (published,) = [s for s in named(exported, f"publish {event['type']}") if s.attributes
                        and s.attributes["messaging.message.id"] == event["id"]]  # fmt: skip
        assert published.parent is not None
        assert event["traceparent"].split("-")[2] == f"{published.parent.span_id:016x}"
    assert (
        published_events[-1]["traceparent"]
        == f"00-{TRACE}-{turns[-1].context.span_id:016x}-{turns[-1].context.trace_flags:02x}"
    )


def test_trace_begins_with_a_command_without_traceparent(
    traced: ServiceHarness, exported: InMemorySpanExporter
) -> None:
    job = traced.run(START, {"workflow": "Echo"})
    (root,) = [span for span in exported.get_finished_spans() if span.parent is None]
    assert root.name == f"receive {START}"
    assert len({span.context.trace_id for span in exported.get_finished_spans()}) == 1
    assert (
        job.traceparent
        == f"00-{root.context.trace_id:032x}-{root.context.span_id:016x}-{root.context.trace_flags:02x}"
    )
    assert all(
        root.context.trace_id == int(event["traceparent"].split("-")[1], 16) for event in events(traced)
    )


def test_trace_is_not_sampled_when_the_upstream_does_not_sample(
    traced: ServiceHarness, exported: InMemorySpanExporter
) -> None:
    unsampled = UPSTREAM.removesuffix("01") + "00"
    traced.run(START, {"workflow": "Echo"}, traceparent=unsampled)
    assert exported.get_finished_spans() == ()
    assert {event["traceparent"].split("-")[1] for event in events(traced)} == {TRACE}
    assert {event["traceparent"][-2:] for event in events(traced)} == {"00"}


def test_trace_begins_when_the_traceparent_is_invalid(
    traced: ServiceHarness, exported: InMemorySpanExporter
) -> None:
    traced.run(START, {"workflow": "Echo"}, traceparent="nonsense")
    assert all(span.context.is_valid for span in exported.get_finished_spans())


def test_events_carry_the_upstreams_trace_when_tracing_is_off(harness: ServiceHarness) -> None:
    harness.run(START, {"workflow": "Echo"}, traceparent=UPSTREAM)
    assert {event["traceparent"] for event in events(harness)} == {UPSTREAM}


def test_opentelemetry_is_not_imported_when_tracing_is_off() -> None:
    code = "import sys, workers.cli.commands.worker; sys.exit(any(n.startswith('opentelemetry') for n in sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode
        == 0
    )


@pytest.mark.parametrize(
    ("environment", "exporter"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
    ],
)
def test_exporter_follows_the_environment(environment: dict[str, str], exporter: str | None) -> None:
    assert exporter_from(environment) == exporter


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ),
    ],
)
def test_exporter_is_refused_when_the_environment_is_invalid(
    environment: dict[str, str], variable: str
) -> None:
    with pytest.raises(SettingsError, match=variable):
        exporter_from(environment)


class Collector:
    """An OTLP endpoint that records the exported requests."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest()
                request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
                requests.append(request)
                self.send_response(200 if self.path == "/v1/traces" else 404)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def names(self) -> set[str]:
        return {
            span.name
            for request in list(self.requests)
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def test_worker_exports_spans_to_a_collector(
    vendors: Sandbox, harness: ServiceHarness, collector: Collector
) -> None:
    environment = {
        "KYB_LEDGER_URL": str(harness.ledger.database.engine.url),
        "KYB_HTTP__PORT": "0",
        "KYB_POLLING__MIN_DELAY": "20ms",
        "KYB_POLLING__MAX_DELAY": "100ms",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    event = {"specversion": "1.0", "id": "job", "source": "/t", "type": START, "data": harness.companies()}
    harness.turns._admission.accept(
        json.dumps({**event, "traceparent": UPSTREAM}).encode(), None, claim_first_turn=False
    )
    with kyb_process("worker", **environment) as worker:
        line = wait_for_line(worker.stderr, '"completed"')
        assert TRACE in line
        wait_until(lambda: f"publish {START}.completed" in collector.names())
        worker.terminate()
        assert worker.wait(20) == 0
    assert {
        f"process {START}",
        "data8.jobs.create",
        "UPDATE job",
        f"publish {START}.accepted",
    } <= collector.names()
    (resource,) = collector.requests[0].resource_spans
    attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert attributes["service.name"] == "kyb-workers"
    assert attributes["deployment.environment.name"] == "test"


def test_worker_stops_in_time_when_the_collector_is_unavailable(
    vendors: Sandbox, harness: ServiceHarness
) -> None:
    environment = {
        "KYB_LEDGER_URL": str(harness.ledger.database.engine.url),
        "KYB_HTTP__PORT": "0",
        "KYB_POLLING__MIN_DELAY": "20ms",
        "KYB_POLLING__MAX_DELAY": "100ms",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    event = {"specversion": "1.0", "id": "job", "source": "/t", "type": START, "data": harness.companies()}
    harness.turns._admission.accept(json.dumps(event).encode(), None, claim_first_turn=False)
    with kyb_process("worker", **environment) as worker:
        wait_for_line(worker.stderr, '"completed"')
        worker.terminate()
        assert worker.wait(20) == 0
