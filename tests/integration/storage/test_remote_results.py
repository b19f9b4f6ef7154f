"""Results on real servers: whole or not at all, the same bytes whatever crashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.storage.conftest import Place
from workers.errors import StorageUnavailable
from workers.files.errors import InputNotAllowed
from workers.files.storage import DraftLost, Storage
from workers.files.storage.base import ObjectStore, RangeReader
from workers.files.storage.chunked_draft import PIECE_LIMIT, PIECE_MIN, RemoteDraft
from workers.files.storage.uris import Location

stores = pytest.mark.parametrize("place", ["s3", "sftp"], indirect=True)
quickly = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Crash(BaseException):
    pass


class Crashing(ObjectStore):
    """A real store, and a process that ends before or after its nth operation that changes something."""

    def __init__(self, store: ObjectStore, at: int) -> None:
        self.store, self.left = store, at

    def _operation(self) -> None:
        if self.left == 0:
            raise Crash
        self.left -= 1

    def open(self, location: Location, roots: Sequence[Location]) -> RangeReader:
        return self.store.open(location, roots)

    def list(self, folder: Location) -> Mapping[str, int]:
        return self.store.list(folder)

    def put(self, location: Location, pieces: Iterable[bytes], scratch: str) -> None:
        def crashing() -> Iterable[bytes]:
            for piece in pieces:
                yield piece[: len(piece) // 2]
                self._operation()
                yield piece[len(piece) // 2 :]

        self.store.put(location, crashing(), scratch)
        self._operation()

    def remove(self, folder: Location, names: Iterable[str]) -> None:
        for name in list(names):
            self.store.remove(folder, [name])
            self._operation()

    def close(self) -> None:
        self.store.close()


def crashing(storage: Storage, name: str, at: int) -> RemoteDraft:
    draft = cast("RemoteDraft", storage.draft("job", name))
    return RemoteDraft(Crashing(draft._store, at), draft._location)


@stores
def test_a_result_appears_whole_or_not_at_all(place: Place) -> None:
    draft = place.storage.draft("job:1", "matched.csv")
    assert draft.size == 0
    with draft.append(0) as stream:
        assert stream.write(b"name\r\n") == 6
        assert stream.tell() == 6
    with draft.append(6) as stream:
        stream.write(b"A\r\nB\r\n")
    assert draft.size == 12
    with draft.append(9) as stream:
        pass
    assert draft.size == 9
    with draft.open() as read:
        assert read.read() == b"name\r\nA\r\n"
    assert "job:1/matched.csv" not in place.names()

    file = draft.publish("text/csv", 1)

    content = b"name\r\nA\r\n"
    assert place.names() == {"job:1/matched.csv": len(content)}
    assert file.model_dump() == {
        "uri": f"{place.root}/job%3A1/matched.csv"
        if "sftp" in place.root
        else f"{place.root}/job:1/matched.csv",
        "media_type": "text/csv",
        "records": 1,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    with place.storage.open_result(file) as stream:
        assert stream.read() == content
    assert place.make().draft("job:1", "matched.csv").publish("text/csv", 1) == file
    with pytest.raises(DraftLost), draft.append(3):
        pass
    with draft.append(0) as stream:
        stream.write(content)
    assert draft.publish("text/csv", 1) == file


@stores
def test_an_empty_result_and_a_lost_one(place: Place) -> None:
    draft = place.storage.draft("job", "none.csv")
    with pytest.raises(DraftLost):
        draft.publish("text/csv", 0)
    with pytest.raises(DraftLost), draft.append(1):
        pass
    with pytest.raises(DraftLost):
        draft.open()
    draft.remove()
    with draft.append(0) as stream:
        stream.write(b"not wanted after all")
    draft.remove()
    assert place.names() == {}
    with draft.append(0):
        pass
    file = draft.publish("text/csv", 0)
    assert file.bytes == 0
    assert place.names() == {"job/none.csv": 0}
    for uri in (f"{place.root}x/job/none.csv", "file:///etc/passwd", place.root.rpartition("/")[0] + "/job"):
        with pytest.raises(InputNotAllowed):
            place.storage.open_result(file.model_copy(update={"uri": uri}))


@stores
def test_a_large_result_is_stored_in_few_pieces_and_joined(place: Place) -> None:
    draft = place.storage.draft("job", "large")
    digest, size = hashlib.sha256(), 0
    page = bytes(range(256)) * 256
    for _ in range(20):  # more than one least piece in small appends
        with draft.append(size) as stream:
            stream.write(page)
        digest.update(page)
        size += len(page)
    assert len(place.names()) == 20 * len(page) // PIECE_MIN + 1
    with draft.append(size) as stream:
        for _ in range(3 * PIECE_LIMIT // len(page)):
            stream.write(page)
            digest.update(page)
        assert len(place.names()) > 0
        size = stream.tell()
    assert max(place.names().values()) <= PIECE_LIMIT
    with draft.open() as read:
        assert hashlib.file_digest(read, "sha256").hexdigest() == digest.hexdigest()  # type: ignore[arg-type]
        read.seek(len(page) - 2)
        assert read.read(4) == b"\xfe\xff\x00\x01"
    file = draft.publish("application/octet-stream", None)
    assert (file.bytes, file.sha256) == (size, digest.hexdigest())
    assert place.names() == {"job/large": size}


@stores
@quickly
@given(
    pieces=st.lists(st.binary(max_size=20), min_size=1, max_size=4),
    crash_at=st.integers(0, 4),
    torn=st.binary(max_size=20),
)
def test_a_crash_is_made_good_from_the_last_offset(
    place: Place, pieces: list[bytes], crash_at: int, torn: bytes
) -> None:
    draft = place.storage.draft("job", "out")
    offset = 0
    for index, piece in enumerate(pieces):
        if index == crash_at:
            with suppress(Crash), draft.append(offset) as stream:
                stream.write(torn)
                raise Crash
            with draft.append(offset) as stream:  # stored, and never recorded
                stream.write(torn)
        with draft.append(offset) as stream:
            stream.write(piece)
            offset = stream.tell()
    file = draft.publish("application/octet-stream", None)
    with place.storage.open_result(file) as stream:
        assert stream.read() == b"".join(pieces)


@stores
def test_a_crash_between_any_two_operations(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing, publishing and starting again, in any order, leave either nothing or the same whole file."""
    monkeypatch.setattr("workers.files.storage.chunked_draft.PIECE_LIMIT", 8)
    monkeypatch.setattr("workers.files.storage.chunked_draft.PIECE_MIN", 4)
    whole = b"0123456789abcdefghij-"

    def write(draft: RemoteDraft, reached: int) -> int:
        for end in (3, 20, 21):
            if end > reached:
                with draft.append(reached) as stream:
                    stream.write(whole[reached:end])
                    reached = stream.tell()
                recorded.append(reached)
        return reached

    done, at = False, 0
    while not done:
        name = f"out-{at}"
        recorded = [0]
        draft = crashing(place.storage, name, at)
        try:
            write(draft, 0)
            draft.publish("text/plain", 1)
            done = True
        except Crash:
            assert place.names().get(f"job/{name}", len(whole)) == len(whole)
            with suppress(DraftLost):
                write(crashing(place.storage, name, -1), recorded[-1])
        file = place.storage.draft("job", name).publish("text/plain", 1)
        assert (file.bytes, file.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
        assert {found for found in place.names() if name in found} == {f"job/{name}"}
        at += 1
    assert at > 12


@stores
def test_a_wire_that_breaks_while_results_are_written(place: Place) -> None:
    draft = place.storage.draft("job", "out")
    with draft.append(0) as stream:
        stream.write(b"abc")
    place.wire.close()
    with pytest.raises(StorageUnavailable):
        _ = draft.size
    with pytest.raises(StorageUnavailable):
        draft.publish("text/csv", 0)
    assert not [name for name in place.names() if name.endswith("/out")]
