from __future__ import annotations

import pytest

from clients.auth import LOCKOUT_INITIAL_SECONDS, LOCKOUT_MAX_SECONDS, Token, TokenAuth
from clients.errors import (
    AuthenticationError,
)
from clients.transport import Transport


def test_lockout_doubles_when_credentials_are_refused_and_resets_when_accepted() -> None:
    now = [0.0]
    asked: list[float] = []
    refuse = [True]

    def fetch(_: Transport) -> Token:
        asked.append(now[0])
        if refuse[0]:
            raise AuthenticationError("data8", "token", "credentials refused", status=400)
        return Token("token", 10)

    auth = TokenAuth(fetch, clock=lambda: now[0])
    transport = Transport("data8", "http://127.0.0.1:1", auth)
    lockouts = []
    for _ in range(6):
        with pytest.raises(AuthenticationError):
            auth.token(transport)
        with pytest.raises(AuthenticationError, match="not tried again") as locked_out:
            auth.token(transport)
        assert locked_out.value.retry_after is not None
        lockouts.append(locked_out.value.retry_after)
        now[0] += lockouts[-1]
    assert lockouts == [LOCKOUT_INITIAL_SECONDS, 120, 240, 480, LOCKOUT_MAX_SECONDS, LOCKOUT_MAX_SECONDS]
    assert len(asked) == 6
    refuse[0] = False
    assert auth.token(transport) == "token"
    refuse[0] = True
    now[0] += 11
    with pytest.raises(AuthenticationError):
        auth.token(transport)
    with pytest.raises(AuthenticationError) as locked_out:
        auth.token(transport)
    assert locked_out.value.retry_after == LOCKOUT_INITIAL_SECONDS
    transport.close()


def test_lockout_doubles_when_fresh_tokens_are_refused() -> None:
    """Another token is no sign that the credentials are good again; only time without a refusal is."""
    now = [0.0]
    auth = TokenAuth(lambda _: Token(f"token {now[0]}", 10), clock=lambda: now[0])
    transport = Transport("data8", "http://127.0.0.1:1", auth)
    refusal = AuthenticationError("data8", "jobs.list", "token refused twice", status=401)

    def lockout() -> float:
        auth.refused(auth.token(transport), refusal)
        auth.refused("an older one, from another thread", refusal)
        with pytest.raises(AuthenticationError, match="not tried again") as locked_out:
            auth.token(transport)
        now[0] += locked_out.value.retry_after or 0.0
        return locked_out.value.retry_after or 0.0

    assert [lockout() for _ in range(6)] == [
        LOCKOUT_INITIAL_SECONDS,
        120,
        240,
        480,
        LOCKOUT_MAX_SECONDS,
        LOCKOUT_MAX_SECONDS,
    ]
    now[0] += LOCKOUT_MAX_SECONDS + 1
    assert lockout() == LOCKOUT_INITIAL_SECONDS
    transport.close()
