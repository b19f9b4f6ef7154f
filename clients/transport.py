"""The one way to a vendor: authenticated, budgeted, bounded HTTP with typed errors.

One `Transport` per vendor and process, shared by all threads: one pool of connections, one token.
It never repeats a request, but for one re-authentication after a 401; retries are the caller's.
A vendor that does not answer is left alone for a while (see `clients.breaker`).
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
from clients.wire import header_value, redacted, retry_after, rewind, vendor_words

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

#: The vendor's words kept in an error, in characters.
DETAIL_LIMIT = 2_000
#: An idle connection is given up after so many seconds: sooner than by a server, since a call that crosses the end of
#: its connection is lost. The shortest usual default of servers is five.
KEEP_ALIVE = 4.0
#: A call is made within so many seconds after the budget has allowed it, or it is asked once more: it was counted then.
PROMPT = 0.03
#: Carries `correlation` to the vendor. None of the three documents such a header; an unknown one is ignored.
CORRELATION_HEADER = "X-Correlation-ID"

_EXCHANGE = "kyb_exchange"

#: What the calls made from here belong to, in the words of whoever asked for them.
correlation: ContextVar[str | None] = ContextVar("correlation", default=None)


def _nobody() -> None:
    """Who only asks need not be told."""


#: Called when a request that may change something is about to leave: token, circuit and budget have let it
#: through, nothing is sent yet. What it raises keeps the request back.
before_effect: ContextVar[Callable[[], None]] = ContextVar("before_effect", default=_nobody)


class Auth(Protocol):
    """What gives requests their credentials (see `clients.auth`)."""

    def token(self, transport: Transport) -> str:
        """A token that is valid now; fetched at most once at a time. Raises `AuthenticationError`."""

    def expired(self, token: str) -> None:
        """The vendor refused this token: the next `token` fetches another."""

    def refused(self, token: str, refusal: AuthenticationError) -> None:
        """The vendor refused a token that it had just given: the credentials are barred for a while."""


@dataclass(frozen=True)
class Observation:
    """One finished HTTP exchange with a vendor.

    Attributes:
        vendor: its name.
        operation: the client's name of the operation.
        status: of the answer; None when none came.
        seconds: until the answer's headers, or until it was clear that none comes.
        budget: the operation's budget class.
        retry_after: seconds that the vendor wants to be left alone.
        total: seconds until the answer was read, or put aside.
        method: HTTP verb.
        template: the path as documented, parameters not filled in; empty for a link that the vendor handed out.
        host: whom the request went to.
        sent: bytes of the request's body, where its length was known beforehand.
        received: bytes of the answer's body, as they came over the wire.
        authenticates: whether a token was asked for.
    """

    vendor: str
    operation: str
    status: int | None
    seconds: float
    budget: str = "standard"
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
    """A request under way, and what will be told of it."""

    operation: Operation
    started: float
    authenticates: bool
    answered: float | None = None


class Transport:
    """HTTP to one vendor.

    Args:
        vendor: its name, for errors and observations.
        base_url: prefix of every path, without a trailing slash.
        auth: gives tokens.
        timeout: seconds to connect and between bytes.
        concurrency: calls at once.
        budget: asked before every call with the operation's budget class: seconds until a call is
            allowed, 0 for now (and counted).
        observe: told of every exchange.
        breaker: lets no call through while the vendor does not answer.
        describe: finds the vendor's words in an error body.
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
        budget: Callable[[str], float] = lambda _: 0.0,
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
        self._budget = budget
        self._observe = observe
        self._breaker = breaker or Breaker()
        self._describe = describe or vendor_words
        self._secrets: set[str] = set()
        self._http = http or httpx.Client(
            verify=certificates(),
            timeout=timeout,
            follow_redirects=False,
            limits=httpx.Limits(keepalive_expiry=KEEP_ALIVE),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @contextmanager
    def open(
        self, operation: Operation, path: str, request_kwargs: dict[str, Any]
    ) -> Iterator[httpx.Response]:
        """Send an authenticated request to `base_url + path`; yields the 2xx answer unread."""
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
        """Ask for a token at `url`, unauthenticated; the JSON answer. Raises `AuthenticationError` on any 4xx.

        `secret` is what `request_kwargs` holds of that kind: no error will ever repeat it.
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
        """Fetch a link that the vendor handed out; the answer comes unread, e.g. for `response.iter_bytes()`.

        Token and correlation only go along to the vendor's own host, and only that one concerns its circuit.
        Raises `NotFound` or `Rejected` when the link has expired, `VendorUnavailable` otherwise, also when the
        connection breaks while the answer is read.
        """
        operation = Operation("download", "GET", url)
        try:
            own = _origin(url) == _origin(self.base_url)
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
        """Turn a connection that breaks while an answer is read into the error that says so."""
        try:
            yield
        except httpx.HTTPError as error:
            raise self._lost(operation, error) from None

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
            self._allowed(operation)
            if operation.effect:
                asked = time.monotonic()
                before_effect.get()()
                if time.monotonic() - asked > PROMPT:
                    self._allowed(operation)
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

    def _allowed(self, operation: Operation) -> None:
        """Take one call of the budget. Raises `RateLimited` if there is none."""
        wait = self._budget(operation.budget)
        if wait > 0:
            raise RateLimited(self.vendor, operation.name, "our own call budget is used up", retry_after=wait)

    def _send(self, exchange: _Exchange, url: str, request_kwargs: dict[str, Any]) -> httpx.Response:
        operation = exchange.operation
        request: httpx.Request | None = None
        try:
            request = self._http.build_request(operation.method, url, **request_kwargs)
            response = self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            self._tell(exchange, request, None)
            if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
                raise VendorUnavailable(
                    self.vendor, operation.name, f"cannot be reached ({type(error).__name__})"
                ) from None
            raise self._lost(operation, error) from None
        exchange.answered = time.monotonic()
        response.extensions[_EXCHANGE] = exchange
        return response

    def _close(self, response: httpx.Response) -> None:
        response.close()
        # httpx's stream and its response refer to each other, so that a large answer would stay until the collector
        # comes; there is nothing left to be read.
        response.stream = httpx.ByteStream(b"")
        self._tell(response.extensions[_EXCHANGE], response.request, response)

    def _tell(
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
                operation.budget,
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

    def _lost(self, operation: Operation, error: httpx.HTTPError) -> VendorError:
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
            detail=detail[:DETAIL_LIMIT] if detail else None,
            retry_after=retry_after(response),
        )


def _origin(url: str) -> tuple[str, str, int | None]:
    """Where a request to `url` really goes, by the reading of what sends it."""
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port


@cache
def certificates() -> ssl.SSLContext:
    """The certificates that all vendors are held to: reading them takes longer than all else of a client."""
    return httpx.create_ssl_context()
