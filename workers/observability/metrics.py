"""Prometheus metrics of this process.

Each process has its own counters and port; Prometheus adds them up. Label values come from code (commands,
operations, codes, statuses), never from messages or vendors, so their number is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Protocol

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Metric
from prometheus_client.exposition import choose_encoder

from clients.transport import Observation
from messages.catalogue import COMMANDS
from messages.errors import Code
from messages.events import Outcome
from workers.observability.turn_stats import TurnOutcome, TurnStats

_QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)
_CALLS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_DELAYS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_800)
_JOBS = (1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200, 86_400, 259_200)

RECEIVED = Counter("kyb_commands_received", "Received commands by outcome", ["command", "outcome"])
ENDED = Counter("kyb_jobs_ended", "Ended jobs; `code` only if they failed", ["command", "status", "code"])
JOB_SECONDS = Histogram(
    "kyb_job_duration_seconds", "Time from acceptance to the end", ["command", "status"], buckets=_JOBS
)
TURNS = Counter("kyb_turns", "Turns by outcome", ["command", "outcome"])
TURN_SECONDS = Histogram("kyb_turn_duration_seconds", "Duration of turns", ["command"], buckets=_QUICK)
POLLS = Counter("kyb_polls", "Polls of vendor jobs", ["command"])
RETRIES = Counter("kyb_retries", "Turns postponed for another attempt, by reason", ["command", "reason"])
RECOVERED = Counter(
    "kyb_effects_recovered",
    "Effects in doubt that were looked up at the vendor: adopted, not_happened or undecided",
    ["command", "outcome"],
)
DELAY = Histogram(
    "kyb_detection_delay_seconds",
    "Time from a vendor job's end to the poll that noticed it, where the vendor reports the end",
    ["command"],
    buckets=_DELAYS,
)
DELAY_BOUND = Histogram(
    "kyb_detection_delay_upper_bound_seconds",
    "Upper bound of the detection delay: time since the last poll that saw the vendor's job running",
    ["command"],
    buckets=_DELAYS,
)
RECORDS_TRANSFERRED = Counter(
    "kyb_records_transferred", "Records that transfers moved, by kind of transfer", ["command", "kind"]
)
RESULTS = Counter("kyb_result_records", "Records in the results of completed jobs", ["command"])
RESULT_BYTES = Counter("kyb_result_bytes", "Bytes in the results of completed jobs", ["command"])

REQUESTS = Counter(
    "kyb_vendor_requests", "HTTP requests to vendors by status; `none` if no answer came",
    ["vendor", "operation", "status"],
)  # fmt: skip
REQUEST_SECONDS = Histogram(
    "kyb_vendor_request_duration_seconds",
    "Time until the headers of the vendor's answer",
    ["vendor", "operation"],
    buckets=_CALLS,
)
BYTES = Counter(
    "kyb_vendor_bytes", "Bytes of bodies sent to and received from vendors", ["vendor", "direction"]
)
TOKENS = Counter("kyb_token_refreshes", "Token requests: granted, refused or failed", ["vendor", "outcome"])
RATE_LIMITED_TURNS = Counter(
    "kyb_rate_limited_turns", "Turns postponed because a vendor's rate limit was exhausted", ["vendor"]
)

DISPATCHED = Counter("kyb_turns_dispatched", "Turns published to the broker", ["queue"])
REDISPATCHED = Counter("kyb_turns_redispatched", "Turns dispatched again because they were lost", ["queue"])
PUBLISHED = Counter("kyb_events_published", "Events published to the broker")
IS_LEADER = Gauge("kyb_dispatcher_is_leader", "1 in the process that dispatches, 0 in the others")

_STATUSES = {status.value for status in HTTPStatus}
#: Codes that alerts watch. Their series exist from the start, so that the first failure counts as an increase.
_ALERTED_CODES = (
    Code.OUTCOME_UNKNOWN,
    Code.INTERNAL_ERROR,
    Code.VENDOR_AUTH,
    Code.VENDOR_UNAVAILABLE,
    Code.STALLED,
)

for _code in (Code.INVALID_COMMAND, Code.ID_CONFLICT, Code.INPUT_NOT_ALLOWED):
    for _command in ("", *COMMANDS):
        RECEIVED.labels(_command, _code.value)
for _vendor in ("creditsafe", "data8", "sayari"):
    TOKENS.labels(_vendor, "refused")
for _command in COMMANDS:
    ENDED.labels(_command, Outcome.COMPLETED.value, "")
    for _code in _ALERTED_CODES:
        ENDED.labels(_command, Outcome.FAILED.value, _code.value)


class Collector(Protocol):
    """A source of metrics outside the registry."""

    def collect(self) -> Iterable[Metric]:
        """Yield the current metrics."""


class _CombinedRegistry:
    """The registry and more collectors as one registry for prometheus-client."""

    def __init__(self, more: Iterable[Collector]) -> None:
        self._more = more

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()
        for collector in self._more:
            yield from collector.collect()


def render(accept: str, more: Iterable[Collector] = ()) -> tuple[str, bytes]:
    """Return media type and text for a scrape with this `Accept` header."""
    encode, media_type = choose_encoder(accept)
    return media_type, encode(_CombinedRegistry(more))


def command_received(command: str | None, outcome: str) -> None:
    """Count a command that arrived.

    Args:
        command: its type, None if that is unreadable.
        outcome: a value of `Acceptance`, or the code of the rejection.
    """
    RECEIVED.labels(command if command in COMMANDS else "", outcome).inc()


def turn_ended(
    command: str, outcome: TurnOutcome, seconds: float, stats: TurnStats, job_seconds: float
) -> None:
    """Count a turn that has ended.

    Args:
        command: of the job.
        outcome: of the turn.
        seconds: duration of the turn.
        stats: of the turn.
        job_seconds: since the job was accepted.
    """
    TURNS.labels(command, outcome.name).inc()
    TURN_SECONDS.labels(command).observe(seconds)
    POLLS.labels(command).inc(stats.polls)
    for recovered in stats.recovered:
        RECOVERED.labels(command, recovered).inc()
    for bound, delay in stats.found_done:
        DELAY_BOUND.labels(command).observe(max(bound, 0.0))
        if delay is not None:
            DELAY.labels(command).observe(max(delay, 0.0))
    for kind, records in stats.transferred:
        RECORDS_TRANSFERRED.labels(command, kind).inc(max(records, 0))
    if outcome.name == "retrying":
        RETRIES.labels(
            command, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", outcome.reason).lower().removesuffix("_error")
        ).inc()
    elif outcome.name == "rate_limited":
        RATE_LIMITED_TURNS.labels(outcome.reason).inc()
    elif outcome.is_terminal:
        ENDED.labels(command, outcome.name, outcome.reason).inc()
        JOB_SECONDS.labels(command, outcome.name).observe(max(job_seconds, 0.0))
        for file in _files(outcome.result):
            RESULTS.labels(command).inc(file["records"] or 0)
            RESULT_BYTES.labels(command).inc(file["bytes"])


def vendor_called(observation: Observation) -> None:
    """Count a request to a vendor and its answer."""
    vendor, status = observation.vendor, observation.status
    REQUESTS.labels(vendor, observation.operation, _status_label(status)).inc()
    REQUEST_SECONDS.labels(vendor, observation.operation).observe(observation.seconds)
    BYTES.labels(vendor, "sent").inc(observation.sent)
    BYTES.labels(vendor, "received").inc(observation.received)
    if observation.authenticates:
        TOKENS.labels(vendor, _token_outcome(status)).inc()


def _token_outcome(status: int | None) -> str:
    if status is not None and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return "granted"
    busy = status == HTTPStatus.TOO_MANY_REQUESTS
    client_error = status is not None and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return "refused" if client_error and not busy else "failed"


def _status_label(status: int | None) -> str:
    if status is None:
        return "none"
    return str(status) if status in _STATUSES else "other"


def _files(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every File (see `messages.base`) of a result."""
    if isinstance(value, Mapping):
        if {"uri", "sha256", "records", "bytes"} <= value.keys():
            yield value
        else:
            for inner in value.values():
                yield from _files(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _files(inner)
