"""TLS to RabbitMQ and PostgreSQL: both are verified, both verify us, and what is wrong is said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox import Sandbox
from tests.conftest import require
from tests.support.cli import Kyb, kyb_process
from tests.support.waiting import wait_for_line
from tests.testbed.certificates import Authority, Tls
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ


@dataclass(frozen=True)
class Guarded:
    """Servers that want a client certificate, one that they take, and others."""

    amqp_port: int
    postgres_port: int
    ours: Tls
    others: Tls

    def broker(self, host: str = "127.0.0.1", **files: Path) -> str:
        query = "&".join(f"{name}={path}" for name, path in files.items())
        return f"amqps://guest:guest@{host}:{self.amqp_port}/?{query}"

    def ledger(self, host: str = "127.0.0.1", **files: Path) -> str:
        query = "".join(f"&{name}={path}" for name, path in files.items())
        return f"postgresql://postgres@{host}:{self.postgres_port}/postgres?sslmode=verify-full{query}"


@pytest.fixture(scope="module")
def guarded(
    authority: Authority, server_tls: Tls, rabbitmq: RabbitMQ, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    ours = authority.issue("kyb-worker")
    others = Authority(tmp_path_factory.mktemp("tls") / "others").issue("kyb-worker")
    with closing(require(lambda: Postgres(tls=server_tls))) as postgres:
        postgres.start()
        assert rabbitmq.tls_port is not None
        yield Guarded(rabbitmq.tls_port, postgres.port, ours, others)


def test_a_worker_serves_over_tls(
    guarded: Guarded, vendors: Sandbox, kyb: Kyb, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = guarded.ours
    broker = guarded.broker(cacertfile=ours.ca, certfile=ours.certificate, keyfile=ours.key)
    ledger = guarded.ledger(sslrootcert=ours.ca, sslcert=ours.certificate, sslkey=ours.key)
    monkeypatch.setenv("KYB_BROKER_URL", broker)
    monkeypatch.setenv("KYB_LEDGER_URL", ledger)
    assert kyb("ledger", "upgrade").code == 0
    with kyb_process("worker") as worker:
        wait_for_line(worker.stderr, '"consuming"')
        done = kyb("submit", "job.cancel", "--job-id", "nobody", "--wait")
        assert (done.code, "there is no job nobody" in done.err) == (1, True)
        worker.terminate()
        assert worker.wait(30) == 0


@pytest.mark.parametrize("server", ["broker", "ledger"])
@pytest.mark.parametrize("wrong", ["authority", "host", "no certificate", "their certificate"])
def test_what_is_wrong_is_said_in_one_line(
    guarded: Guarded, kyb: Kyb, monkeypatch: pytest.MonkeyPatch, server: str, wrong: str
) -> None:
    names = {"broker": ("cacertfile", "certfile", "keyfile"), "ledger": ("sslrootcert", "sslcert", "sslkey")}[
        server
    ]
    shown = guarded.others if wrong == "their certificate" else guarded.ours
    ca = guarded.others.ca if wrong == "authority" else guarded.ours.ca
    files = dict(zip(names, (ca, shown.certificate, shown.key), strict=True))
    if wrong == "no certificate":
        del files[names[1]], files[names[2]]
    url = getattr(guarded, server)("localhost" if wrong == "host" else "127.0.0.1", **files)
    monkeypatch.setenv(f"KYB_{server.upper()}_URL", url)
    ended = kyb("dlq", "list") if server == "broker" else kyb("jobs", "list")
    said = {
        ("broker", "authority"): "its certificate is refused: self-signed certificate in certificate chain",
        ("broker", "host"): "Hostname mismatch, certificate is not valid for 'localhost'",
        ("broker", "no certificate"): "it wants a certfile, or another one",
        ("broker", "their certificate"): "it wants a certfile, or another one",
        ("ledger", "authority"): "certificate verify failed",
        ("ledger", "host"): 'does not match host name "localhost"',
        ("ledger", "no certificate"): "connection requires a valid client certificate",
        ("ledger", "their certificate"): "alert",
    }[server, wrong]
    assert (ended.code, ended.out) == (3, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqps://a:b@c/?cacertfile=/nowhere.pem", "cacertfile: cannot be used (No such file or directory)"),
        ("amqps://a:b@c/?keyfile=/nowhere.pem", "keyfile: needs certfile beside it"),
        ("amqps://a:b@c/?certfile=/etc/hostname", "certfile, keyfile: cannot be used (holds no such thing)"),
        ("amqp://a:b@c/?cacertfile=/nowhere.pem", "cacertfile: only for amqps://"),
        ("amqp://a@c/", "must look like amqp://user:password@host:5672/vhost"),
    ],
)
def test_files_that_cannot_be_used_are_wrong_settings(
    kyb: Kyb, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("KYB_BROKER_URL", url)
    for command in (["worker"], ["dlq", "list"]):
        ended = kyb(*command)
        assert (ended.code, ended.err) == (2, f"kyb: KYB_BROKER_URL: {said}\n")
