"""Rotation of credentials in files, without a restart and without a failed job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import text

from clients.errors import AuthenticationError
from sandbox import Sandbox
from tests.testbed.rabbitmq import RabbitMQ
from tests.unit.observability.conftest import MetricDelta, ServiceHarness
from workers.broker.connection import BrokerUnavailable
from workers.broker.publisher import Publisher
from workers.credentials import reloading_secret
from workers.ledger.database import Database, LedgerUnavailable
from workers.redaction import REDACTOR
from workers.settings import load

SECRETS = {
    "KYB_CREDITSAFE__PASSWORD": "sandbox.creditsafe.access.PASSWORD",
    "KYB_DATA8__CLIENT_SECRET": "sandbox.data8.access.PASSWORD",
    "KYB_SAYARI__CLIENT_SECRET": "sandbox.sayari.server.PASSWORD",
}


class Mounted:
    """A secret as Kubernetes mounts it: files are links into a folder that is replaced atomically."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._generation = 0

    def write(self, **secrets: str) -> None:
        self._generation += 1
        generation = self.folder / f"..generation_{self._generation}"
        generation.mkdir()
        for name, secret in secrets.items():
            (generation / name).write_text(f"{secret}\n")
            link = self.folder / name
            if not link.is_symlink():
                link.symlink_to(Path("..data") / name)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(generation.name)
        fresh.replace(self.folder / "..data")


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mounted:
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv("KYB_SECRETS_DIR", str(folder))
    return Mounted(folder)


@pytest.fixture
def rotated(
    mounted: Mounted, vendors: Sandbox, tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ServiceHarness]:
    """Provide a harness whose vendors' secrets come from files."""
    for name in SECRETS:
        monkeypatch.delenv(name)
    mounted.write(**dict.fromkeys(SECRETS, "sandbox"))
    harness = ServiceHarness(vendors, tmp_path, sqlite_url)
    yield harness
    harness.close()


def assert_vendors_accept_credentials(harness: ServiceHarness, id: str) -> None:
    harness.state.faults.clear()
    assert harness.run("data8.start_job", harness.companies(), f"d-{id}").status == "completed"
    assert harness.services.creditsafe.portfolios.list() is not None
    assert harness.services.sayari.projects.list() is not None


def test_clients_use_the_new_secret_when_its_file_changes(
    rotated: ServiceHarness, mounted: Mounted, counted: MetricDelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file changes first, then the vendor, which forgets all tokens: no job fails."""
    assert_vendors_accept_credentials(rotated, "before")
    mounted.write(**dict.fromkeys(SECRETS, "rotated-secret"))
    assert_vendors_accept_credentials(rotated, "between")
    for place in SECRETS.values():
        monkeypatch.setattr(place, "rotated-secret")
    for client in (rotated.services.creditsafe, rotated.services.data8, rotated.services.sayari):
        client._transport._auth.expired(client._transport._auth.token(client._transport))
    assert_vendors_accept_credentials(rotated, "after")
    for vendor in ("creditsafe", "data8", "sayari"):
        assert counted("kyb_token_refreshes_total", vendor=vendor, outcome="granted") == 2
        assert counted("kyb_token_refreshes_total", vendor=vendor, outcome="refused") == 0
    assert "rotated-secret" not in REDACTOR.text("it is rotated-secret")


def test_client_recovers_when_the_vendor_rotates_before_the_file(
    rotated: ServiceHarness, mounted: Mounted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused credentials are locked out; a changed secret is tried at once."""
    for place in SECRETS.values():
        monkeypatch.setattr(place, "rotated-secret")
    calls = rotated.state.calls
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            rotated.services.data8.jobs.list()
    assert calls["data8.token"] == 1
    mounted.write(**dict.fromkeys(SECRETS, "wrong again"))
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            rotated.services.data8.jobs.list()
    assert calls["data8.token"] == 2
    mounted.write(**dict.fromkeys(SECRETS, "rotated-secret"))
    rotated.services.data8.jobs.list()


def test_secret_reloads_only_when_it_came_from_a_file(
    mounted: Mounted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    mounted.write(
        kyb_data8__client_id="me", KYB_DATA8__CLIENT_SECRET="first", KYB_LEDGER_URL="sqlite:///a.db"
    )
    monkeypatch.setenv("KYB_LEDGER_URL", "sqlite:///b.db")
    settings = load(_env_file=None)
    assert settings.data8 is not None
    assert settings.data8.client_id == "me"
    secret = reloading_secret("KYB_DATA8__CLIENT_SECRET", settings.data8.client_secret)
    ledger = reloading_secret("KYB_LEDGER_URL", settings.ledger_url)
    assert (secret(), ledger()) == ("first", "sqlite:///b.db")
    mounted.write(KYB_DATA8__CLIENT_SECRET="second", KYB_LEDGER_URL="sqlite:///c.db")
    assert (secret(), ledger()) == ("second", "sqlite:///b.db")
    (mounted.folder / "KYB_DATA8__CLIENT_SECRET").unlink()
    assert secret() == "second"


def test_publisher_reconnects_when_the_rabbitmq_password_changes(rabbitmq: RabbitMQ, amqp_url: str) -> None:
    vhost = amqp_url.rpartition("/")[2]
    password = "first"

    def user() -> None:
        api = rabbitmq._vhosts._api
        api.put("/users/rotating", json={"password": password, "tags": ""}).raise_for_status()
        api.put(
            f"/permissions/{vhost}/rotating", json={"configure": ".*", "write": ".*", "read": ".*"}
        ).raise_for_status()

    user()
    publisher = Publisher(lambda: f"amqp://rotating:{password}@127.0.0.1:{rabbitmq.port}/{vhost}")
    assert publisher.queue_depth("kyb.data8") == 0
    publisher.close()
    password = "second"
    with pytest.raises(BrokerUnavailable) as refused:
        publisher.queue_depth("kyb.data8")
    assert "second" not in str(refused.value)
    user()
    assert publisher.queue_depth("kyb.data8") == 0
    publisher.close()
    httpx.delete(
        f"http://127.0.0.1:{rabbitmq.management_port}/api/users/rotating",
        auth=("guest", "guest"),
        trust_env=False,
    ).raise_for_status()


def test_ledger_reconnects_when_its_user_changes(postgres_url: str) -> None:
    names = ["postgres"]
    base, _, rest = postgres_url.partition("postgres@")
    database = Database(lambda: f"{base}{names[-1]}@{rest}", 2)
    with database.read() as connection:
        assert connection.scalar(text("SELECT current_user")) == "postgres"
        connection.invalidate()
    names.append("unknown_role")
    with pytest.raises(LedgerUnavailable), database.read():
        pass
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("CREATE ROLE rotated LOGIN")
    names.append("rotated")
    with database.read() as connection:
        assert connection.scalar(text("SELECT current_user")) == "rotated"
    database.close()
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("DROP ROLE rotated")
