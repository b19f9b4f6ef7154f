"""Traces, for those who ask for them by OpenTelemetry's own variables; otherwise nothing of it is even imported.

One trace goes from the upstream's `traceparent` through all turns of a job, however far apart, its calls to the
vendor, its writes to the ledger and its events. See `workers.observability.spans`.
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
    """What is told of a turn when it is over."""

    def ended(self, outcome: TurnOutcome, step: str | None) -> None:
        """How it ended, and at which step."""


class _Untraced:
    def ended(self, outcome: TurnOutcome, step: str | None) -> None:
        pass


_UNTRACED = _Untraced()
_spans: Spans | None = None


def wanted(environment: Mapping[str, str]) -> str | None:
    """The exporter that the environment asks for: `otlp`, `console`, or None. Raises `SettingsError`."""
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
    """Begin to trace, if the environment asks for it. Raises `SettingsError`."""
    exporter = wanted(os.environ)
    if exporter is not None:
        with importing("otel", "OTEL_TRACES_EXPORTER"):
            from workers.observability.spans import exporting  # noqa: PLC0415 - only where traces are exported

        use(exporting(exporter))


def use(spans: Spans | None) -> None:
    """Trace with these from now on, or no longer."""
    global _spans  # noqa: PLW0603 - tracing is the process's, as OpenTelemetry has it
    _spans = spans


def stop() -> None:
    """Send what is left, as long as that takes seconds at most, and trace no longer."""
    if _spans is not None:
        _spans.close()
        use(None)


def rooted(request: Request) -> Request:
    """A command arrived: the same request, which has a trace from now on."""
    return request if _spans is None else _spans.rooted(request)


@contextmanager
def turn(job: Job) -> Iterator[TurnSpan]:
    """A turn of the job; whatever is called, written and told in the block belongs to it."""
    if _spans is None:
        yield _UNTRACED
    else:
        with _spans.turn(job) as span:
            yield span


def vendor_called(observation: Observation) -> None:
    """A call to a vendor is over."""
    if _spans is not None:
        _spans.vendor_called(observation)


def published(events: Sequence[StoredEvent], seconds: float) -> None:
    """These events were published, in so many seconds."""
    if _spans is not None:
        _spans.published(events, seconds)


def watch_ledger(engine: Engine) -> None:
    """Have the writes of turns traced."""
    if _spans is not None:
        _spans.watch_ledger(engine)
