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
    """The path of `sshd`.

    Raises:
        Missing: there is none.
    """
    path = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        raise Missing("the tests need OpenSSH: install the package openssh-server")
    return path


class OpenSSH:
    """A server that lets in whoever runs the tests, with a key of its own."""

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
        """A file of known hosts that expects the server to have this key, on its own or another port."""
        public = (self._server.folder / f"{key}.pub").read_text()
        path = self._server.folder / f"known_hosts-{key}-{port or self.port}"
        path.write_text(f"[127.0.0.1]:{port or self.port} {public}")
        return path

    def access(self, **changes: object) -> SftpSettings:
        """How to get in."""
        folder = self._server.folder
        usual = {
            "username": getpass.getuser(),
            "private_key": folder / "user_key",
            "known_hosts": self.trust("host_key"),
        }
        return SftpSettings.model_validate(usual | changes)

    def fresh_root(self) -> tuple[str, Path]:
        """An empty folder, as a URI and as it lies on the server."""
        self._prefixes += 1
        path = self._server.folder / "files" / str(self._prefixes)
        path.mkdir(parents=True)
        return self.uri(path), path

    def uri(self, path: Path, port: int | None = None) -> str:
        """The URI of a path on the server."""
        return f"sftp://127.0.0.1:{port or self.port}{quote(str(path))}"

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd separates privileges there
        config = self._server.folder / "sshd_config"
        self._server.launch([self._program, "-D", "-e", "-f", str(config)], {})
        self._server.await_ready(lambda: listening(self.port))

    def close(self) -> None:
        """Kill it and remove all that it left."""
        self._server.close()
