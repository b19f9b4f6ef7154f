"""What a worker counts, as Prometheus metrics of its process.

A process counts for itself alone and shows that on its own port: Prometheus adds up. Labels take their values
from code (commands, operations, codes, statuses), never from messages or vendors, so their number is bounded.
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

RECEIVED = Counter("kyb_commands_received", "Commands by what became of them", ["command", "outcome"])
ENDED = Counter(
    "kyb_jobs_ended", "Jobs that ended, by how; `code` only where they failed", ["command", "status", "code"]
)
LASTED = Histogram(
    "kyb_job_duration_seconds", "From acceptance to the end", ["command", "status"], buckets=_JOBS
)
TURNS = Counter("kyb_turns", "Turns by how they ended", ["command", "ending"])
TURN_SECONDS = Histogram("kyb_turn_duration_seconds", "Time that turns took", ["command"], buckets=_QUICK)
POLLS = Counter("kyb_polls", "Looks at vendors' jobs", ["command"])
RETRIES = Counter(
    "kyb_retries", "Turns put off for another attempt, by what went wrong", ["command", "reason"]
)
RECOVERED = Counter(
    "kyb_effects_recovered",
    "Effects whose outcome was in doubt and was asked of the vendor: adopted, not_happened or undecided",
    ["command", "finding"],
)
DELAY = Histogram(
    "kyb_detection_delay_seconds",
    "How long a vendor's job sat done before it was seen, where the vendor says when it was done",
    ["command"],
    buckets=_DELAYS,
)
DELAY_BOUND = Histogram(
    "kyb_detection_delay_upper_bound_seconds",
    "How long a vendor's job sat done before it was seen, at most: the time since the last look that saw it running",
    ["command"],
    buckets=_DELAYS,
)
MOVED = Counter("kyb_records_moved", "Records that transfers moved, by kind of transfer", ["command", "kind"])
RESULTS = Counter("kyb_result_records", "Records in results of completed jobs", ["command"])
RESULT_BYTES = Counter("kyb_result_bytes", "Bytes in results of completed jobs", ["command"])

REQUESTS = Counter(
    "kyb_vendor_requests", "HTTP requests to vendors, by status; `none` without an answer",
    ["vendor", "operation", "status"],
)  # fmt: skip
REQUEST_SECONDS = Histogram(
    "kyb_vendor_request_duration_seconds",
    "Until the headers of the vendor's answer",
    ["vendor", "operation"],
    buckets=_CALLS,
)
BYTES = Counter(
    "kyb_vendor_bytes", "Bytes of bodies sent to and received from vendors", ["vendor", "direction"]
)
TOKENS = Counter(
    "kyb_token_refreshes", "Requests for tokens: granted, refused or failed", ["vendor", "outcome"]
)
TURNED_AWAY = Counter("kyb_budget_waits", "Turns put off because a call budget was used up", ["vendor"])

HANDED = Counter("kyb_turns_handed_out", "Turns given to the broker", ["queue"])
LOST = Counter("kyb_turns_recovered", "Turns handed out again since they must have been lost", ["queue"])
PUBLISHED = Counter("kyb_events_published", "Events given to the broker")
LEADS = Gauge("kyb_dispatcher_leading", "1 in the process that dispatches, 0 in those that stand by")

_STATUSES = {status.value for status in HTTPStatus}
#: First words of transfers' names.
KINDS = {
    "clear", "collect", "download", "export", "fetch", "inspect", "read", "take", "tally", "trace", "upload", "write",
}  # fmt: skip
#: Ends that alerts watch: their series are there from the beginning, so that the first one counts.
_WATCHED = (
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
    for _code in _WATCHED:
        ENDED.labels(_command, Outcome.FAILED.value, _code.value)


class Collector(Protocol):
    """What shows metrics that are not counted here."""

    def collect(self) -> Iterable[Metric]:
        """They, as they are now."""


class _Together:
    """This process's metrics and those of more collectors, as prometheus-client takes them."""

    def __init__(self, more: Iterable[Collector]) -> None:
        self._more = more

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()
        for collector in self._more:
            yield from collector.collect()


def render(accept: str, more: Iterable[Collector] = ()) -> tuple[str, bytes]:
    """Everything, as a scrape with this `Accept` header wants it: media type and text."""
    encode, media_type = choose_encoder(accept)
    return media_type, encode(_Together(more))


def received(command: str | None, outcome: str) -> None:
    """A command arrived; `outcome` is `new`, `known`, `ended`, or the code it was rejected with."""
    RECEIVED.labels(command if command in COMMANDS else "", outcome).inc()


def turn_ended(command: str, ending: TurnOutcome, seconds: float, happened: TurnStats, lasted: float) -> None:
    """A turn is over.

    Args:
        command: of the job.
        ending: how the turn ended.
        seconds: that it took.
        happened: in it.
        lasted: seconds since the job was accepted.
    """
    TURNS.labels(command, ending.name).inc()
    TURN_SECONDS.labels(command).observe(seconds)
    POLLS.labels(command).inc(happened.polls)
    for finding in happened.recovered:
        RECOVERED.labels(command, finding).inc()
    for bound, delay in happened.found_done:
        DELAY_BOUND.labels(command).observe(max(bound, 0.0))
        if delay is not None:
            DELAY.labels(command).observe(max(delay, 0.0))
    for step, records in happened.moved:
        kind = step.partition(" ")[0]
        MOVED.labels(command, kind if kind in KINDS else "other").inc(max(records, 0))
    if ending.name == "retrying":
        RETRIES.labels(
            command, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", ending.reason).lower().removesuffix("_error")
        ).inc()
    elif ending.name == "budget":
        TURNED_AWAY.labels(ending.reason).inc()
    elif ending.is_terminal:
        ENDED.labels(command, ending.name, ending.reason).inc()
        LASTED.labels(command, ending.name).observe(max(lasted, 0.0))
        for file in _files(ending.result):
            RESULTS.labels(command).inc(file["records"] or 0)
            RESULT_BYTES.labels(command).inc(file["bytes"])


def vendor_called(observation: Observation) -> None:
    """An exchange with a vendor is over."""
    vendor, status = observation.vendor, observation.status
    REQUESTS.labels(vendor, observation.operation, _known(status)).inc()
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


def _known(status: int | None) -> str:
    if status is None:
        return "none"
    return str(status) if status in _STATUSES else "other"


def _files(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every File (see `messages.base`) in a result."""
    if isinstance(value, Mapping):
        if {"uri", "sha256", "records", "bytes"} <= value.keys():
            yield value
        else:
            for inner in value.values():
                yield from _files(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _files(inner)
