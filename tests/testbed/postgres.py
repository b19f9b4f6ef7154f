"""A private PostgreSQL cluster on a loopback port, and a fresh database for each test."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
from psycopg import sql

from tests.testbed.certificates import Tls
from tests.testbed.server import Broken, Missing, Server, free_port, listening

#: Time limit for the children of a killed PostgreSQL to end.
CHILDREN_END_SECONDS = 30
_CONF = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
max_connections = 200
shared_buffers = 32MB
full_page_writes = off
# The tests kill processes but never the machine, so there is no need to wait for the disk.
fsync = off
# A killed cluster then leaves no shared memory behind.
dynamic_shared_memory_type = mmap
"""


_TLS_CONF = """
ssl = on
ssl_ca_file = 'ca.pem'
ssl_cert_file = 'certificate.pem'
ssl_key_file = 'key.pem'
"""


def programs() -> Path:
    """Return the folder of `initdb` and `postgres` of the newest version.

    Raises:
        Missing: there is none.
    """
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    initdb = debian[-1] if debian else shutil.which("initdb")
    if initdb is None:
        raise Missing(
            "the tests need PostgreSQL: install the package postgresql (15 or later),"
            " or set KYB_TEST_POSTGRES_URL to one where databases may be made"
        )
    return Path(initdb).resolve().parent


class Databases:
    """Databases that are created and dropped on a server.

    Args:
        url: `postgresql://…/database` of a user who may create databases.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def await_ready(self, seconds: float = 60) -> None:
        """Wait until the server accepts connections.

        Raises:
            Broken: it did not in time.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                psycopg.connect(self._url, connect_timeout=2).close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise Broken(f"PostgreSQL does not accept connections: {error}") from error
                time.sleep(0.05)  # a foreign process: there is no event to wait for
            else:
                return

    def fresh_url(self, template: str | None = None) -> str:
        """Create a database, empty or a copy of the one whose URL is `template`; return its URL."""
        name = f"test_{uuid.uuid4().hex}"
        source = "template1" if template is None else _name_in(template)
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        self._run(create.format(sql.Identifier(name), sql.Identifier(source)))
        base, _, options = self._url.partition("?")
        return f"{base.rpartition('/')[0]}/{name}" + (f"?{options}" if options else "")

    def drop(self, url: str) -> None:
        """Drop the database of this URL, despite open connections."""
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(_name_in(url))))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement)


def _name_in(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


class Postgres:
    """A cluster that tests may stop, kill and restart; committed data survive.

    Args:
        tls: accept only clients with a certificate of the same authority.
        disk: folder of the data, e.g. a small disk.
    """

    def __init__(self, tls: Tls | None = None, disk: Path | None = None) -> None:
        self._programs = programs()
        # PostgreSQL refuses to run as root.
        self._server = Server("postgres", user="nobody" if os.geteuid() == 0 else None)
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.disk = disk or self._server.folder
        self._data = self.disk / "data"
        if self._server.user is not None:
            shutil.chown(self.disk, self._server.user)
        self._tls = tls
        self._databases = Databases(self.url)

    @property
    def pid(self) -> int:
        """The first process of the cluster, which is running."""
        return self._server.pid

    def start(self) -> None:
        """Start the cluster, creating it first if necessary, and wait until it answers.

        Raises:
            Broken: it did not.
        """
        if not self._data.exists():
            self._initdb()
        self._server.launch([str(self._programs / "postgres"), "-D", str(self._data)], {})
        self._server.await_ready(self._answers)

    def start_again(self) -> None:
        """Start the cluster unless it answers within 10 s."""
        try:
            self._server.await_ready(self._answers, seconds=10)
        except Broken:
            self.start()

    def output(self) -> str:
        """Return the log."""
        return self._server.output.read_text(errors="replace")

    def stop(self) -> None:
        """Shut the cluster down; clients' connections are closed (fast shutdown)."""
        self._server.end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the cluster (SIGKILL) and wait for its children, beside which it would not start again.

        Raises:
            Broken: a child does not end although its postmaster has.
        """
        with ExitStack() as opened:
            ends: list[int] = []
            for child in self._children():
                with suppress(ProcessLookupError):  # it has just ended
                    ends.append(os.pidfd_open(child))
                    opened.callback(os.close, ends[-1])
            self._server.kill()
            for end in ends:
                waiting = select.poll()
                waiting.register(end, select.POLLIN)
                if not waiting.poll(CHILDREN_END_SECONDS * 1_000):
                    raise Broken("a process of the killed PostgreSQL does not end")

    def freeze(self) -> None:
        """Suspend all its processes (SIGSTOP) until `thaw()`."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume all its processes (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop the cluster, if it runs, and start it."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Kill the cluster and remove its files."""
        self._server.close()

    def fresh_url(self, template: str | None = None) -> str:
        """Create a database, empty or a copy of the one whose URL is `template`; return its URL."""
        return self._databases.fresh_url(template)

    def drop(self, url: str) -> None:
        """Drop the database of this URL; the cluster must be running."""
        self._databases.drop(url)

    def _signal(self, sign: signal.Signals) -> None:
        """Send a signal to the postmaster and its children, each of which leads its own process group."""
        self._server.send(sign)
        for child in self._children():
            os.kill(child, sign)

    def _children(self) -> list[int]:
        """Return the postmaster's child processes; none if it does not run."""
        try:
            postmaster = int((self._data / "postmaster.pid").read_text().split()[0])
            children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        except FileNotFoundError:
            return []
        return [int(child) for child in children]

    def _initdb(self) -> None:
        done = subprocess.run(
            [
                self._programs / "initdb",
                "-D",
                self._data,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-N",
                "-E",
                "UTF8",
                "--no-locale",
            ],
            cwd=self._server.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            user=self._server.user,
            extra_groups=[] if self._server.user else None,
        )
        if done.returncode:
            raise Broken(f"initdb: {done.stdout}")
        with (self._data / "postgresql.auto.conf").open("a") as conf:
            conf.write(_CONF.format(port=self.port, folder=self._server.folder))
            if self._tls is not None:
                conf.write(_TLS_CONF)
        if self._tls is not None:
            for name, path in vars(self._tls).items():
                shutil.copy(path, self._data / f"{name}.pem")
                (self._data / f"{name}.pem").chmod(0o600)  # PostgreSQL insists on that for its key
                if self._server.user is not None:
                    shutil.chown(self._data / f"{name}.pem", self._server.user)
            rule = "hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n"
            (self._data / "pg_hba.conf").write_text(rule)

    def _answers(self) -> bool:
        if self._tls is not None:
            return listening(self.port)
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
