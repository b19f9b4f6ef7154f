"""Real servers for every test: RabbitMQ, PostgreSQL, SQLite, S3, SFTP and the vendors' stand-ins.

`KYB_TEST_RABBITMQ_URL` and `KYB_TEST_POSTGRES_URL` name servers to use instead of private ones.
With pytest-xdist each worker has servers of its own, so a test may kill them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.testbed import environment
from tests.testbed.certificates import Authority, Tls
from tests.testbed.ledgers import ledger_at
from tests.testbed.openssh import OpenSSH
from tests.testbed.postgres import Databases, Postgres
from tests.testbed.rabbitmq import RabbitMQ, Vhosts
from tests.testbed.seaweedfs import SeaweedFS
from tests.testbed.server import Missing

RABBITMQ_URL = os.environ.get("KYB_TEST_RABBITMQ_URL")
POSTGRES_URL = os.environ.get("KYB_TEST_POSTGRES_URL")

S = TypeVar("S")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs what servers and clients of the tests show."""
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="session")
def server_tls(authority: Authority) -> Tls:
    """What servers show of themselves."""
    return authority.issue("127.0.0.1")


@pytest.fixture(scope="session")
def rabbitmq(server_tls: Tls) -> Iterator[RabbitMQ]:
    """A private RabbitMQ node, shared by all tests, that also speaks TLS; none of them stops it."""
    with closing(private(lambda: RabbitMQ(tls=server_tls))) as node:
        node.start()
        yield node


@pytest.fixture
def frail_rabbitmq() -> Iterator[RabbitMQ]:
    """A node of the test's own, to be stopped, killed or wiped.

    RabbitMQ 3.10 does not get well again from a restart soon after virtual hosts with quorum queues were
    deleted, as they are between tests.
    """
    with closing(private(RabbitMQ)) as node:
        node.start()
        yield node


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A private PostgreSQL cluster, for tests that stop or kill it. They leave it running."""
    with closing(private(Postgres)) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture(scope="session")
def s3() -> Iterator[SeaweedFS]:
    """A private S3 server, shared by all tests."""
    with closing(private(SeaweedFS)) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def sftp() -> Iterator[OpenSSH]:
    """A private SFTP server, shared by all tests; none of them stops it."""
    with closing(private(OpenSSH)) as server:
        server.start()
        yield server


@pytest.fixture
def virtual_hosts(request: pytest.FixtureRequest) -> Iterator[RabbitMQ | Vhosts]:
    """Where the test's virtual hosts are made, emptied and dropped."""
    if not RABBITMQ_URL:
        yield request.getfixturevalue("rabbitmq")
        return
    with closing(Vhosts(RABBITMQ_URL)) as broker:
        yield broker


@pytest.fixture
def amqp_url(virtual_hosts: RabbitMQ | Vhosts) -> Iterator[str]:
    """A RabbitMQ virtual host of the test's own."""
    url = virtual_hosts.fresh_url()
    yield url
    virtual_hosts.drop(url)


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty PostgreSQL database of the test's own."""
    server: Postgres | Databases
    server = Databases(POSTGRES_URL) if POSTGRES_URL else request.getfixturevalue("postgres")
    url = server.fresh_url()
    yield url
    server.drop(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An SQLite ledger of the test's own."""
    return ledger_at(tmp_path / "ledger.db")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The vendors' stand-ins, with jobs that end soon."""
    with Sandbox(state=SandboxState(job_seconds=0.3, queue_seconds=0.05)) as sandbox:
        yield sandbox


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs that tests start, also when a shell runs the tests in the background.

    Property tests try the same examples each time where `CI` is set: what is new is looked for elsewhere. None of
    them fails because the machine has other work.
    """
    environment.lighten()
    hypothesis.settings.register_profile(
        "ours",
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("ours")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Lines that tests want to be read at the end of a run, wherever they ran."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == "summary":
                    terminalreporter.write_line(value)


def private(server: Callable[[], S]) -> S:
    """The server made. Where it is not installed the session fails: no test is left out in silence."""
    try:
        return server()
    except Missing as error:
        if "PYTEST_XDIST_WORKER" in os.environ:  # there, an exit reads as a crash and the message is lost
            pytest.fail(str(error), pytrace=False)
        pytest.exit(str(error), returncode=1)
