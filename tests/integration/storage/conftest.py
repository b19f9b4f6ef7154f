"""Each kind of storage with a real server behind it, for tests that hold for all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme

from tests.testbed.files import FileServer, Page, authority
from tests.testbed.openssh import OpenSSH
from tests.testbed.proxy import Proxy
from tests.testbed.seaweedfs import KEY, SECRET, SeaweedFS
from workers.files.storage import Storage
from workers.settings import S3Settings


class Place:
    """An empty root on a real server, reached through a wire that can be cut.

    Attributes:
        root: its URI.
        storage: inputs from it and, but for the web, results to it.
        put: puts a file there, as others do.
        names: of the files that are there, with their sizes, as others see them.
        wire: between us and the server.
        age: makes a file old, where the server's clock ticks in seconds.
    """

    def __init__(
        self,
        root: str,
        make: Callable[[], Storage],
        put: Callable[[str, bytes], None],
        names: Callable[[], dict[str, int]],
        wire: Proxy,
        age: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.root = root
        self.make = make
        self.storage = make()
        self.put = put
        self.names = names
        self.wire = wire
        self.age = age


@pytest.fixture(scope="session")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    return authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def files(trusted: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted[1]))
    with closing(FileServer(trusted[0])) as server:
        yield server


def s3_place(s3: SeaweedFS, wire: Proxy) -> Place:
    root = s3.fresh_root()
    access = S3Settings(
        key=KEY, secret=SECRET, endpoint_url=f"http://127.0.0.1:{wire.port}", region="us-east-1"
    )
    others = s3.files()
    prefix = root.removeprefix("s3://")

    def names() -> dict[str, int]:
        found = others.find(prefix, detail=True)
        # SeaweedFS keeps the folder of what was there, and shows it as an object of no size.
        found.pop(prefix, None)
        return {name.removeprefix(f"{prefix}/"): each["size"] for name, each in found.items()}

    return Place(
        root,
        lambda: Storage([root], root, s3=access),
        lambda name, content: others.pipe_file(f"{prefix}/{name}", content),
        names,
        wire,
    )


def sftp_place(sftp: OpenSSH, wire: Proxy) -> Place:
    _, folder = sftp.fresh_root()
    root = sftp.uri(folder, wire.port)
    access = sftp.access(known_hosts=sftp.trust("host_key", wire.port))

    def put(name: str, content: bytes) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    def names() -> dict[str, int]:
        found = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.stat().st_size for path in found}

    return Place(
        root,
        lambda: Storage([root], root, sftp=access),
        put,
        names,
        wire,
        lambda name: os.utime(folder / name, (1, 1)),
    )


def web_place(files: FileServer, wire: Proxy, folder: Path) -> Place:
    root = f"https://127.0.0.1:{wire.port}/in"

    def put(name: str, content: bytes) -> None:
        old = files.pages.get(f"/in/{name}")
        version = '"1"' if old is None else '"2"'
        files.pages[f"/in/{name}"] = Page(content, version=version)

    return Place(root, lambda: Storage([root], str(folder)), put, dict, wire)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """`s3`, `sftp` or `web`, as the test's parameter says."""
    kind = request.param
    server = request.getfixturevalue({"web": "files"}.get(kind, kind))
    with closing(Proxy(server.port)) as wire:
        found = (
            s3_place(server, wire)
            if kind == "s3"
            else sftp_place(server, wire)
            if kind == "sftp"
            else web_place(server, wire, tmp_path)
        )
        yield found
        found.storage.close()
