"""Inputs on real servers: read from anywhere, whole or not at all, in little memory, over wires that break."""

from __future__ import annotations

import io
import os
import random
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.storage.conftest import Place
from workers.errors import StorageUnavailable
from workers.files.errors import InputError, InputInvalid, InputNotAllowed, InputNotFound
from workers.files.storage.base import AHEAD_MAX, AHEAD_MIN, RangeReader, RemoteFile

everywhere = pytest.mark.parametrize("place", ["s3", "sftp", "web"], indirect=True)
CONTENT = random.Random(1).randbytes(3 * 1024 * 1024 + 7)  # noqa: S311 - no secret


@everywhere
def test_an_input_is_read_from_any_place_in_it(place: Place) -> None:
    place.put("Zürich & 1 (2).csv" if "https" not in place.root else "Z%C3%BCrich%20(2).csv", CONTENT)
    place.put("empty.csv", b"")
    uri = {
        "s3": f"{place.root}/Zürich & 1 (2).csv",
        "sftp": f"{place.root}/Z%C3%BCrich%20&%201%20(2).csv",
        "https": f"{place.root}/Zürich%20(2).csv",
    }[place.root.partition(":")[0]]
    storage = place.storage
    storage.check(uri)
    assert storage.size(uri) == len(CONTENT)
    with storage.open(uri) as stream:
        assert stream.seekable()
        assert stream.read() == CONTENT
        assert stream.read() == b""
        for at in (0, 5, len(CONTENT) - 3, 1_000_000, AHEAD_MIN - 1, AHEAD_MIN):
            assert stream.seek(at) == at
            assert stream.read(70_000) == CONTENT[at : at + 70_000]
            assert stream.tell() == min(at + 70_000, len(CONTENT))
        assert stream.seek(-10, os.SEEK_END) == len(CONTENT) - 10
        assert stream.read(100) == CONTENT[-10:]
        assert stream.seek(10_000_000) == 10_000_000
        assert stream.read(1) == b""
    with storage.open(f"{place.root}/empty.csv") as stream:
        assert stream.read() == b""
    with io.TextIOWrapper(storage.open(uri), "latin-1", newline="\n") as text:
        assert text.readline().encode("latin-1") == CONTENT.partition(b"\n")[0] + b"\n"


@everywhere
def test_only_what_is_looked_at_travels_and_little_is_held(place: Place) -> None:
    size = 5 * AHEAD_MAX
    place.put("large.csv", bytes(size))
    uri = f"{place.root}/large.csv"
    with place.storage.open(uri) as stream:
        stream.read(100)
        assert place.wire.passed < 2 * AHEAD_MIN + 64 * 1024
        tracemalloc.start()
        count = 0
        while part := stream.read(AHEAD_MIN):
            count += len(part)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == size - 100
    assert peak < 4 * AHEAD_MAX


@everywhere
def test_what_is_not_there(place: Place) -> None:
    place.put("folder/file.csv", b"x")
    for name in ("none.csv", "folder/none.csv", "none/none.csv"):
        place.storage.check(f"{place.root}/{name}")
        with pytest.raises(InputError, match="cannot be read") as caught:
            place.storage.open(f"{place.root}/{name}")
        assert type(caught.value) is InputNotFound
    with pytest.raises(InputError) as caught:
        place.storage.open(f"{place.root}/folder")
    assert type(caught.value) in {InputNotFound, InputInvalid}
    for uri in (f"{place.root}x/file.csv", place.root.rpartition("/")[0], f"{place.root}/../file.csv"):
        with pytest.raises(InputNotAllowed):
            place.storage.check(uri)


@everywhere
def test_a_file_that_changes_while_it_is_read_is_noticed(place: Place) -> None:
    uri = f"{place.root}/file.csv"
    for new in (bytes(len(CONTENT)), CONTENT[:1_000_000], CONTENT + b"x"):
        place.put("file.csv", CONTENT)
        place.age("file.csv")
        with place.storage.open(uri) as stream:
            stream.read(10)
            place.put("file.csv", new)
            with pytest.raises(InputError, match="has changed while it was read") as caught:
                stream.read()
        assert type(caught.value) is InputInvalid


@everywhere
def test_a_wire_that_breaks_is_mended(place: Place) -> None:
    place.put("file.csv", CONTENT)
    uri = f"{place.root}/file.csv"
    with place.storage.open(uri) as stream:
        stream.read(10)
        place.wire.cut_after(200_000)
        stream.seek(0)
        assert stream.read() == CONTENT
        place.wire.cut()
        stream.seek(0)
        assert stream.read() == CONTENT
        place.wire.close()
        stream.seek(0)
        with pytest.raises(StorageUnavailable) as caught:
            stream.read()
    with pytest.raises(StorageUnavailable):
        place.storage.open(uri)
    assert str(place.wire.port) in str(caught.value) or "s3://" in str(caught.value)


class Memory(RangeReader):
    def __init__(self, content: bytes) -> None:
        self.content, self.size, self.most = content, len(content), 0

    def fetch(self, start: int, end: int) -> bytes:
        assert 0 <= start < end <= self.size
        self.most = max(self.most, end - start)
        return self.content[start:end]

    def close(self) -> None:
        pass


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    size=st.integers(0, 3 * AHEAD_MIN),
    moves=st.lists(st.tuples(st.integers(0, 4 * AHEAD_MIN), st.integers(-1, 2 * AHEAD_MIN)), max_size=8),
)
def test_ranges_read_like_a_file(size: int, moves: list[tuple[int, int]]) -> None:
    content = CONTENT[:size]
    ours, theirs = io.BufferedReader(RemoteFile(Memory(content), "x")), io.BytesIO(content)
    for at, count in moves:
        assert ours.seek(at) == theirs.seek(at)
        assert ours.read(count) == theirs.read(count)
        assert ours.readline(100) == theirs.readline(100)
        assert ours.tell() == theirs.tell()
