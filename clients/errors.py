"""What can go wrong between us and a vendor, told by what became of the request.

    VendorError           did it take effect?
    ├── Rejected          no: the vendor refused the request (4xx); repeating it changes nothing
    │   ├── NotFound      404
    │   └── Conflict      409
    ├── AuthRefused       no: the credentials were refused; more attempts may lock the account
    ├── RateLimited       no: too many calls, by the vendor (429) or by our own rate limit
    ├── Unavailable       no: the vendor could not be reached, or it was only a question
    │   └── NotCalled     no: the circuit is open, so it was not even asked
    └── OutcomeUnknown    perhaps: an effect was sent and no definite answer came back

Clients only raise these; whether to retry, wait or give up is decided elsewhere.
"""

from __future__ import annotations


class VendorError(Exception):
    """A vendor call that did not end well.

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
        """One line: who, what, which status, and the vendor's words."""
        status = f" (HTTP {self.status})" if self.status is not None else ""
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.vendor} {self.operation}: {self.message}{status}{detail}"


class Rejected(VendorError):
    """The vendor refused the request (4xx). It had no effect and would be refused again."""


class NotFound(Rejected):
    """The vendor does not know the thing asked for (404)."""


class Conflict(Rejected):
    """The vendor already has such a thing, or is in a state that forbids the request (409)."""


class AuthenticationError(VendorError):
    """The vendor refused the credentials, or they are still barred after a refusal (see `clients.auth`)."""


class RateLimited(VendorError):
    """Too many calls. The request had no effect; `retry_after` says when to try again if that is known."""


class VendorUnavailable(VendorError):
    """The vendor could not be reached or could not answer a question. Nothing took effect."""


class CircuitOpenError(VendorUnavailable):
    """Nothing was sent: the vendor did not answer others. `retry_after` says when asking again is worth it."""


class OutcomeUnknown(VendorError):
    """An effect was sent and the answer was lost or a server fault: it may or may not have happened."""
