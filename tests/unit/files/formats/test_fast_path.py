from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from workers.files.formats.csv_records import CELL_LIMIT, Records, RowError
from workers.files.formats.fast_path import count_plain_rows

#: What decides, and one of everything else.
ALPHABET = ['"', '""', ",", "\n", "\r\n", "\r", "\0", "a", "é"]
lines = st.lists(st.sampled_from(ALPHABET), max_size=24).map(lambda parts: "".join([*parts, "\n"]).encode())
cells = st.text(st.sampled_from('a,"é'), max_size=4).map(
    lambda text: f'"{text.replace(chr(34), chr(34) * 2)}"' if set(text) & set(',"') else text
)


def rows_of(data: bytes) -> list[list[str]] | None:
    """The rows by the reader that knows all; None if it finds fault."""
    # behind a header's line: only there a byte order mark means something
    records = list(Records(io.BytesIO(b"h\n" + data), offset=2, line=1))
    return None if any(isinstance(cells, RowError) or not cells for cells in records) else records  # type: ignore[return-value]


@given(lines, st.integers(1, 4))
def test_what_passes_are_the_rows_that_the_reader_finds(data: bytes, width: int) -> None:
    count = count_plain_rows(data, width)
    if count is not None:
        found = rows_of(data)
        assert found is not None
        assert len(found) == count == data.count(b"\n")
        assert {len(cells) for cells in found} == {width}


@given(st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1), st.sampled_from(["\n", "\r\n"]))
def test_rows_on_one_line_each_pass_however_they_are_quoted(rows: list[list[str]], newline: str) -> None:
    data = "".join(",".join(row) + newline for row in rows).encode()
    assert count_plain_rows(data, 3) == len(rows)


def test_what_it_cannot_know_is_left_to_the_reader() -> None:
    assert count_plain_rows(b"a\n", 1) is None  # as an empty line would be a row
    assert count_plain_rows(b"a" * CELL_LIMIT + b",b\n", 2) is None
    assert count_plain_rows(b'a,"b\nc"\n', 2) is None
    assert count_plain_rows(b"\xff,b\n", 2) is None
