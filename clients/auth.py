"""Bearer tokens: fetched once, shared by all threads and renewed before they expire.

Vendors lock accounts after a few refused attempts. After a refusal the process therefore locks the credentials out:
for 60 s at first, doubling to 15 min. Meanwhile no thread makes a call, unless the credentials have changed. A vendor
that refuses a token which it has just issued refuses the credentials too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clients.errors import AuthenticationError
from clients.transport import Transport

#: A credential, or a function that returns its present value; it is called for each token.
Credential = str | Callable[[], str]

LOCKOUT_INITIAL_SECONDS = 60.0
LOCKOUT_MAX_SECONDS = 900.0


def current_value(credential: Credential) -> str:
    """Return the present value of a credential."""
    return credential if isinstance(credential, str) else credential()


@dataclass(frozen=True)
class Token:
    """A bearer token, and the seconds from now for which it may be used."""

    value: str
    lifetime: float


class TokenAuth:
    """Source of one token, which is renewed before it expires.

    Args:
        fetch: requests a token from the vendor (one call). Raises `AuthenticationError`.
        clock: monotonic seconds.
        credentials: the credentials of `fetch`; the lockout ends when they change.
    """

    def __init__(
        self,
        fetch: Callable[[Transport], Token],
        clock: Callable[[], float] = time.monotonic,
        credentials: Sequence[Credential] = (),
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._credentials = credentials
        self._used: list[str] = []
        self._refused: list[str] = []
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._renew_at = 0.0
        self._locked_out_until = 0.0
        self._lockout_seconds = LOCKOUT_INITIAL_SECONDS
        self._refusal: AuthenticationError | None = None
        self._token_was_refused = False

    def token(self, transport: Transport) -> str:
        """Return a token that is valid now. Raises `AuthenticationError` at once during a lockout."""
        with self._lock:
            if self._token is None or self._clock() >= self._renew_at:
                self._token = self._renewed(transport)
                self._renew_at = self._clock() + self._token.lifetime
            return self._token.value

    def renew(self, transport: Transport) -> str:
        """Fetch and return a new token, which `token` returns from then on. Raises `AuthenticationError` as `token` does."""
        with self._lock:
            self._token = None
        return self.token(transport)

    def expired(self, token: str) -> None:
        """Discard `token`, unless another thread has fetched a newer one."""
        with self._lock:
            if self._token is not None and self._token.value == token:
                self._token = None

    def refused(self, token: str, refusal: AuthenticationError) -> None:
        """Lock the credentials out: `token` was refused, and so was the one before it."""
        with self._lock:
            if self._token is not None and self._token.value == token:
                self._token = None
                self._lock_out(refusal, of_token=True)

    def _renewed(self, transport: Transport) -> Token:
        remaining = self._locked_out_until - self._clock()
        self._used = [current_value(credential) for credential in self._credentials]
        if remaining > 0 and self._refusal is not None and self._used == self._refused:
            raise AuthenticationError(
                self._refusal.vendor,
                self._refusal.operation,
                f"credentials were refused; not tried again for {remaining:.0f} s",
                status=self._refusal.status,
                detail=self._refusal.detail,
                retry_after=remaining,
            )
        try:
            token = self._fetch(transport)
        except AuthenticationError as refusal:
            self._lock_out(refusal, of_token=False)
            raise
        if not self._token_was_refused:
            self._lockout_seconds = LOCKOUT_INITIAL_SECONDS
        return token

    def _lock_out(self, refusal: AuthenticationError, *, of_token: bool) -> None:
        """Lock the credentials out and double the next lockout.

        A freshly issued token does not reset the lockout if the last token was refused too; only elapsed time does.
        """
        now = self._clock()
        if self._token_was_refused and now - self._locked_out_until > LOCKOUT_MAX_SECONDS:
            self._lockout_seconds = LOCKOUT_INITIAL_SECONDS
        self._token_was_refused = of_token
        self._refusal, self._refused = refusal, self._used
        self._locked_out_until = now + self._lockout_seconds
        self._lockout_seconds = min(self._lockout_seconds * 2, LOCKOUT_MAX_SECONDS)
