"""Errors of vendor calls, classified by whether the request took effect.

    VendorError           did it take effect?
    ├── Rejected          no: the vendor refused the request (4xx); repeating it changes nothing
    │   ├── NotFound      404
    │   └── Conflict      409
    ├── AuthenticationError
    │                     no: the credentials were refused; more attempts may lock the account
    ├── RateLimited       no: too many calls, by the vendor (429) or by our own rate limit
    ├── VendorUnavailable no: the vendor could not be reached, or the request had no effect
    │   └── CircuitOpenError
    │                     no: the circuit is open, so nothing was sent
    └── OutcomeUnknown    perhaps: an effect was sent and no definite answer arrived

Clients only raise these; the caller decides whether to retry, wait or give up.
"""

from __future__ import annotations


class VendorError(Exception):
    """A failed vendor call.

    Attributes:
        vendor: `creditsafe`, `data8` or `sayari`.
        operation: the client's name of the operation, e.g. `jobs.create`.
        message: what happened, in our words.
        status: the HTTP status, if there was an answer.
        detail: the vendor's own words, if it said any; never a secret, at most 2,000 characters.
        retry_after: seconds to wait before the next attempt, if the vendor or the rate limit named them.
    """

    def __init__(
        self,
        vendor: str,
        operation: str,
        message: str,
        *,
        status: int | None = None,
        detail: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(vendor, operation, message)
        self.vendor = vendor
        self.operation = operation
        self.message = message
        self.status = status
        self.detail = detail
        self.retry_after = retry_after

    def __str__(self) -> str:
        """Return one line: vendor, operation, message, status and the vendor's detail."""
        status = f" (HTTP {self.status})" if self.status is not None else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.vendor} {self.operation}: {self.message}{status}{detail}"


class Rejected(VendorError):
    """The vendor refused the request (4xx). It had no effect and would be refused again."""


class NotFound(Rejected):
    """The vendor does not have the requested object (404)."""


class Conflict(Rejected):
    """The object exists already, or its state forbids the request (409)."""


class AuthenticationError(VendorError):
    """The vendor refused the credentials, or they are locked out after a refusal (see `clients.auth`)."""


class RateLimited(VendorError):
    """Too many calls. The request had no effect; `retry_after` says when to try again if that is known."""


class VendorUnavailable(VendorError):
    """The vendor could not be reached or could not answer a question. Nothing took effect."""


class CircuitOpenError(VendorUnavailable):
    """The circuit breaker stopped the call, so nothing was sent. `retry_after` says when to try again."""


class OutcomeUnknown(VendorError):
    """An effect was sent and the answer was lost or a server fault: it may or may not have happened."""
