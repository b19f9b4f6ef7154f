"""What the clients make of every kind of error answer, of every vendor, for questions and for effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from clients.errors import (
    AuthenticationError,
    Conflict,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    VendorError,
    VendorUnavailable,
)
from sandbox import Sandbox
from sandbox.core import Fault
from tests.conformance.clients_of import VENDORS, connect

HTML = "<html><body><h1>Bad gateway</h1> upstream of records of Ada Lovelace</body></html>"


class Answer(NamedTuple):
    """An answer, and the error that it is: of a question, and of an effect if that is another."""

    title: str
    fault: dict[str, Any]
    question: type[VendorError]
    effect: type[VendorError]
    status: int | None = None
    retry_after: float | None = None


def status(
    status: int, question: type[VendorError], effect: type[VendorError] | None = None, **fault: Any
) -> Answer:
    title = " ".join([str(status), *(f"{name}={value!r:.9}" for name, value in fault.items())])
    fault = {"kind": "status", "status": status, **fault}
    return Answer(title, fault, question, effect or question, status, fault.get("retry_after"))


ANSWERS = [
    status(400, Rejected),
    status(401, AuthenticationError, times=2),  # the second time with a new token
    status(403, Rejected),
    status(404, NotFound),
    status(405, Rejected),
    status(406, Rejected),
    status(409, Conflict),
    status(413, Rejected),
    status(415, Rejected),
    status(429, RateLimited),
    status(429, RateLimited, retry_after=7.0),
    status(500, VendorUnavailable, OutcomeUnknown),
    status(502, VendorUnavailable, OutcomeUnknown),
    status(503, VendorUnavailable, OutcomeUnknown),
    status(503, VendorUnavailable, retry_after=3.0),  # by its own word it has done nothing
    status(504, VendorUnavailable, OutcomeUnknown),
    status(302, Rejected),
    *(status(code, Rejected, body="") for code in (400, 403)),
    status(404, NotFound, body=HTML),
    status(502, VendorUnavailable, OutcomeUnknown, body=HTML),
    status(500, VendorUnavailable, OutcomeUnknown, body=""),
    status(200, VendorUnavailable, OutcomeUnknown, body=HTML),
    Answer("cut before", {"kind": "lost_before"}, VendorUnavailable, OutcomeUnknown),
    Answer("cut after", {"kind": "lost_after"}, VendorUnavailable, OutcomeUnknown),
]

#: A question and an effect of each vendor.
CALLS: dict[str, dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "creditsafe": {
        "question": ("portfolios.list", lambda c: c.portfolios.list()),
        "effect": ("portfolios.create", lambda c: c.portfolios.create("Suppliers")),
    },
    "data8": {
        "question": ("datasets.list", lambda c: c.datasets.list()),
        "effect": ("client_credentials.create", lambda c: c.client_credentials.create()),
    },
    "sayari": {
        "question": ("projects.list", lambda c: c.projects.list()),
        "effect": ("projects.create", lambda c: c.projects.create("Suppliers")),
    },
}
TOKEN_CALLS = {"creditsafe": "authenticate", "data8": "token", "sayari": "auth.token"}


def words(vendor: str, answer: Answer) -> str | None:
    """What the error repeats of an error body: the vendor's words, nothing of any other body."""
    if answer.fault["kind"] != "status" or "body" in answer.fault:
        return None
    match vendor, answer.status:
        case ("creditsafe", 403):
            return "Access forbidden"
        case ("creditsafe", 429) | ("data8", 401):
            return None
        case ("data8", code):
            title = {400: "Bad Request", 404: "Not Found", 409: "Conflict", 415: "Unsupported Media Type"}
            return f"{title.get(code or 0, 'Error')}; fault on demand"
        case _:
            return "fault on demand"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def clients(sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    made = {vendor: connect(vendor, sandbox) for vendor in VENDORS}
    yield made
    for client in made.values():
        client.close()


@pytest.mark.parametrize("kind", ["question", "effect"])
@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("answer", ANSWERS, ids=[answer.title for answer in ANSWERS])
def test_an_error_answer_is_typed(
    answer: Answer, vendor: str, kind: str, sandbox: Sandbox, clients: dict[str, Any]
) -> None:
    operation, call = CALLS[vendor][kind]
    name = f"{vendor}.{operation}"
    refused = answer.status == 401
    client = connect(vendor, sandbox) if refused else clients[vendor]
    call(client)
    calls, effects = sandbox.state.calls[name], sum(sandbox.state.effects.values())
    sandbox.state.faults[name].append(Fault(**answer.fault))

    with pytest.raises(VendorError) as failed:
        call(client)

    error = failed.value
    assert type(error) is getattr(answer, kind)
    assert (error.vendor, error.operation) == (vendor, operation)
    assert (error.status, error.retry_after) == (answer.status, answer.retry_after)
    assert error.detail == words(vendor, answer)
    assert "Lovelace" not in str(error)
    assert sandbox.state.calls[name] - calls == answer.fault.get("times", 1), "nothing is sent twice"
    happened = kind == "effect" and answer.title == "cut after"
    assert sum(sandbox.state.effects.values()) - effects == happened
    if refused:
        with pytest.raises(AuthenticationError, match="not tried again for 60 s"):
            call(client)
        client.close()
    else:
        call(client)  # it was the answer that was bad, not the client that it left


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_expired_token_is_renewed_and_nobody_notices(
    vendor: str, sandbox: Sandbox, clients: dict[str, Any]
) -> None:
    operation, call = CALLS[vendor]["effect"]
    call(clients[vendor])
    asked = sandbox.state.calls[f"{vendor}.{TOKEN_CALLS[vendor]}"]
    sandbox.state.faults[f"{vendor}.{operation}"].append(Fault("expire"))
    call(clients[vendor])
    assert sandbox.state.calls[f"{vendor}.{TOKEN_CALLS[vendor]}"] == asked + 1


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("fault", "expected", "tries"),
    [
        (Fault("status", status=400), AuthenticationError, 1),
        (Fault("status", status=401), AuthenticationError, 1),
        (Fault("status", status=403), AuthenticationError, 1),
        (Fault("status", status=429, retry_after=5), RateLimited, 2),
        (Fault("status", status=500), VendorUnavailable, 2),
        (Fault("status", status=200, body=HTML), VendorUnavailable, 2),
        (Fault("status", status=200, body="{}"), VendorUnavailable, 2),
        (Fault("lost_before"), VendorUnavailable, 2),
        (Fault("lost_after"), VendorUnavailable, 2),
    ],
    ids=["400", "401", "403", "429", "500", "HTML", "no token", "cut before", "cut after"],
)
def test_without_a_token_nothing_is_sent(
    fault: Fault, expected: type[VendorError], tries: int, vendor: str, sandbox: Sandbox
) -> None:
    """Refused credentials are not tried again, as accounts lock; all else may be."""
    operation, call = CALLS[vendor]["effect"]
    token = f"{vendor}.{TOKEN_CALLS[vendor]}"
    calls, asked = sandbox.state.calls[f"{vendor}.{operation}"], sandbox.state.calls[token]
    client = connect(vendor, sandbox)
    for _ in range(2):
        sandbox.state.faults[token].append(Fault(**vars(fault)))
        with pytest.raises(VendorError) as failed:
            call(client)
        assert type(failed.value) is expected
    assert sandbox.state.calls[token] - asked == tries
    assert sandbox.state.calls[f"{vendor}.{operation}"] == calls
    sandbox.state.faults.clear()
    client.close()
