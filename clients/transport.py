"""HTTP to one vendor: authenticated, rate limited, bounded in concurrency, with typed errors.

A process has one `Transport` for each vendor. All threads share its connection pool and its token.
It repeats a request only once, after a 401 and with a new token; other retries are the caller's.
A circuit breaker stops calls to a vendor that does not answer (see `clients.breaker`).
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeVar

import httpx
from pydantic import BaseModel

from clients.breaker import Breaker, CircuitOpen
from clients.errors import (
    AuthenticationError,
    CircuitOpenError,
    Conflict,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    VendorError,
    VendorUnavailable,
)
from clients.operation import Answer, Operation
from clients.wire import error_message, header_value, origin, redacted, retry_after, rewind

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

#: The most that an error keeps of the vendor's message.
DETAIL_MAX_CHARACTERS = 2_000
#: An idle connection is closed after this time. It is below the shortest usual default of servers (5 s), because a call
#: that is sent while the server closes its connection is lost.
KEEP_ALIVE_SECONDS = 4.0
#: A permit is used within this time, or another one is acquired: the limiter counted the first when it was acquired.
ACQUIRE_VALID_SECONDS = 0.03
#: Carries `correlation` to the vendor. None of the three documents such a header; an unknown one is ignored.
CORRELATION_HEADER = "X-Correlation-ID"

_EXCHANGE = "kyb_exchange"

#: The correlation id of the calls that this context makes.
correlation: ContextVar[str | None] = ContextVar("correlation", default=None)


def _do_nothing() -> None:
    """Do nothing."""


#: Called immediately before a request with an effect is sent, after token, circuit breaker and rate limit have allowed
#: it. An exception from it stops the request.
before_effect: ContextVar[Callable[[], None]] = ContextVar("before_effect", default=_do_nothing)


class Auth(Protocol):
    """A source of bearer tokens (see `clients.auth`)."""

    def token(self, transport: Transport) -> str:
        """Return a token that is valid now; fetch it in one thread at a time. Raises `AuthenticationError`."""

    def expired(self, token: str) -> None:
        """Discard a token that the vendor refused, so that the next `token` fetches another."""

    def refused(self, token: str, refusal: AuthenticationError) -> None:
        """Lock the credentials out for a while: the vendor refused a token that it had just issued."""


@dataclass(frozen=True)
class Observation:
    """One finished HTTP exchange with a vendor.

    Attributes:
        vendor: its name.
        operation: the client's name of the operation.
        status: HTTP status of the answer; None without an answer.
        seconds: until the answer's headers arrived or the call failed.
        rate_limit: the operation's class of calls.
        retry_after: seconds that the vendor asked us to wait.
        total: seconds until the answer was read or discarded.
        method: HTTP verb.
        template: the path as documented, parameters not filled in; empty for a link of the vendor's.
        host: the host that received the request.
        sent: bytes of the request's body, where its length was known beforehand.
        received: bytes of the answer's body on the wire.
        authenticates: whether the request fetched a token.
    """

    vendor: str
    operation: str
    status: int | None
    seconds: float
    rate_limit: str = "standard"
    retry_after: float | None = None
    total: float = 0.0
    method: str = ""
    template: str = ""
    host: str = ""
    sent: int = 0
    received: int = 0
    authenticates: bool = False


@dataclass
class _Exchange:
    """A request in flight, and what is needed to report it."""

    operation: Operation
    started: float
    authenticates: bool
    answered: float | None = None


class Transport:
    """HTTP to one vendor.

    Args:
        vendor: its name, for errors and observations.
        base_url: prefix of every path, without a trailing slash.
        auth: source of tokens.
        timeout: seconds to connect, and between two reads.
        concurrency: concurrent calls.
        acquire: takes a permit of the rate limit for a class of calls; returns 0 when it took one, else the
            seconds until one is free.
        observe: called after every exchange.
        breaker: stops calls while the vendor does not answer.
        describe: returns the vendor's message in an error body.
        http: an own `httpx.Client`, e.g. for tests.
    """

    def __init__(
        self,
        vendor: str,
        base_url: str,
        auth: Auth,
        *,
        timeout: float = 30.0,
        concurrency: int = 8,
        acquire: Callable[[str], float] = lambda _: 0.0,
        observe: Callable[[Observation], None] = lambda _: None,
        breaker: Breaker | None = None,
        describe: Callable[[httpx.Response], str | None] | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self.vendor = vendor
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.concurrency = concurrency
        self._auth = auth
        self._slots = threading.BoundedSemaphore(concurrency)
        self._acquire = acquire
        self._observe = observe
        self._breaker = breaker or Breaker()
        self._describe = describe or error_message
        self._secrets: set[str] = set()
        self._http = http or httpx.Client(
            verify=certificates(),
            timeout=timeout,
            follow_redirects=False,
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE_SECONDS),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @contextmanager
    def open(
        self, operation: Operation, path: str, request_kwargs: dict[str, Any]
    ) -> Iterator[httpx.Response]:
        """Send an authenticated request to `base_url + path`; yield the 2xx answer unread."""
        with self._slots:
            token = self._auth.token(self)
            response = self._exchange(operation, self.base_url + path, request_kwargs, token)
            if response.status_code == httpx.codes.UNAUTHORIZED:
                self._close(response)
                self._auth.expired(token)
                if not rewind(request_kwargs):
                    raise VendorUnavailable(
                        self.vendor, operation.name, "token refused, and the body cannot be sent twice",
                        status=response.status_code,
                    )  # fmt: skip
                token = self._auth.token(self)
                response = self._exchange(operation, self.base_url + path, request_kwargs, token)
            try:
                try:
                    self._check(operation, response)
                except AuthenticationError as refusal:
                    self._auth.refused(token, refusal)
                    raise
                yield response
            finally:
                self._close(response)

    def authenticate(
        self, operation: Operation, url: str, request_kwargs: dict[str, Any], secret: str = ""
    ) -> Any:
        """Request a token at `url` and return the JSON answer. Raises `AuthenticationError` on any 4xx but 429.

        `secret` is the secret in `request_kwargs`; no error message repeats it.
        """
        self._secrets.add(secret)
        response = self._exchange(operation, url, request_kwargs, token=None)
        try:
            with self.reading(operation):
                response.read()
            if response.is_client_error and response.status_code != httpx.codes.TOO_MANY_REQUESTS:
                raise self._error(AuthenticationError, operation, "credentials refused", response)
            self._check(operation, response)
            return Answer(self, operation, response).json()
        finally:
            self._close(response)

    @contextmanager
    def download(self, url: str, headers: Mapping[str, str] | None = None) -> Iterator[httpx.Response]:
        """Fetch a link of the vendor's; yield the answer unread, e.g. for `response.iter_bytes()`.

        Only the vendor's own host receives the token and the correlation id, and counts for the circuit breaker.
        Raises `NotFound` or `Rejected` when the link has expired, otherwise `VendorUnavailable`, also when the
        connection breaks during the read.
        """
        operation = Operation("download", "GET", url)
        try:
            own = origin(url) == origin(self.base_url)
        except httpx.InvalidURL:
            raise VendorUnavailable(self.vendor, operation.name, "the vendor's link is no URL") from None
        token = self._auth.token(self) if own else None
        with self._slots:
            response = self._exchange(operation, url, {"headers": dict(headers or {})}, token, own=own)
            try:
                self._check(operation, response)
                with self.reading(operation):
                    yield response
            finally:
                self._close(response)

    @contextmanager
    def reading(self, operation: Operation) -> Iterator[None]:
        """Translate a connection error during the read of an answer into the client's own."""
        try:
            yield
        except httpx.HTTPError as error:
            raise self._lost_answer_error(operation, error) from None

    def _exchange(
        self,
        operation: Operation,
        url: str,
        request_kwargs: dict[str, Any],
        token: str | None,
        *,
        own: bool = True,
    ) -> httpx.Response:
        headers = dict(request_kwargs.get("headers") or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if own and (belongs_to := correlation.get()) is not None:
            headers[CORRELATION_HEADER] = header_value(belongs_to)
        breaker = self._breaker if own else Breaker()
        try:
            ticket = breaker.admit()
        except CircuitOpen as circuit:
            raise CircuitOpenError(
                self.vendor,
                operation.name,
                "not called: the calls before had no answer or a server fault",
                retry_after=circuit.retry_after,
            ) from None
        success: bool | None = None
        try:
            self._acquire_permit(operation)
            if operation.effect:
                acquired = time.monotonic()
                before_effect.get()()
                if time.monotonic() - acquired > ACQUIRE_VALID_SECONDS:
                    self._acquire_permit(operation)
            exchange = _Exchange(operation, time.monotonic(), authenticates=own and token is None)
            response = self._send(exchange, url, request_kwargs | {"headers": headers})
            success = not response.is_server_error
        except (VendorUnavailable, OutcomeUnknown):
            success = False
            raise
        else:
            return response
        finally:
            breaker.report(ticket, success=success)

    def _acquire_permit(self, operation: Operation) -> None:
        """Take a permit of the rate limit. Raises `RateLimited` if there is none."""
        wait = self._acquire(operation.rate_limit)
        if wait > 0:
            raise RateLimited(self.vendor, operation.name, "our own rate limit is used up", retry_after=wait)

    def _send(self, exchange: _Exchange, url: str, request_kwargs: dict[str, Any]) -> httpx.Response:
        operation = exchange.operation
        request: httpx.Request | None = None
        try:
            request = self._http.build_request(operation.method, url, **request_kwargs)
            response = self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            self._report(exchange, request, None)
            if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
                raise VendorUnavailable(
                    self.vendor, operation.name, f"cannot be reached ({type(error).__name__})"
                ) from None
            raise self._lost_answer_error(operation, error) from None
        exchange.answered = time.monotonic()
        response.extensions[_EXCHANGE] = exchange
        return response

    def _close(self, response: httpx.Response) -> None:
        response.close()
        # httpx's stream and response refer to each other: without this a large answer stays in memory until the next
        # garbage collection.
        response.stream = httpx.ByteStream(b"")
        self._report(response.extensions[_EXCHANGE], response.request, response)

    def _report(
        self, exchange: _Exchange, request: httpx.Request | None, response: httpx.Response | None
    ) -> None:
        operation, now = exchange.operation, time.monotonic()
        length = request.headers.get("content-length", "") if request is not None else ""
        self._observe(
            Observation(
                self.vendor,
                operation.name,
                response.status_code if response is not None else None,
                (exchange.answered or now) - exchange.started,
                operation.rate_limit,
                retry_after(response) if response is not None else None,
                total=now - exchange.started,
                method=operation.method,
                template=operation.path if operation.path.startswith("/") else "",
                host=request.url.host if request is not None else "",
                sent=int(length) if length.isdecimal() else 0,
                received=response.num_bytes_downloaded if response is not None else 0,
                authenticates=exchange.authenticates,
            )
        )

    def _lost_answer_error(self, operation: Operation, error: httpx.HTTPError) -> VendorError:
        kind = OutcomeUnknown if operation.effect else VendorUnavailable
        return kind(self.vendor, operation.name, f"the answer was lost ({type(error).__name__})")

    def _check(self, operation: Operation, response: httpx.Response) -> None:
        if response.is_success:
            return
        with self.reading(operation):
            response.read()
        match response.status_code:
            case 401:
                raise self._error(AuthenticationError, operation, "token refused twice", response)
            case 404:
                raise self._error(NotFound, operation, "not found", response)
            case 409:
                raise self._error(Conflict, operation, "conflict", response)
            case 429:
                raise self._error(RateLimited, operation, "too many calls", response)
            case 503 if "retry-after" in response.headers:  # assumed: what names a time has done nothing yet
                raise self._error(VendorUnavailable, operation, "temporarily out of service", response)
            case status if 300 <= status < 500:  # noqa: PLR2004 - the HTTP classes
                raise self._error(Rejected, operation, "refused", response)
            case _:
                kind = OutcomeUnknown if operation.effect else VendorUnavailable
                raise self._error(kind, operation, "server fault", response)

    def _error(
        self, kind: type[VendorError], operation: Operation, message: str, response: httpx.Response
    ) -> VendorError:
        detail = self._describe(response)
        if detail is not None:
            _, _, credentials = response.request.headers.get("authorization", "").partition(" ")
            detail = redacted(detail, {*self._secrets, credentials})
        return kind(
            self.vendor,
            operation.name,
            message,
            status=response.status_code,
            detail=detail[:DETAIL_MAX_CHARACTERS] if detail else None,
            retry_after=retry_after(response),
        )


@cache
def certificates() -> ssl.SSLContext:
    """Return the TLS context that all clients share: loading certificates is the slowest part of building a client."""
    return httpx.create_ssl_context()
