"""Nothing outside the roots is read or written, and a result appears once, whole, whatever crashes."""

from __future__ import annotations

import hashlib
import os
import string
from contextlib import suppress
from pathlib import Path
from typing import cast
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.files.errors import InputError, InputInvalid, InputNotAllowed, InputNotFound
from workers.files.storage import Appender, DraftLost, Storage, drafts
from workers.files.storage.local import LocalDraft, _open

on_one_folder = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "firms.csv").write_bytes(b"name\nA\n")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "inputs-too").mkdir()
    (tmp_path / "inputs-too" / "secret").write_text("secret")
    return folder


@pytest.fixture
def storage(tmp_path: Path, inputs: Path) -> Storage:
    return Storage([str(inputs)], str(tmp_path / "results"))


def read(storage: Storage, uri: str) -> bytes:
    with storage.open(uri) as stream:
        return stream.read()


def test_inputs_are_read_by_path_and_uri(
    storage: Storage, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (inputs / "Zürich 100%?#.csv").write_bytes(b"x")
    (inputs / "link.csv").symlink_to(inputs / "firms.csv")
    monkeypatch.chdir(inputs)
    path = inputs / "firms.csv"
    for uri in (
        str(path),
        path.as_uri(),
        f"FILE://localhost{path}",
        f"file:{path}",
        "firms.csv",
        "./firms.csv",
        f"{inputs}/../inputs/firms.csv",
        (inputs / "link.csv").as_uri(),
    ):
        storage.check(uri)
        assert read(storage, uri) == b"name\nA\n"
        assert storage.size(uri) == 7
    assert read(storage, (inputs / "Zürich 100%?#.csv").as_uri()) == b"x"
    assert read(storage, "Zürich 100%?#.csv") == b"x"


def test_a_root_may_be_a_uri_or_a_link_or_a_file(tmp_path: Path, inputs: Path) -> None:
    (tmp_path / "mounted").symlink_to(inputs)
    for root in (inputs.as_uri(), str(tmp_path / "mounted"), str(inputs / "firms.csv"), "/"):
        assert read(Storage([root], str(tmp_path)), str(inputs / "firms.csv")) == b"name\nA\n"


def test_escapes_are_refused(
    storage: Storage, tmp_path: Path, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inputs)
    (inputs / "out").symlink_to(tmp_path)
    (inputs / "passwd").symlink_to("/etc/passwd")
    (inputs / "loop").symlink_to("loop")
    for uri in (
        "/etc/passwd",
        "file:///etc/passwd",
        "../secret",
        f"{inputs}/../secret",
        f"file://{inputs}/../secret",
        f"file://{inputs}/%2e%2e/secret",
        f"file://{inputs}/..%2Fsecret",
        f"file://{inputs}/%2E%2E%2Fsecret",
        f"{inputs}-too/secret",
        f"{inputs}/passwd",
        f"{inputs}/out/secret",
        f"{inputs}/out",
        f"{inputs}/loop/../../secret",
        str(tmp_path),
        f"/{inputs}/../secret",
        f"file://elsewhere{inputs}/firms.csv",
        f"file://{inputs}/firms.csv?x",
        f"file://{inputs}/firms.csv#x",
        "file:firms.csv",
        "file://",
        "file:",
        "",
        f"{inputs}/firms.csv\0",
        f"file://{inputs}/firms.csv%00",
        f"file://{inputs}/firms%0A.csv",
        f"{inputs}/\ud800",
        "http://169.254.169.254/latest",
        "https://example.com/firms.csv",
        "s3://bucket/firms.csv",
        "sftp://host/firms.csv",
        "data:text/csv,name",
    ):
        with pytest.raises(InputNotAllowed) as caught:
            storage.check(uri)
        assert type(caught.value) is InputNotAllowed
        assert isinstance(caught.value, ValueError)
        with pytest.raises(InputNotAllowed):
            storage.open(uri)


@on_one_folder
@given(
    parts=st.lists(st.sampled_from(["..", ".", "", "out", "in", "secret", "firms.csv", "%2e%2e", "..%2f"]))
)
def test_no_path_reads_what_lies_outside(storage: Storage, inputs: Path, parts: list[str]) -> None:
    for name, target in (("out", inputs.parent), ("in", inputs)):
        if not (inputs / name).is_symlink():
            (inputs / name).symlink_to(target)
    for uri in ("/".join([str(inputs), *parts]), "/".join([f"file://{inputs}", *parts])):
        try:
            content = read(storage, uri)
        except InputError:
            continue
        assert content == b"name\nA\n"


def test_an_encoded_percent_is_decoded_once(storage: Storage, inputs: Path) -> None:
    with pytest.raises(InputError) as caught:
        storage.open(f"file://{inputs}/%252e%252e/secret")
    assert type(caught.value) is InputNotFound


def test_a_link_put_there_after_the_check_is_not_followed(inputs: Path, storage: Storage) -> None:
    path = inputs / "firms.csv"
    storage.check(str(path))
    path.unlink()
    path.symlink_to(inputs.parent / "secret")
    with pytest.raises(InputNotAllowed):
        storage.open(str(path))
    # Nor one put there between the look and the opening, in the last place or above it.
    (inputs / "folder").symlink_to(inputs.parent)
    for raced in (path, inputs / "folder" / "secret"):
        with pytest.raises(InputError) as caught:
            _open(inputs, raced, str(raced))
        assert type(caught.value) is InputNotFound


def test_missing_inputs(storage: Storage, inputs: Path) -> None:
    (inputs / "loop").symlink_to("loop")
    for name in ("none.csv", "firms.csv/x", "none/x", "loop", "x" * 300):
        storage.check(str(inputs / name))
        with pytest.raises(InputError) as caught:
            storage.open(str(inputs / name))
        assert type(caught.value) is InputNotFound
        assert str(inputs) not in str(caught.value)


def test_only_regular_files_are_inputs(storage: Storage, inputs: Path, tmp_path: Path) -> None:
    os.mkfifo(inputs / "pipe")
    (inputs / "folder").mkdir()
    for storage_, uri in (
        (storage, str(inputs / "pipe")),
        (storage, str(inputs / "folder")),
        (storage, str(inputs)),
        (Storage(["/"], str(tmp_path)), "/"),
        (Storage(["/dev"], str(tmp_path)), "/dev/zero"),
    ):
        with pytest.raises(InputError, match="not a regular file") as caught:
            storage_.open(uri)
        assert type(caught.value) is InputInvalid


def test_nothing_stays_open_after_a_refusal(storage: Storage, inputs: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for uri in (str(inputs), str(inputs / "a" / "b"), "/etc/passwd"):
        with pytest.raises(InputError):
            storage.open(uri)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    "root", ["s3://key:secret@bucket/x", "https://a:secret@b/x", "ftp://b/x", "file://b/x", "", "a\0b"]
)
def test_other_roots_are_refused_at_once(root: str, tmp_path: Path) -> None:
    for inputs, results in (([root], str(tmp_path)), ([str(tmp_path)], root)):
        with pytest.raises(ValueError, match="storage root") as caught:
            Storage(inputs, results)
        assert "secret" not in str(caught.value)


def test_a_result_appears_whole_or_not_at_all(storage: Storage, tmp_path: Path) -> None:
    draft = storage.draft("job-1", "matched.csv")
    final = tmp_path / "results" / "job-1" / "matched.csv"
    assert draft.size == 0
    with draft.append(0) as stream:
        stream.write(b"name\r\n")
    with draft.append(6) as stream:
        stream.write(b"A\r\n")
    assert draft.size == 9
    assert not final.exists()

    file = draft.publish("text/csv", 1)

    assert final.read_bytes() == b"name\r\nA\r\n"
    assert list(final.parent.iterdir()) == [final]
    assert file.uri == final.as_uri()
    assert (file.media_type, file.records, file.bytes) == ("text/csv", 1, 9)
    assert file.sha256 == hashlib.sha256(b"name\r\nA\r\n").hexdigest()
    with storage.open_result(file) as stream:
        assert stream.read() == b"name\r\nA\r\n"


def test_publishing_again_describes_the_same(storage: Storage) -> None:
    with storage.draft("job", "out.csv").append(0) as stream:
        stream.write(b"name\r\n")
    first = storage.draft("job", "out.csv").publish("text/csv", 0)
    assert storage.draft("job", "out.csv").publish("text/csv", 0) == first
    # The same job once more from the start: the same bytes, the same file.
    with storage.draft("job", "out.csv").append(0) as stream:
        stream.write(b"name\r\n")
    assert storage.draft("job", "out.csv").publish("text/csv", 0) == first


class Crash(Exception):
    pass


@on_one_folder
@given(
    pieces=st.lists(st.binary(max_size=20), max_size=6),
    crash_at=st.integers(0, 6),
    torn=st.binary(max_size=20),
)
def test_a_crash_is_made_good_from_the_last_offset(
    storage: Storage, pieces: list[bytes], crash_at: int, torn: bytes
) -> None:
    draft = storage.draft("job", "out")
    with draft.append(0):
        pass
    offset = 0
    for index, piece in enumerate(pieces):
        if index == crash_at:
            with suppress(Crash), draft.append(offset) as stream:
                stream.write(torn)
                raise Crash
        with storage.draft("job", "out").append(offset) as stream:
            stream.write(piece)
            offset = stream.tell()
    file = draft.publish("application/octet-stream", None)
    with storage.open_result(file) as stream:
        assert stream.read() == b"".join(pieces)


@on_one_folder
@given(
    st.lists(st.binary(max_size=20) | st.sampled_from(["store", "crash"]) | st.floats(0, 1), max_size=12),
    st.integers(1, 30),
)
def test_small_pieces_are_gathered_and_none_is_lost_that_was_stored(
    storage: Storage, steps: list[bytes | str | float], gathered: int
) -> None:
    """A fraction goes back to that part of what is written."""
    draft = storage.draft("job", "small")
    draft.remove()
    out = Appender(draft)
    out.begin(0)
    written = stored = b""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drafts, "GATHERED", gathered)
        for step in steps:
            if isinstance(step, bytes):
                out.write(step)
                written += step
            elif isinstance(step, float):
                written = stored = written[: int(len(written) * step)]
                out.begin(len(written))
            elif step == "store":
                out.store()
                stored = written
            else:
                out, written = Appender(storage.draft("job", "small")), stored
                out.begin(len(stored))
            assert out.tell() == len(written)
            assert len(stored) <= out.size <= len(written)
        out.store()
    with draft.open() as stream:
        assert stream.read() == written


def test_a_lost_draft_says_so(storage: Storage, tmp_path: Path) -> None:
    draft = storage.draft("job", "out")
    with pytest.raises(DraftLost):
        draft.publish("text/csv", 0)
    with pytest.raises(DraftLost), draft.append(1):
        pass
    with draft.append(0) as stream:
        stream.write(b"abc")
    with pytest.raises(DraftLost), draft.append(4):
        pass
    assert draft.size == 3
    file = draft.publish("text/csv", 0)
    with pytest.raises(DraftLost), draft.append(2):
        pass
    assert draft.publish("text/csv", 0) == file


def test_results_outside_the_results_are_not_opened(storage: Storage, tmp_path: Path) -> None:
    with storage.draft("job", "out").append(0) as stream:
        stream.write(b"abc")
    file = storage.draft("job", "out").publish("text/csv", 0)
    (tmp_path / "results" / "link").symlink_to(tmp_path / "secret")
    for uri in ((tmp_path / "secret").as_uri(), (tmp_path / "results" / "link").as_uri()):
        with pytest.raises(InputNotAllowed):
            storage.open_result(file.model_copy(update={"uri": uri}))


JOB_IDS = st.text(string.ascii_letters + string.digits + "._:-", min_size=1, max_size=128) | st.text(
    ".:-", min_size=1, max_size=128
)
NAMES = st.text(min_size=1, max_size=300) | st.sampled_from(
    ["..", ".", "/etc/passwd", "../x", "a/b", "a.part", "a.part.part", ".part", "a%2Epart", "\0", "株.csv"]
)


@on_one_folder
@given(st.tuples(JOB_IDS, NAMES), st.tuples(JOB_IDS, NAMES))
def test_no_name_leaves_the_root_or_meets_another(
    storage: Storage, tmp_path: Path, one: tuple[str, str], other: tuple[str, str]
) -> None:
    drafts = [cast("LocalDraft", storage.draft(*key)) for key in (one, other)]
    root = tmp_path / "results"
    places = [draft._path.relative_to(root) for draft in drafts]
    parts = [draft._part.relative_to(root) for draft in drafts]
    for place in places + parts:
        assert len(place.parts) == 2
        assert not {".", ".."} & set(place.parts)
        assert all(len(os.fsencode(part)) <= 255 for part in place.parts)
    assert len({*places, *parts}) == (4 if one != other else 2)


def test_usual_names_stay_as_they_are(storage: Storage, tmp_path: Path) -> None:
    draft = storage.draft("urn:uuid:1-2_3.x", "matched.csv")
    with draft.append(0) as stream:
        stream.write(b"x")
    file = draft.publish("text/csv", 0)
    path = tmp_path / "results" / "urn:uuid:1-2_3.x" / "matched.csv"
    assert path.read_bytes() == b"x"
    assert unquote(urlsplit(file.uri).path) == str(path)
    assert file.uri == f"file://{quote(str(path))}"


@pytest.mark.parametrize("job_id", [".", "..", "...", "a:b", ".hidden", "-", "x.part", "A" * 128, "." * 128])
@pytest.mark.parametrize("name", ["..", "a/../../b", "ü.csv", "x.part", "%2e"])
def test_odd_names_are_stored_and_found(storage: Storage, tmp_path: Path, job_id: str, name: str) -> None:
    with storage.draft(job_id, name).append(0) as stream:
        stream.write(b"x")
    file = storage.draft(job_id, name).publish("text/csv", 0)
    with storage.open_result(file) as stream:
        assert stream.read() == b"x"
    stored = [path for path in tmp_path.rglob("*") if path.is_file() and path.read_bytes() == b"x"]
    assert [path.parent.parent for path in stored] == [tmp_path / "results"]
