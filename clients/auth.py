"""Tokens: fetched once, shared by all threads, renewed before they expire, never begged for.

Vendors lock accounts after a few refused attempts. A refusal therefore bars the credentials for a while:
60 s at first, doubling to 15 min, for every thread of the process; in that time no call is made, unless the
credentials have been changed meanwhile. A token that is refused although it was just fetched is a refusal too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clients.errors import AuthenticationError
from clients.transport import Transport

#: A credential, or what gives the one that holds now: it is asked for each token.
Credential = str | Callable[[], str]

LOCKOUT_INITIAL_SECONDS = 60.0
LOCKOUT_MAX_SECONDS = 900.0


def current_value(credential: Credential) -> str:
    """The credential that holds now."""
    return credential if isinstance(credential, str) else credential()


@dataclass(frozen=True)
class Token:
    """A bearer token and for how many seconds it may be used from now on."""

    value: str
    lifetime: float


class TokenAuth:
    """Keeps one token alive.

    Args:
        fetch: asks the vendor for a token (one call). Raises `AuthenticationError`.
        clock: monotonic seconds.
        credentials: those that `fetch` uses; others than the refused ones are not barred.
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
        """A token that is valid now. Raises `AuthenticationError` at once while the credentials are barred."""
        with self._lock:
            if self._token is None or self._clock() >= self._renew_at:
                self._token = self._renewed(transport)
                self._renew_at = self._clock() + self._token.lifetime
            return self._token.value

    def renew(self, transport: Transport) -> str:
        """A token fetched just now, which `token` gives from here on. Raises `AuthenticationError` as `token` does."""
        with self._lock:
            self._token = None
        return self.token(transport)

    def expired(self, token: str) -> None:
        """Forget `token`, unless another thread already has a newer one."""
        with self._lock:
            if self._token is not None and self._token.value == token:
                self._token = None

    def refused(self, token: str, refusal: AuthenticationError) -> None:
        """Bar the credentials: `token` was refused, and so was the one before it."""
        with self._lock:
            if self._token is not None and self._token.value == token:
                self._token = None
                self._lock_out(refusal, of_token=True)

    def _renewed(self, transport: Transport) -> Token:
        left = self._locked_out_until - self._clock()
        self._used = [current_value(credential) for credential in self._credentials]
        if left > 0 and self._refusal is not None and self._used == self._refused:
            raise AuthenticationError(
                self._refusal.vendor,
                self._refusal.operation,
                f"credentials were refused; not tried again for {left:.0f} s",
                status=self._refusal.status,
                detail=self._refusal.detail,
                retry_after=left,
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
        """Bar for longer than before. Where tokens were refused, another one is no sign of betterment: time is."""
        now = self._clock()
        if self._token_was_refused and now - self._locked_out_until > LOCKOUT_MAX_SECONDS:
            self._lockout_seconds = LOCKOUT_INITIAL_SECONDS
        self._token_was_refused = of_token
        self._refusal, self._refused = refusal, self._used
        self._locked_out_until = now + self._lockout_seconds
        self._lockout_seconds = min(self._lockout_seconds * 2, LOCKOUT_MAX_SECONDS)
