"""No secret in a log line, an event, a row of the ledger, an exception, a repr or the list of processes."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.errors import VendorError
from sandbox import Sandbox
from sandbox.core import Fault
from tests.security.conftest import MARK, SECRETS, TOKEN, Installation
from tests.support.waiting import wait_until
from workers.engine.client_factory import build_services
from workers.engine.registry import Services
from workers.ledger.database import Database
from workers.settings import SettingsError, load

ENTITIES = {"entities": [{"name": ["Nobody"]}]}
COMMANDS: dict[str, dict[str, Any]] = {
    "data8.start_job": {"workflow": "Echo"},
    "sayari.resolve_entities": ENTITIES,
    "creditsafe.run_matching": {"portfolio_id": "123"},
}
#: The credentials that each vendor receives and may repeat: the secret, its form encoding and the token.
CREDENTIALS = {
    "creditsafe": (SECRETS["KYB_CREDITSAFE__PASSWORD"], "creditsafe%2Bmarked%2Fsecret", TOKEN),
    "data8": (SECRETS["KYB_DATA8__CLIENT_SECRET"], "data8%2Bmarked%2Fsecret", TOKEN),
    "sayari": (SECRETS["KYB_SAYARI__CLIENT_SECRET"], "sayari%2Bmarked%2Fsecret", f"sk_test_{TOKEN}"),
}


def echo(vendor: str, *, token: bool = True, **fault: Any) -> Fault:
    """Return a fault whose response repeats all credentials in every field that errors quote."""
    secret, spelled, bearer = CREDENTIALS[vendor]
    words = [f"You sent {secret}", f"client_secret={spelled}&x"] + [f"Bearer {bearer}"] * token
    body = {"message": words[0], "title": words[1], "messages": words, "errors": {"field": words}}
    return Fault("status", body=json.dumps(body), **fault)


def assert_secrets_stay_inside(installation: Installation) -> None:
    for place in (installation.log(), installation.rows()):
        assert MARK not in place


def test_secrets_stay_inside_when_jobs_complete_or_fail(
    installation: Installation, marked_sandbox: Sandbox
) -> None:
    """One job completes, one fails at the vendor, and one is refused with the secrets in the error."""
    (installation.folder / "companies.csv").write_text("name\nAcme\n")
    marked_sandbox.state.faults["data8.jobs.get"].append(echo("data8", status=500))
    marked_sandbox.state.faults["sayari.projects.create"].append(echo("sayari", status=400))
    worker = installation.start()
    data = COMMANDS | {
        "data8.start_job": {
            "workflow": "Echo",
            "inputs": {"Companies": {"file": str(installation.folder / "companies.csv")}},
        }
    }
    jobs = {type_: f"job-{number}" for number, type_ in enumerate(data)}
    for type_, id_ in jobs.items():
        installation.submit(id_, type_, data[type_])
    ended = {type_: installation.ended(id_) for type_, id_ in jobs.items()}
    assert ended["data8.start_job"].status == "completed"
    assert ended["data8.start_job"].retries == 1
    refused = ended["sayari.resolve_entities"].error
    assert refused is not None
    assert refused["code"] == "vendor_rejected"
    assert "[redacted]" in refused["detail"]
    text = Path(f"/proc/{worker.pid}/cmdline").read_bytes()
    assert b"workers.cli.main" in text
    assert MARK.encode() not in text
    assert_secrets_stay_inside(installation)
    assert "vendor call" in installation.log()  # so there were debug lines to search


def test_secrets_stay_inside_when_credentials_are_refused(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for vendor in ("creditsafe.access", "data8.access", "sayari.server"):
        monkeypatch.setattr(f"sandbox.{vendor}.PASSWORD", "another")
    installation.start()
    for number, (type_, data) in enumerate(COMMANDS.items()):
        installation.submit(f"job-{number}", type_, data)
    for number in range(len(COMMANDS)):
        error = installation.ended(f"job-{number}").error
        assert error is not None
        assert error["code"] == "vendor_auth"
    assert_secrets_stay_inside(installation)


@pytest.mark.parametrize(
    "environment",
    [
        {"KYB_BROKER_URL": "amqp://kyb:marked@127.0.0.1:1"},
        {"KYB_BROKER_URL": "amqps://kyb:marked@127.0.0.1:1/%2f;amqp://kyb:marked@127.0.0.1:2"},
        {"KYB_LEDGER_URL": "postgresql://kyb:marked@127.0.0.1:1/kyb"},
        {"KYB_LEDGER_URL": "postgresql://kyb:marked@127.0.0.1:notaport/kyb"},
        {"KYB_BROKER_URL": "marked://nowhere"},
        {"KYB_DATA8__CLIENT_SECRET": "marked", "KYB_DATA8__TIMEOUT": "soon"},
        {"KYB_DATA8": '{"client_secret": "marked", '},
    ],
)
def test_secrets_stay_inside_when_a_server_is_unavailable_or_a_setting_invalid(
    installation: Installation, environment: dict[str, str]
) -> None:
    if "KYB_DATA8" in environment:
        for name in [name for name in installation.environment if name.startswith("KYB_DATA8__")]:
            del installation.environment[name]
    installation.environment |= environment
    worker = installation.start()

    def has_exited_or_logged() -> bool | None:
        return True if worker.poll() is not None or "broker unavailable" in installation.log() else None

    wait_until(has_exited_or_logged)
    assert installation.log()
    assert MARK not in installation.log()


CALLS: dict[str, Callable[[Any], object]] = {
    "creditsafe.portfolios.get": lambda services: services.creditsafe.portfolios.get("1"),
    "data8.jobs.get": lambda services: services.data8.jobs.get("job"),
    "sayari.projects.get": lambda services: services.sayari.projects.get("p"),
}
TOKENS = {"creditsafe": "creditsafe.authenticate", "data8": "data8.token", "sayari": "sayari.auth.token"}


@pytest.fixture
def services(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The clients that a worker has."""
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    built = build_services(load(), installation.ledger)
    yield built
    built.close()


@pytest.mark.parametrize("status", [400, 401, 404, 409, 429, 500])
@pytest.mark.parametrize("operation", CALLS)
@pytest.mark.parametrize("at_token", [False, True])
def test_secrets_are_redacted_when_a_vendor_repeats_them(
    services: Services, marked_sandbox: Sandbox, operation: str, status: int, at_token: bool
) -> None:
    """The secrets are redacted from every response to a call or token request; the rest of the text is kept."""
    vendor = operation.partition(".")[0]
    failing_operation = TOKENS[vendor] if at_token else operation
    fault = echo(vendor, token=not at_token, times=2, status=status)
    marked_sandbox.state.faults[failing_operation].append(fault)
    for _ in range(2):  # a refusal of the credentials is remembered and raised again
        with pytest.raises(VendorError) as raised:
            CALLS[operation](services)
        error = raised.value
        assert MARK not in "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
        assert error.detail is not None
        assert "You sent [redacted]" in error.detail
        if fault.times <= 0:
            break


def test_reprs_contain_no_secret_when_settings_do(services: Services) -> None:
    settings = load()
    for text in (
        settings,
        services,
        services.creditsafe,
        services.data8,
        services.sayari,
        services.data8._transport,
    ):
        assert MARK not in f"{text!r} {text!s}"
    assert MARK not in settings.model_dump_json()
    assert MARK not in repr(Database("postgresql://kyb:marked@127.0.0.1:1/kyb").engine)


def test_settings_error_contains_no_value_when_a_setting_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KYB_DATA8__CLIENT_SECRET", "marked")
    with pytest.raises(SettingsError) as raised:
        load()
    assert "KYB_DATA8__CLIENT_ID" in str(raised.value)
    assert MARK not in "".join(traceback.format_exception(raised.value))
