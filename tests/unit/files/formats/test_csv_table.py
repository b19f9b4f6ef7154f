"""CSV in and out: verbatim, resumable after every row, wrong bytes named by file, line and column."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.files.errors import InputError, InputInvalid
from workers.files.formats.csv_records import CELL_LIMIT, ROW_LIMIT
from workers.files.formats.csv_table import Position, Table, csv_line

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.text(
    "ab ,\"'\r\n;\té社", max_size=8
)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8)
)


def written(rows: list[list[str]]) -> bytes:
    header = [f"c{number}" for number in range(len(rows[0]) if rows else 1)]
    return b"".join(csv_line(cells) for cells in [header, *rows])


def table(content: bytes, **options: bool) -> Table:
    return Table.open(io.BytesIO(content), "file:///inputs/firms.csv", **options)


def cells(content: bytes) -> list[list[str]]:
    return [cells for cells, _ in table(content).rows()]


def refusal(content: bytes | BinaryIO) -> str:
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    with pytest.raises(InputError) as caught:
        list(Table.open(stream, "file:///inputs/firms.csv").rows())
    assert type(caught.value) is InputInvalid
    return caught.value.message


@given(TABLES)
def test_what_is_written_reads_back(rows: list[list[str]]) -> None:
    assert cells(written(rows)) == rows


@given(TABLES)
def test_other_readers_see_the_same(rows: list[list[str]]) -> None:
    text = written(rows).decode()
    assert list(csv.reader(io.StringIO(text, newline="")))[1:] == rows


@given(TABLES, st.booleans(), st.sampled_from(["\r\n", "\n"]), st.booleans())
def test_reading_resumes_after_any_row(rows: list[list[str]], bom: bool, end: str, last_end: bool) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [["c"] * len(rows[0]), *rows] if rows else [["c"]]
    )
    text = out.getvalue() if last_end else out.getvalue().removesuffix(end)
    content = text.encode("utf-8-sig" if bom else "utf-8")
    whole = list(table(content, allow_repeated_headers=True).rows())
    assert [cells for cells, _ in whole] == rows
    for index, (_, position) in enumerate(whole):
        resumed = Position.of(json.loads(json.dumps(position.json())))
        assert resumed.row == index + 1
        assert content[: resumed.offset].count(b"\n") == resumed.line - (
            content[resumed.offset - 1 : resumed.offset] != b"\n"
        )
        assert list(table(content, allow_repeated_headers=True).rows(resumed)) == whole[index + 1 :]


def test_quoted_line_ends_are_minimal_and_crlf() -> None:
    assert csv_line(["a", "b c", ""]) == b"a,b c,\r\n"
    assert csv_line([""]) == b'""\r\n'
    assert csv_line(['say "x"', "1,2", "1\n2", "1\r2"]) == b'"say ""x""","1,2","1\n2","1\r2"\r\n'


def test_what_utf8_cannot_hold_is_replaced_not_fatal() -> None:
    assert csv_line(["a\0b", "\ud800"]) == "a\ufffdb,\ufffd\r\n".encode()


def test_cells_are_verbatim() -> None:
    content = '\ufeffname,town\n" 株式会社 , ""X"" ",  Köln \r\n=1+1,"a\r\nb"\n'.encode()
    assert table(content).header == ["name", "town"]
    assert cells(content) == [[' 株式会社 , "X" ', "  Köln "], ["=1+1", "a\r\nb"]]


def test_blank_lines_at_the_end_are_no_rows() -> None:
    assert cells(b"a,b\r\n1,2\r\n\r\n\n") == [["1", "2"]]


def test_repeated_headers_on_request() -> None:
    opened = table(b"name,name\r\nA,B\r\n", allow_repeated_headers=True)
    assert opened.header == ["name", "name"]
    assert [row for row, _ in opened.rows()] == [["A", "B"]]


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        (b"", "line 1", "no header"),
        (b"\xef\xbb\xbf", "line 1", "no header"),
        (b"\r\n\r\n", "line 1", "no header"),
        (b"a,b,a\n", "line 1, column 3", "same header as column 1"),
        (b"a, ,c\n", "line 1, column 2", "header is empty"),
        (b"a,b\n1,2\n3\n", "line 3, column 2", "1 cells, where the header has 2"),
        (b'a,b\n"1\n",2\n3,4,5\n', "line 4, column 3", "3 cells, where the header has 2"),
        (b"a,b\n1,2\n\n\n3,4\n", "line 3", "empty line"),
        (b'a,b\n1,2\n3,"4\n5,6\n', "line 3, column 2", "never closed"),
        (b'a,b\n"1,\n",2\n"3,\n","4"5\n', "line 5, column 2", "behind the closing quote"),
        (b"a,b\n1,\xff\n", "line 2, column 2", "not UTF-8 at byte 3"),
        (b'\xef\xbb\xbf"a,",b\xff\n', "line 1, column 2", "not UTF-8 at byte 10"),
        (b'a,b\n"1\n2",caf\xe9\n', "line 3, column 2", "not UTF-8 at byte 7"),
        (b"a,b\n1\x00,2\n", "line 2, column 1", "NUL at byte 2"),
        ("a,b\n".encode("utf-16"), "line 1, column 1", "save the file as CSV in UTF-8"),
        (b"a,b\r1,2\r", "line 1, column 2", "CR alone"),
        (b'a,b\n1,"2"\r3,4\n', "line 2, column 2", "CR alone"),
        (b"a,b\n1," + b"x" * (CELL_LIMIT + 1) + b"\n", "line 2, column 2", "more than 1048576 characters"),
        (b'a,b\n1,"' + b"x\n" * CELL_LIMIT, "line 2, column 2", "more than 1048576 characters"),
    ],
)
def test_errors_name_file_line_and_column(content: bytes, where: str, what: str) -> None:
    message = refusal(content)
    assert message.startswith(f"firms.csv, {where}: ")
    assert what in message


def test_errors_do_not_tell_what_the_cells_hold() -> None:
    for content in (b"secret,secret\n", b'a\n"secret"x\n', b"a\nsecret,secret\n", b"a\nsecret\xff\n"):
        assert "secret" not in refusal(content)


def test_a_line_without_end_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "firms.csv").open("wb+") as stream:
        stream.truncate(2**30)  # sparse: 1 GB that takes no disk
        tracemalloc.start()
        try:
            message = refusal(stream)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert message.startswith("firms.csv, line 1: the row has more than")
    assert peak < 4 * ROW_LIMIT


def test_a_row_of_many_lines_is_bounded_too() -> None:
    row = b",".join([b'"' + b"x\n" * (CELL_LIMIT // 2 - 1) + b'"'] * 9)
    assert refusal(b"a,b\n" + row).startswith("firms.csv, line 2: the row has more than")


def test_a_file_cut_since_is_not_silently_finished() -> None:
    content = b"a,b\n1,2\n3,4\n"
    *_, (_, last) = table(content).rows()
    for changed in (content[:8], b"a,b\n1,2\n3,44444\n"):
        with pytest.raises(InputError, match="has changed") as caught:
            list(table(changed).rows(last))
        assert type(caught.value) is InputInvalid


LINES = st.lists(
    st.sampled_from(
        ["1,2", "é,b", '"x, y",z', '"two\nlines",c', "", "only", "a,b,c", '"open', "a\rb,c", "\0,n"]
    ),
    max_size=12,
)


@given(
    LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 4), st.integers(1, 40), st.data()
)
def test_batches_are_the_rows(
    lines: list[str], ending: str, ended: bool, most: int, size: int, data: st.DataObject
) -> None:
    """All of them, in the same order, with the same errors; wherever reading goes on, the same batches follow."""
    content = ending.join(["c0,c1", *lines, *([""] if ended else [])]).encode()
    rows: list[tuple[list[str], Position]] = []
    batches: list[tuple[list[list[str]], Position]] = []
    messages: list[str] = []
    try:
        rows.extend(table(content).rows())
    except InputError as failed:
        messages.append(failed.message)
    try:
        batches.extend(table(content).batches(None, most, size))
    except InputError as failed:
        messages.append(failed.message)
    whole = [cells for cells, _ in rows]
    assert len(set(messages)) == len(messages) // 2, "one refuses, the other does not, or says something else"
    found = [cells for batch, _ in batches for cells in batch]
    assert found == whole if not messages else found == whole[: len(found)]
    assert all(position == rows[position.row - 1][1] for _, position in batches)
    assert all(len(batch) <= most for batch, _ in batches)
    if batches and not messages:
        place = data.draw(st.integers(0, len(batches) - 1))
        assert list(table(content).batches(batches[place][1], most, size)) == batches[place + 1 :]


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 60), st.data())
def test_spans_end_behind_rows(
    lines: list[str], ending: str, ended: bool, size: int, data: st.DataObject
) -> None:
    """They hold all of them, with the same errors; wherever reading goes on, the same spans follow."""
    content = ending.join(["c0,c1", *lines, *([""] if ended else [])]).encode()
    rows: list[Position] = []
    spans: list[Position] = []
    messages: list[str] = []
    try:
        rows.extend(position for _, position in table(content).rows())
    except InputError as failed:
        messages.append(failed.message)
    try:
        spans.extend(table(content).spans(None, size))
    except InputError as failed:
        messages.append(failed.message)
    assert len(set(messages)) == len(messages) // 2, "one refuses, the other does not, or says something else"
    assert all(position == rows[position.row - 1] for position in spans)
    assert all(later.row - before.row > 0 for before, later in pairwise(spans))
    if spans and not messages:
        assert spans[-1] == rows[-1]
        place = data.draw(st.integers(0, len(spans) - 1))
        assert list(table(content).spans(spans[place], size)) == spans[place + 1 :]
