"""A private RabbitMQ node: own ports, name, folders, cookie and port mapper (epmd)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.testbed.certificates import Tls
from tests.testbed.server import Broken, Missing, Server, free_port, listening

#: Debian and Red Hat keep the plain scripts here; those in `/usr/sbin` switch to the system's user and folders.
_SCRIPTS = Path("/usr/lib/rabbitmq/bin")

#: RabbitMQ 4 keeps its metadata in Khepri, which writes them to disk by itself.
_IF_MNESIA = "case mnesia:system_info(is_running) of yes ->"

_CONF = """
listeners.tcp.1 = 127.0.0.1:{port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management}
log.console = true
log.console.level = warning
log.file = false
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 512MiB
raft.wal_max_size_bytes = 16777216
"""

_TLS_CONF = """
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {tls.ca}
ssl_options.certfile = {tls.certificate}
ssl_options.keyfile = {tls.key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
"""


@dataclass(frozen=True)
class Programs:
    """The folder of `rabbitmq-server` and `rabbitmqctl`, and that of Erlang where it is not the system's."""

    scripts: Path
    erlang: Path | None = None

    @property
    def path(self) -> str:
        """The search path for programs."""
        first = [str(self.erlang)] if self.erlang else []
        return ":".join([*first, os.environ["PATH"], "/usr/sbin:/usr/bin:/bin"])


def programs() -> Programs:
    """Return the system's programs, or those of the version in `KYB_TEST_RABBITMQ_VERSION`.

    Raises:
        Missing: there are none.
    """
    wanted = os.environ.get("KYB_TEST_RABBITMQ_VERSION")
    if wanted:
        from tests.testbed import rabbitmq4  # noqa: PLC0415 - it needs this module

        return rabbitmq4.programs(wanted)
    if (_SCRIPTS / "rabbitmq-server").exists():
        return Programs(_SCRIPTS)
    server = shutil.which("rabbitmq-server")
    if server is None or shutil.which("epmd") is None:
        raise Missing(
            "the tests need RabbitMQ: install the package rabbitmq-server (3.10 or later),"
            " or set KYB_TEST_RABBITMQ_URL to one with its management plugin on port 15672"
        )
    return Programs(Path(server).resolve().parent)


class Vhosts:
    """Virtual hosts that are created and dropped through the management API.

    Args:
        url: `amqp://user:password@host:port/` of an administrator.
        management: port of the management API on the same host.
    """

    def __init__(self, url: str, management: int = 15672) -> None:
        match = re.fullmatch(r"amqp://(?P<user>[^:]+):(?P<password>[^@]+)@(?P<host>[^:/]+)(:\d+)?(/.*)?", url)
        if match is None:
            raise Missing("KYB_TEST_RABBITMQ_URL must look like amqp://user:password@host:5672/")
        self.user = match["user"]
        self._base = url[: match.start(5)] if match[5] else url
        self._api = httpx.Client(
            base_url=f"http://{match['host']}:{management}/api",
            auth=(self.user, match["password"]),
            trust_env=False,
            timeout=30,
        )

    def fresh_url(self) -> str:
        """Create a virtual host; return its URL."""
        name = f"test-{uuid.uuid4().hex}"
        self.make(name)
        return f"{self._base}/{name}"

    def await_ready(self, seconds: float = 60) -> None:
        """Wait until the management API answers.

        Raises:
            Broken: it did not in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            with suppress(httpx.TransportError):
                if self._api.get("/vhosts").is_success:
                    return
            if time.monotonic() > deadline:
                raise Broken(f"RabbitMQ's management API at {self._api.base_url} does not answer")
            time.sleep(0.05)  # a foreign process: there is no event to wait for

    def make(self, name: str) -> None:
        """Create a virtual host unless it exists."""
        self._api.put(f"/vhosts/{name}").raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self._api.put(f"/permissions/{name}/{self.user}", json=everything).raise_for_status()

    def drop(self, url: str) -> None:
        """Drop the virtual host of this URL."""
        self._api.delete(f"/vhosts/{url.rpartition('/')[2]}").raise_for_status()

    def empty(self, url: str) -> None:
        """Drop the virtual host of this URL and create it again; its connections are closed."""
        self.drop(url)
        self.make(url.rpartition("/")[2])

    def close(self) -> None:
        """Close the connection to the API."""
        self._api.close()


class RabbitMQ:
    """A node that tests may stop, kill, restart and wipe.

    Confirmed messages survive all of these except `wipe()`. They survive a `kill()` only in queues that are
    older than about 3 s or existed at a `sync()`.

    Args:
        of: the programs; by default those that `programs()` returns.
        tls: also listen with TLS, for clients with a certificate of the same authority.
        epmd: port of a running port mapper, which the nodes of a cluster share.
    """

    def __init__(
        self, of: Programs | None = None, *, tls: Tls | None = None, epmd: int | None = None
    ) -> None:
        self._programs = of or programs()
        self._server = Server("rabbitmq")
        self._own_epmd = epmd is None
        self.port, self.management_port = free_port(), free_port()
        self.tls_port = free_port() if tls else None
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self.name = f"kyb-{self.port}@localhost"
        self._vhosts = Vhosts(self.url, self.management_port)
        self._live: set[str] = set()
        folder = self._server.folder
        conf = _CONF.format(port=self.port, management=self.management_port)
        if tls is not None:
            conf += _TLS_CONF.format(port=self.tls_port, tls=tls)
        (folder / "rabbitmq.conf").write_text(conf)
        (folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        self._environment = {
            "PATH": self._programs.path,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(epmd or free_port()),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            # With this the script becomes the node instead of a parent that passes signals on.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
            # Two schedulers that do not spin while idle; nodes talk on loopback only.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }

    def join_cluster(self, names: Sequence[str], cookie: str) -> None:
        """Join the cluster of the nodes of these names; call this before the first start."""
        folder = self._server.folder
        lines = [f"cluster_formation.classic_config.nodes.{n} = {name}" for n, name in enumerate(names, 1)]
        with (folder / "rabbitmq.conf").open("a") as conf:
            conf.write(
                "cluster_formation.peer_discovery_backend = classic_config\n" + "\n".join(lines) + "\n"
            )
        (folder / ".erlang.cookie").write_text(cookie)
        (folder / ".erlang.cookie").chmod(0o600)

    @property
    def pid(self) -> int:
        """The process of the node, which is running."""
        return self._server.pid

    def start(self) -> None:
        """Start the node and wait until it accepts connections.

        Raises:
            Broken: it did not.
        """
        # The port mapper belongs to the process group, so that it goes with the node.
        mapper = "epmd -address 127.0.0.1 -port $ERL_EPMD_PORT & " if self._own_epmd else ""
        server = self._programs.scripts / "rabbitmq-server"
        self._server.launch(["sh", "-c", f'{mapper}exec "{server}"'], self._environment)
        self._server.await_ready(lambda: listening(self.port))

    @property
    def running(self) -> bool:
        """Whether the node accepts connections."""
        return listening(self.port)

    def stop(self) -> None:
        """Shut the node down."""
        self._server.end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the node (SIGKILL), as a crash would.

        A node that is killed within about three seconds of a declaration can forget it, or be left with a stream
        coordinator that refuses every further stream. The tests are not about that defect, so its metadata are
        written to disk first.
        """
        self.ctl("eval", f"{_IF_MNESIA} mnesia:sync_log(); _ -> ok end.")
        self._server.kill()

    def freeze(self) -> None:
        """Suspend the node's processes (SIGSTOP) until `thaw()`."""
        self._server.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the node's processes (SIGCONT)."""
        self._server.send(signal.SIGCONT)

    def restart(self) -> None:
        """Stop the node, if it runs, and start it."""
        self.stop()
        self.start()

    def wipe(self) -> None:
        """Kill the node, delete its data and start it with the same virtual hosts, empty."""
        self.kill()
        shutil.rmtree(self._server.folder / "mnesia")
        self.start()
        for url in self._live:
            self._vhosts.make(url.rpartition("/")[2])

    def close(self) -> None:
        """Kill the node and remove its files."""
        self._vhosts.close()
        self._server.close()

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` and return its output; this takes a second or two.

        Raises:
            Broken: it failed.
        """
        done = subprocess.run(
            [self._programs.scripts / "rabbitmqctl", "--quiet", *arguments],
            env={"HOME": str(self._server.folder), **self._environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise Broken(f"rabbitmqctl {arguments[0]}: {done.stdout}{done.stderr}")
        return done.stdout

    def sync(self) -> None:
        """Flush the metadata of queues to disk; RabbitMQ 3.10 does so only seconds after their declaration.

        A quorum queue whose node is killed earlier keeps its name but never answers again.
        """
        self.ctl(
            "eval", f"{_IF_MNESIA} mnesia:dump_log(), [dets:sync(Table) || Table <- dets:all()]; _ -> ok end."
        )

    def close_all_connections(self) -> None:
        """Close every client's connection from the broker's side."""
        self.ctl("close_all_connections", "--global", "closed by the test")

    def fresh_url(self) -> str:
        """Create a virtual host; return its URL.

        Raises:
            Broken: the node is unavailable.
        """
        try:
            url = self._vhosts.fresh_url()
        except httpx.ConnectError as error:
            raise Broken(f"the node {self.name} is unavailable:\n{self._server.last_output}") from error
        self._live.add(url)
        return url

    def empty(self, url: str) -> None:
        """Drop the virtual host of this URL and create it again; its connections are closed."""
        self._vhosts.empty(url)

    def drop(self, url: str) -> None:
        """Drop the virtual host of this URL; the node must be running."""
        self._live.discard(url)
        self._vhosts.drop(url)
