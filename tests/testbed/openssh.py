"""A private SFTP server: OpenSSH's, on a loopback port."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

from tests.testbed.server import Missing, Server, free_port, listening
from workers.settings import SftpSettings

_CONF = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin yes
Subsystem sftp internal-sftp
MaxStartups 100
"""


def program() -> str:
    """Return the path of `sshd`.

    Raises:
        Missing: there is none.
    """
    path = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        raise Missing("the tests need OpenSSH: install the package openssh-server")
    return path


class OpenSSH:
    """A server that accepts the user who runs the tests, by a generated key."""

    def __init__(self) -> None:
        self._program = program()
        self._server = Server("openssh")
        self.port = free_port()
        self._prefixes = 0
        folder = self._server.folder
        for name in ("host_key", "user_key", "other_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        (folder / "sshd_config").write_text(_CONF.format(port=self.port, folder=folder))

    def trust(self, key: str, port: int | None = None) -> Path:
        """Write a known-hosts file that expects this key from the server, on its own or another port."""
        public = (self._server.folder / f"{key}.pub").read_text()
        path = self._server.folder / f"known_hosts-{key}-{port or self.port}"
        path.write_text(f"[127.0.0.1]:{port or self.port} {public}")
        return path

    def access(self, **changes: object) -> SftpSettings:
        """Return settings with valid access, changed as given."""
        folder = self._server.folder
        usual = {
            "username": getpass.getuser(),
            "private_key": folder / "user_key",
            "known_hosts": self.trust("host_key"),
        }
        return SftpSettings.model_validate(usual | changes)

    def fresh_root(self) -> tuple[str, Path]:
        """Create an empty folder; return its URI and its path on the server."""
        self._prefixes += 1
        path = self._server.folder / "files" / str(self._prefixes)
        path.mkdir(parents=True)
        return self.uri(path), path

    def uri(self, path: Path, port: int | None = None) -> str:
        """Return the URI of a path on the server."""
        return f"sftp://127.0.0.1:{port or self.port}{quote(str(path))}"

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd separates privileges there
        config = self._server.folder / "sshd_config"
        self._server.launch([self._program, "-D", "-e", "-f", str(config)], {})
        self._server.await_ready(lambda: listening(self.port))

    def close(self) -> None:
        """Kill the server and remove its files."""
        self._server.close()
