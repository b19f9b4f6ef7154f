"""Who we are and whom we trust: links, keys and credentials of SFTP servers and S3."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.testbed.openssh import OpenSSH
from tests.testbed.proxy import Proxy
from tests.testbed.seaweedfs import KEY, SECRET, SeaweedFS
from workers.errors import StorageUnavailable
from workers.files.errors import InputError, InputInvalid, InputNotAllowed, InputNotFound
from workers.files.storage import Storage
from workers.settings import S3Settings, SftpSettings


def test_links_on_the_server_lead_nowhere_outside(sftp: OpenSSH, tmp_path: Path) -> None:
    _, outer = sftp.fresh_root()
    folder = outer / "in"
    folder.mkdir()
    (outer / "secret").write_text("secret")
    (folder / "file.csv").write_bytes(b"x")
    (folder / "out").symlink_to(outer)
    (folder / "secret.csv").symlink_to(outer / "secret")
    (folder / "alias.csv").symlink_to("file.csv")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    (outer / "mounted").symlink_to(folder)
    for root in (sftp.uri(folder), sftp.uri(outer / "mounted")):
        storage = Storage([root], str(tmp_path), sftp=sftp.access())
        with closing(storage):
            for name in ("file.csv", "alias.csv"):
                with storage.open(f"{root}/{name}") as stream:
                    assert stream.read() == b"x"
            for name in ("secret.csv", "out/secret", "out/in/../secret"):
                with pytest.raises(InputNotAllowed):
                    storage.open(f"{root}/{name}")
            for name, code in (("loop", None), ("pipe", InputInvalid), ("", InputInvalid)):
                with pytest.raises((InputError, StorageUnavailable)) as caught:
                    storage.open(f"{root}/{name}")
                assert code is None or (isinstance(caught.value, InputError) and type(caught.value) is code)


def test_a_server_with_another_key_is_not_talked_to(sftp: OpenSSH, tmp_path: Path) -> None:
    root, folder = sftp.fresh_root()
    (folder / "x").write_bytes(b"x")
    empty = tmp_path / "empty"
    empty.touch()
    for known_hosts in (sftp.trust("other_key"), empty):
        with closing(Storage([root], root, sftp=sftp.access(known_hosts=known_hosts))) as storage:
            with pytest.raises(StorageUnavailable, match="KNOWN_HOSTS"):
                storage.open(f"{root}/x")
            with pytest.raises(StorageUnavailable, match="KNOWN_HOSTS"):
                _ = storage.draft("job", "x").size
    assert known_hosts.read_bytes() == b""


def test_refused_credentials_are_not_tried_again_at_once(sftp: OpenSSH) -> None:
    """Accounts lock."""
    _, folder = sftp.fresh_root()
    (folder / "x").write_bytes(b"x")
    other = Path(str(sftp.access().private_key)).with_name("other_key")
    with closing(Proxy(sftp.port)) as wire:
        root = sftp.uri(folder, wire.port)
        access = sftp.access(private_key=other, known_hosts=sftp.trust("host_key", wire.port))
        with closing(Storage([root], root, sftp=access)) as storage:
            for _ in range(3):
                with pytest.raises(StorageUnavailable, match="refuses the credentials") as caught:
                    storage.open(f"{root}/x")
                assert caught.value.retry_after == 60
        assert wire.connections == 1


@pytest.mark.parametrize(
    ("missing", "named"),
    [("known_hosts", "KNOWN_HOSTS"), ("username", "USERNAME"), ("private_key", "PRIVATE_KEY")],
)
def test_sftp_needs_settings(sftp: OpenSSH, missing: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Storage(["sftp://host/x"], ".", sftp=sftp.access(**{missing: None}))
    with pytest.raises(ValueError, match="KNOWN_HOSTS"):
        Storage([], "sftp://host/x", sftp=SftpSettings())


def test_what_s3_refuses(s3: SeaweedFS, tmp_path: Path) -> None:
    root = s3.fresh_root()
    s3.files().pipe_file(f"{root}/x", b"x")

    def storage(key: str, secret: str, place: str = root) -> Storage:
        access = S3Settings.model_validate(
            {"key": key, "secret": secret, "endpoint_url": s3.url, "region": "us-east-1"}
        )
        return Storage([place], place, s3=access)

    for key, secret in ((KEY, "wrong-secret"), ("wrong-key", SECRET)):
        with pytest.raises(StorageUnavailable, match="refuses the credentials") as caught:
            storage(key, secret).open(f"{root}/x")
        assert "wrong" not in str(caught.value)
        with pytest.raises(StorageUnavailable):
            _ = storage(key, secret).draft("job", "x").size
    with pytest.raises(InputError, match="x cannot be read") as failed:
        storage("nobody", SECRET).open(f"{root}/x")
    assert type(failed.value) is InputNotFound
    with pytest.raises(StorageUnavailable), storage("nobody", SECRET).draft("job", "x").append(0) as stream:
        stream.write(b"x")
    with pytest.raises(InputError) as failed:
        storage(KEY, SECRET, "s3://no-such-bucket").open("s3://no-such-bucket/x")
    assert type(failed.value) is InputNotFound
    lost = storage(KEY, SECRET, "s3://no-such-bucket").draft("job", "x")
    with pytest.raises(StorageUnavailable), lost.append(0) as stream:
        stream.write(b"x")


def test_a_broken_upload_leaves_nothing(s3: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 5 * 1024 * 1024  # the least that S3 takes
    monkeypatch.setattr("workers.files.storage.s3.PART", size)
    root = s3.fresh_root()
    access = S3Settings.model_validate(
        {"key": KEY, "secret": SECRET, "endpoint_url": s3.url, "region": "us-east-1"}
    )
    storage = Storage([], root, s3=access)
    draft = storage.draft("job", "x")

    class Lost(Exception):
        pass

    def pieces() -> object:
        yield bytes(size)
        yield bytes(size + 1)
        raise Lost

    with pytest.raises(Lost):
        draft._store.put(draft._location, pieces(), "")  # type: ignore[attr-defined]
    assert s3.files().find(root) == []
    uploads = s3.files().call_s3("list_multipart_uploads", Bucket=root.split("/")[2])
    assert not uploads.get("Uploads")


def test_libraries_are_loaded_where_a_root_needs_them() -> None:
    script = (
        "import sys; from workers.files.storage import Storage; Storage(['.'], '.');"
        "print(sorted({'s3fs', 'asyncssh', 'fsspec', 'aiohttp', 'httpcore'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
