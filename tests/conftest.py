"""Real servers for every test: RabbitMQ, PostgreSQL, SQLite, S3, SFTP and the vendors' simulators.

`KYB_TEST_RABBITMQ_URL` and `KYB_TEST_POSTGRES_URL` name servers to use instead of our own. With pytest-xdist all
processes share one RabbitMQ and one PostgreSQL; a test that stops or kills one asks for a private server.

Markers are set here: `services` for tests that need one of these servers, so that `make test-fast` leaves them out.
`long` marks tests that `make test` leaves out and `make test-long` runs.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest

from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.testbed import environment
from tests.testbed.certificates import Authority, Tls
from tests.testbed.ledgers import PostgresLedgers, ledger_at
from tests.testbed.openssh import OpenSSH
from tests.testbed.postgres import Databases, Postgres
from tests.testbed.rabbitmq import RabbitMQ, Vhosts
from tests.testbed.seaweedfs import SeaweedFS
from tests.testbed.server import Missing
from tests.testbed.shared import SharedServers

RABBITMQ_URL = os.environ.get("KYB_TEST_RABBITMQ_URL")
POSTGRES_URL = os.environ.get("KYB_TEST_POSTGRES_URL")

S = TypeVar("S")

_SERVERS = pytest.StashKey[SharedServers]()
_SERVICE_FIXTURES = {
    "amqp_url", "empty_postgres_url", "frail_rabbitmq", "postgres", "postgres_url", "rabbitmq", "s3", "sftp",
}  # fmt: skip
#: Values of parameters by which tests choose one of these fixtures.
_SERVICE_PARAMETERS = {"postgres", "postgresql", "rabbitmq", "s3", "sftp"}
#: Seconds of the longest tests, by file and function: they begin first, so that no process ends long after the others.
LONGEST: dict[str, int] = {
    "test_compose.py::test_job_completes_when_run_with_the_compose_settings": 60,
    "test_probes.py::test_readiness_follows_servers_that_hang_die_and_return": 50,
    "test_broker_outage.py::test_link_and_publisher_recover_when_the_broker_is_killed_or_wiped": 43,
    "test_publisher.py::test_publisher_loses_no_confirmed_message_when_connections_are_cut": 26,
    "test_worker.py::test_dead_child_is_replaced_and_its_siblings_continue": 24,
    "test_scale_to_zero.py::test_due_turns_are_dispatched_when_the_vendors_workers_are_scaled_to_zero": 20,
    "test_every_boundary.py::test_distributed_worker_completes_the_job_when_killed_at_a_boundary": 19,
    "test_personal_data_stays_inside.py::test_file_contents_stay_inside_when_jobs_complete_despite_faults": 18,
    "test_demo.py::test_demo_ends_cleanly_when_it_is_interrupted": 17,
    "test_restored_installation.py::test_every_job_ends_without_repeated_effects_when_a_dump_is_restored": 16,
}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The certificate authority of the tests' servers and clients."""
    return Authority(tmp_path_factory.mktemp("tls") / "authority")


@pytest.fixture(scope="session")
def server_tls(authority: Authority) -> Tls:
    """The certificate and key of the tests' servers."""
    return authority.issue("127.0.0.1")


@pytest.fixture(scope="session")
def rabbitmq(server_tls: Tls) -> Iterator[RabbitMQ]:
    """A RabbitMQ node of this process that also listens with TLS; no test stops it."""
    with closing(require(lambda: RabbitMQ(tls=server_tls))) as node:
        node.start()
        yield node


@pytest.fixture
def frail_rabbitmq() -> Iterator[RabbitMQ]:
    """A RabbitMQ node of this test, which it may stop, kill or wipe.

    RabbitMQ 3.10 does not recover from a restart soon after virtual hosts with quorum queues were deleted, as
    they are between tests.
    """
    with closing(require(RabbitMQ)) as node:
        node.start()
        yield node


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster of this process, for tests that stop or kill it. They leave it running."""
    with closing(require(Postgres)) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture(scope="session")
def s3() -> Iterator[SeaweedFS]:
    """An S3 server of this process; no test stops it."""
    with closing(require(SeaweedFS)) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def sftp() -> Iterator[OpenSSH]:
    """An SFTP server of this process; no test stops it."""
    with closing(require(OpenSSH)) as server:
        server.start()
        yield server


@pytest.fixture(scope="session")
def shared_virtual_hosts(request: pytest.FixtureRequest) -> Iterator[RabbitMQ | Vhosts]:
    """The RabbitMQ of all test processes: the environment's, the controller's, or else this process's."""
    shared = _shared_servers(request.config)
    if RABBITMQ_URL is None and "rabbitmq_url" not in shared:
        yield request.getfixturevalue("rabbitmq")
        return
    port = shared.get("rabbitmq_management_port", "15672")
    with closing(Vhosts(RABBITMQ_URL or shared["rabbitmq_url"], int(port))) as broker:
        broker.await_ready()
        yield broker


@pytest.fixture
def virtual_hosts(request: pytest.FixtureRequest) -> RabbitMQ | Vhosts:
    """The server of the test's virtual hosts: `rabbitmq` if the test uses that."""
    private = "rabbitmq" in request.fixturenames
    broker: RabbitMQ | Vhosts = request.getfixturevalue("rabbitmq" if private else "shared_virtual_hosts")
    return broker


@pytest.fixture
def amqp_url(virtual_hosts: RabbitMQ | Vhosts) -> Iterator[str]:
    """The URL of a RabbitMQ virtual host for this test alone."""
    url = virtual_hosts.fresh_url()
    yield url
    virtual_hosts.drop(url)


@pytest.fixture(scope="session")
def shared_ledgers(request: pytest.FixtureRequest) -> PostgresLedgers:
    """The PostgreSQL of all test processes: the environment's, the controller's, or else this process's."""
    url = POSTGRES_URL or _shared_servers(request.config).get("postgres_url")
    if url is None:
        return PostgresLedgers(request.getfixturevalue("postgres"))
    server = Databases(url)
    server.await_ready()
    return PostgresLedgers(server)


@pytest.fixture
def ledgers(request: pytest.FixtureRequest) -> PostgresLedgers:
    """The server of the test's databases: `postgres` if the test uses that."""
    private = "postgres" in request.fixturenames
    return (
        PostgresLedgers(request.getfixturevalue("postgres"))
        if private
        else request.getfixturevalue("shared_ledgers")
    )


@pytest.fixture
def postgres_url(ledgers: PostgresLedgers) -> Iterator[str]:
    """The URL of a migrated PostgreSQL ledger for this test alone."""
    url = ledgers.fresh_url()
    yield url
    ledgers.server.drop(url)


@pytest.fixture
def empty_postgres_url(ledgers: PostgresLedgers) -> Iterator[str]:
    """The URL of an empty PostgreSQL database for this test alone."""
    url = ledgers.server.fresh_url()
    yield url
    ledgers.server.drop(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a migrated SQLite ledger for this test alone."""
    return ledger_at(tmp_path / "ledger.db")


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The vendors' simulators, with jobs that end soon."""
    with Sandbox(state=SandboxState(job_seconds=0.3, queue_seconds=0.05)) as sandbox:
        yield sandbox


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the process, and start the shared servers if it controls others.

    Ctrl-C must reach the programs that tests start, also when a shell runs the tests in the background. Property
    tests use the same examples each time where `CI` is set, and new ones elsewhere. None of them fails because the
    machine is busy.
    """
    environment.lighten()
    hypothesis.settings.register_profile(
        "kyb",
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=[hypothesis.HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("kyb")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    controls_others = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    if controls_others and not config.option.collectonly and "not services" not in config.option.markexpr:
        servers = require(SharedServers)
        config.stash[_SERVERS] = servers
        config.add_cleanup(servers.close)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the addresses of the shared servers to a test process."""
    servers = node.config.stash.get(_SERVERS, None)
    if servers is not None:
        node.workerinput["shared_servers"] = servers.addresses()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that need a server, and let the longest begin first."""
    for item in items:
        if _needs_servers(item):
            item.add_marker("services")
    items.sort(key=lambda item: -LONGEST.get(item.nodeid.partition("[")[0].rpartition("/")[2], 0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the `summary` properties of tests at the end of the run."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == "summary":
                    terminalreporter.write_line(value)


def require(server: Callable[[], S]) -> S:
    """Return the server. If it is not installed, the session fails: no test is skipped."""
    try:
        return server()
    except Missing as error:
        if "PYTEST_XDIST_WORKER" in os.environ:  # there, an exit reads as a crash and the message is lost
            pytest.fail(str(error), pytrace=False)
        pytest.exit(str(error), returncode=1)


def _shared_servers(config: pytest.Config) -> dict[str, str]:
    shared: dict[str, str] = getattr(config, "workerinput", {}).get("shared_servers", {})
    return shared


def _needs_servers(item: pytest.Item) -> bool:
    """Return whether the test uses a server's fixture, by name or by a parameter that names one."""
    if not isinstance(item, pytest.Function):
        return False
    parameters = set(map(str, item.callspec.params.values())) if hasattr(item, "callspec") else set()
    return not _SERVICE_FIXTURES.isdisjoint(item.fixturenames) or not _SERVICE_PARAMETERS.isdisjoint(
        parameters
    )
