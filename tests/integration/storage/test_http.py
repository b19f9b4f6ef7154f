"""Inputs from the web: only from where they may come, and over no address that is not looked at."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.testbed.files import FileServer, Page
from tests.testbed.server import free_port
from workers.errors import StorageUnavailable
from workers.files.errors import InputError, InputInvalid, InputNotAllowed, InputNotFound
from workers.files.storage import Storage
from workers.files.storage.ssrf import is_public, networks
from workers.settings import HttpsSettings

HOME = "https://127.0.0.1:{port}/in"


@pytest.fixture
def reading(files: FileServer, tmp_path: Path) -> Callable[..., bytes]:
    """Reads an input of the server, below the given roots, whole."""

    def read(
        name: str = "x.csv", *roots: str, host: str = "127.0.0.1", networks: str = "", scheme: str = "https"
    ) -> bytes:
        home = f"{scheme}://{host}:{files.port}/in"
        storage = Storage(list(roots) or [home], str(tmp_path), https=HttpsSettings(networks=networks))
        with closing(storage), storage.open(f"{home}/{name}") as stream:
            return stream.read()

    return read


def test_redirects_are_followed_within_the_roots_only(
    files: FileServer, reading: Callable[..., bytes]
) -> None:
    files.pages["/in/x.csv"] = Page(b"name\r\n")
    here = f"https://127.0.0.1:{files.port}"

    def redirect(target: str, status: int = 302) -> None:
        files.pages["/in/from"] = Page(status=status, headers={"Location": target})

    for target in (
        "x.csv",
        "/in/x.csv",
        f"{here}/in/x.csv",
        f"{here}/in/x.csv?signature=abc",
        "/in/x.csv#part",
    ):
        for status in (301, 302, 303, 307, 308):
            redirect(target, status)
            assert reading("from") == b"name\r\n"
    assert ("/in/x.csv?signature=abc", "bytes=0-65535", f"127.0.0.1:{files.port}") in files.asked
    files.pages["/secret"] = Page(b"secret")
    for target in (
        "/secret",
        "../secret",
        "/in/../secret",
        "/in/%2e%2e/secret",
        f"http://127.0.0.1:{files.port}/in/x.csv",
        f"https://localhost:{files.port}/in/x.csv",
        f"https://2130706433:{files.port}/in/x.csv",
        f"https://[::ffff:127.0.0.1]:{files.port}/in/x.csv",
        f"https://user:word@127.0.0.1:{files.port}/in/x.csv",
        "//169.254.169.254/in/x.csv",
        "file:///etc/passwd",
        "https://[",
        "\\\\evil\\x",
    ):
        redirect(target)
        with pytest.raises(InputNotAllowed, match="redirects") as caught:
            reading("from")
        assert "word" not in str(caught.value)
    redirect("/in/from")
    with pytest.raises(InputError, match="redirected more than") as failed:
        reading("from")
    assert type(failed.value) is InputNotFound
    assert "/secret" not in [path for path, *_ in files.asked]


def test_names_that_lead_inside_are_not_connected_to(
    files: FileServer,
    reading: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
    trusted: tuple[trustme.CA, Path],
) -> None:
    """A name is resolved once, and the connection goes to the address that was checked (DNS rebinding)."""
    files.pages["/in/x.csv"] = Page(b"name\r\n")
    assert reading(host="localhost") == b"name\r\n"  # the root says so itself
    answers: list[list[str]] = []
    asked = socket.getaddrinfo

    def resolve(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        if host != "files.example.com":
            return asked(host, port, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for inside in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"):  # noqa: S104
        answers[:] = [[inside]]
        with pytest.raises(InputNotAllowed, match="inside the network"):
            reading(host="files.example.com")
    # A second question would be answered otherwise: there is none.
    answers[:] = [["10.0.0.1", "127.0.0.1"], ["10.0.0.1"]]
    with pytest.raises(StorageUnavailable, match="certificate"):  # connected, and its name is checked
        reading(host="files.example.com", networks="127.0.0.0/8")
    assert len(answers) == 1
    with closing(FileServer(trusted[0], "files.example.com")) as named:
        named.pages["/in/x.csv"] = Page(b"named")
        answers[:] = [["127.0.0.1"]] * 2
        home = f"https://files.example.com:{named.port}/in"
        storage = Storage([home], ".", https=HttpsSettings(networks="127.0.0.1, ::1"))
        with closing(storage), storage.open(f"{home}/x.csv") as stream:
            assert stream.read() == b"named"
        assert named.asked[0][2] == f"files.example.com:{named.port}"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",  # noqa: S104
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::a9fe:a9fe",
        "2002:7f00:1::1",
        "2001:0:7f00:1::",
    ],
)
def test_addresses_inside(address: str) -> None:
    assert not is_public(ip_address(address))


def test_addresses_of_the_internet() -> None:
    assert all(
        is_public(ip_address(each))
        for each in ("1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101")
    )


def test_bad_manners_of_servers(files: FileServer, reading: Callable[..., bytes]) -> None:
    page = files.pages["/in/x.csv"] = Page(b"name\r\n" * 40_000, ranges=False)
    assert reading() == page.content  # fetched whole, kept in a file
    page.ranges = True
    page.version = ""
    assert reading() == page.content
    for change, code in (
        ({"status": 404}, InputNotFound),
        ({"status": 410}, InputNotFound),
        ({"status": 401}, InputNotFound),
        ({"status": 403}, InputNotFound),
        ({"status": 206}, InputNotFound),
        ({"status": 416}, InputNotFound),
        ({"status": 302}, InputNotFound),
        ({"headers": {"Content-Encoding": "gzip"}}, InputNotFound),
        ({"status": 206, "headers": {"Content-Range": "bytes 5-9/10"}}, InputNotFound),
        ({"status": 500}, None),
        ({"status": 503, "headers": {"Retry-After": "17"}}, None),
        ({"status": 429}, None),
        ({"excess": b"x"}, None),
        ({"status": 206, "headers": {"Content-Range": "bytes 0-9/1000000"}}, None),
    ):
        files.pages["/in/x.csv"] = Page(b"name\r\n", **change)
        if code is None:
            with pytest.raises(StorageUnavailable) as away:
                reading()
            assert away.value.retry_after == (17 if change.get("status") == 503 else None)
        else:
            with pytest.raises(InputError) as failed:
                reading()
            assert type(failed.value) is code


def test_a_file_too_large_for_a_server_without_ranges(
    files: FileServer, reading: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.files.storage.http.WHOLE_LIMIT", 1_000)
    files.pages["/in/x.csv"] = Page(bytes(1_001), ranges=False)
    with pytest.raises(InputError, match="more than 1000 bytes") as caught:
        reading()
    assert type(caught.value) is InputInvalid


def test_who_is_not_trusted_is_not_read_from(
    files: FileServer, reading: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    files.pages["/in/x.csv"] = Page(b"x")
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(StorageUnavailable, match="certificate that is not trusted"):
        reading()
    assert not files.asked


def test_plain_http_where_a_root_says_so(tmp_path: Path) -> None:
    with closing(FileServer(None)) as plain:
        plain.pages["/in/x.csv"] = Page(b"x")
        home = f"http://127.0.0.1:{plain.port}/in"
        storage = Storage([home], str(tmp_path))
        with closing(storage), storage.open(f"{home}/x.csv") as stream:
            assert stream.read() == b"x"
        with pytest.raises(InputNotAllowed):
            storage.check(home.replace("http:", "https:"))
    with pytest.raises(ValueError, match="cannot be written to the web"):
        Storage([], home)
    with pytest.raises(StorageUnavailable, match="ConnectError"):
        Storage([f"http://localhost:{(port := free_port())}"], str(tmp_path)).open(
            f"http://localhost:{port}/x"
        )


def test_networks_are_written_as_usual() -> None:
    assert [str(each) for each in networks(" 10.0.0.0/8, fd00::/8,127.0.0.1 ,")] == [
        "10.0.0.0/8",
        "fd00::/8",
        "127.0.0.1/32",
    ]
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        networks("10.0.0.1/8")
