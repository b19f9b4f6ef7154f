"""Inputs of any usual kind become one kind, cell by cell; bad ones are named, hostile ones stopped."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import re
import tracemalloc
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.files.formats.test_csv_table import CELLS
from workers.files.errors import InputError, InputInvalid
from workers.files.formats import archives, xlsx
from workers.files.formats import convert as converting
from workers.files.formats.convert import ReadOptions, convert
from workers.files.formats.csv_records import ROW_LIMIT
from workers.files.formats.csv_table import Table
from workers.files.formats.sniff import DetectedFormat, sniff
from workers.files.storage import Storage

Rows = list[list[str]]
HEADER = ["name", "town"]
on_one_folder = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40
)


class Folder:
    """Inputs, and what becomes of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.storage = Storage([str(path)], str(path / "results"))

    def put(self, content: bytes, name: str = "firms") -> str:
        (self.path / name).write_bytes(content)
        return str(self.path / name)

    def sniff(self, uri: str) -> DetectedFormat:
        with self.storage.open(uri) as stream:
            return DetectedFormat.of(json.loads(json.dumps(sniff(stream, uri).json())))

    def take_in(self, uri: str, *, strict: bool = True, stops: int | None = None, **wanted: Any) -> Any:
        """Return the last checkpoint; with `stops`, each turn ends after that number of checkpoints."""
        found = self.sniff(uri)
        copy, rejects = self.storage.draft("job", "copy"), self.storage.draft("job", "rejects")
        at: Any = None
        while True:
            pieces = convert(self.storage, found, ReadOptions(uri, strict, **wanted), copy, rejects, at)
            number = 0
            for number, at in enumerate(pieces, start=1):
                at = json.loads(json.dumps(at))  # noqa: PLW2901 - as it comes back from the ledger
                if number == stops:
                    break
            pieces.close()
            if number != stops:
                return at

    def rows(self, uri: str, **options: Any) -> Rows:
        """Header and rows of what a job reads."""
        self.take_in(uri, **options)
        with self.storage.draft("job", "copy").open() as stream:
            table = Table.open(stream, uri, allow_repeated_headers=True)
            return [table.header, *(cells for cells, _ in table.rows())]

    def written(self) -> list[bytes]:
        found = []
        for name in ("copy", "rejects"):
            draft = self.storage.draft("job", name)
            if draft.size:
                with draft.open() as stream:
                    found.append(stream.read())
        return found

    def clear(self) -> None:
        for name in ("copy", "rejects"):
            self.storage.draft("job", name).remove()

    def refusal(self, content: bytes, name: str = "firms", **options: Any) -> InputError:
        with pytest.raises(InputError) as caught:
            self.take_in(self.put(content, name), **options)
        assert type(caught.value) is InputInvalid
        return caught.value

    def rejects(self) -> Rows:
        text = self.written()[1].decode()
        return list(csv.reader(io.StringIO(text, newline="")))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# -- texts ------------------------------------------------------------------------------------------------

WORDS = st.text(st.sampled_from("abcÄß,;|\t\"'\n株 €7=\u2028"), max_size=6)
TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(WORDS, min_size=width, max_size=width), min_size=1, max_size=8)
)


def packed(data: bytes, container: str | None) -> bytes:
    if container == "gzip":
        return gzip.compress(data)
    if container == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("../etc/firms.csv", data)
        return out.getvalue()
    return data


def text_of(rows: Rows, delimiter: str = ",", end: str = "\r\n") -> str:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    return out.getvalue()


@on_one_folder
@given(
    TABLES,
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\r\n", "\n"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]),
    st.sampled_from([None, "gzip", "zip"]),
    st.integers(1, 3),
)
@example([["é", ""]], ";", "\n", "cp1252", "zip", 1)
def test_any_text_comes_back_cell_by_cell(
    folder: Folder, rows: Rows, delimiter: str, end: str, encoding: str, container: str | None, piece: int
) -> None:
    """Also when it is cut off after every piece: the same bytes."""
    header = [f"column {number}" for number in range(len(rows[0]))]
    if encoding not in {"utf-8", "utf-8-sig", "utf-16"}:
        # Windows-1252 has not all of them, and what it has may look like UTF-8; UTF-16 is told by its ASCII.
        rows = [[re.sub("[株€\u2028]", "x", cell) for cell in row] for row in rows]
    uri = folder.put(packed(text_of([header, *rows], delimiter, end).encode(encoding), container))
    folder.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converting, "PIECE_ROWS", 1_000)
        assert folder.rows(uri) == [header, *rows]
        whole = folder.written()
        patch.setattr(converting, "PIECE_ROWS", piece)
        folder.take_in(uri, stops=1)
    assert folder.written() == whole


def test_plain_csv_is_read_where_it_is(folder: Folder) -> None:
    for content in (b"name,town\r\nA,B\r\n", b"\xef\xbb\xbfname\nA\n", "name,täöwn\n".encode()):
        assert folder.sniff(folder.put(content)).plain
    for content in (b"a;b\n", b"a\tb\n1\t2\n", b"a,b\r1,2\r", b"sep=,\na,b\n", gzip.compress(b"a,b\n1,2\n")):
        assert not folder.sniff(folder.put(content)).plain


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b'name;town\n"A; B";caf\xe9\n', [HEADER, ["A; B", "café"]]),
        (b"sep=;\r\nname;town, x\r\nA;B\r\n", [["name", "town, x"], ["A", "B"]]),
        (b'name,town\r"A",B\r', [HEADER, ["A", "B"]]),
        (b"name|town, or city\nA|B\nC|D, E\n", [["name", "town, or city"], ["A", "B"], ["C", "D, E"]]),
        (b"name\n\x80 5\n", [["name"], ["€ 5"]]),
        (b"a;b\n1;2\n\n\n", [["a", "b"], ["1", "2"]]),
    ],
)
def test_dialects(folder: Folder, content: bytes, rows: Rows) -> None:
    assert folder.rows(folder.put(content)) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b;c\n", "separated by ',' or ';'"),
        (b"a;b\n1;\x81\xe9\n", "firms, line 2, column 2: not Windows-1252 at byte 3 of the line"),
        ("a;b\né;2\n".encode() + b"\xff;3\n", "firms, line 3, column 1: not UTF-8 at byte 1 of the line"),
        ("a\tb\n1\t2\n3\n".encode("utf-16"), "firms, line 3, column 2: 1 cells, where the header has 2"),
        ("a\tb\n1\t2\n".encode("utf-16") + b"\x00\xd8\t\x00\n\x00", "line 3, column 1: not UTF-16 at byte 1"),
        (b"a;b\n1;\0\n", "firms, line 2, column 2: NUL at byte 3 of the line"),
        (b"a;b\n\n1;2\n", "firms, line 2: an empty line between rows"),
        (b"a;a\n1;2\n", "line 1, column 2: the same header as column 1"),
        (b"a;b\n", "holds no rows, only a header"),
        (b"%PDF-1.4", "a PDF document, which is not read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an Excel workbook of before 2007"),
        ("a,b\n".encode("utf-32"), "text in UTF-32"),
    ],
)
def test_texts_that_are_refused(folder: Folder, content: bytes, message: str) -> None:
    assert message in folder.refusal(content).message


def test_the_value_is_in_the_detail_alone(folder: Folder) -> None:
    failed = folder.refusal(b"name;town\nA;B\nC;" + b"D" * 70 + b'"; secret\n')
    assert failed.message == "firms, line 3, column 3: 3 cells, where the header has 2"
    assert failed.detail == "the value there is ' secret'"
    failed = folder.refusal(b'name;town\nA;"' + b"secret " * 20)
    assert "secret" not in failed.message
    assert failed.detail == f"the value there is {(chr(34) + 'secret ' * 20)[:64]!r}…"


# -- strict or not ----------------------------------------------------------------------------------------

MIXED = (
    b"name;town\n"
    b"A;1\n"
    b"=B;too;many\n"
    b"\n"
    b'"C;is never closed\n'
    b"D;2\n"
    b"caf\xe9;\xff\x81\n"
    b'"E\nF";3\n'
    b'"G";"x" y\n'
    b";\n"
    b'"two\nlines";"and";"more"\n'
    b"H;4\n"
)


def test_bad_rows_are_listed_and_good_ones_go_on(folder: Folder) -> None:
    def check_row(cells: list[str]) -> tuple[None, str] | None:
        return None if any(cells) else (None, "every cell is empty")

    uri = folder.put(MIXED)
    assert folder.rows(uri, strict=False, check_row=check_row) == [
        HEADER,
        ["A", "1"],
        ["D", "2"],
        ["E\nF", "3"],
        ["H", "4"],
    ]
    assert folder.rejects() == [
        ["line", "column", "reason", "row"],
        ["3", "3", "3 cells, where the header has 2", "'=B;too;many"],
        [
            "5",
            "1",
            'text behind the closing quote; a quote inside a cell is written ""',
            '"C;is never closed',
        ],
        ["7", "2", "not Windows-1252 at byte 7 of the line; save the file as CSV in UTF-8", "café;ÿ\\x81"],
        ["10", "2", 'text behind the closing quote; a quote inside a cell is written ""', '"G";"x" y'],
        ["11", "", "every cell is empty", ";"],
        ["12", "3", "3 cells, where the header has 2", '"two\nlines";"and";"more"'],
    ]
    whole = folder.written()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converting, "PIECE_ROWS", 1)
        at = folder.take_in(uri, strict=False, check_row=check_row, stops=1)
    assert folder.written() == whole
    assert (at["done"], at["rejected"], at["rows"]) == (4, 6, 10)


@on_one_folder
@given(
    st.lists(st.sampled_from([*MIXED.decode("latin-1").splitlines(), '"', '""', 'a;"b', "x"]), max_size=12)
)
def test_no_line_disappears(folder: Folder, lines: list[str]) -> None:
    """Whatever the quotes do, every line that holds something is in a good row or in the list of bad ones."""
    content = "\n".join(["name;town", "A;1", *lines, ""]).encode("latin-1")
    folder.clear()
    rows = folder.rows(folder.put(content), strict=False)
    bad = folder.rejects()[1:] if len(folder.written()) > 1 else []
    good = sum(len([part for cell in row for part in cell.split("\n")]) - len(row) + 1 for row in rows)
    listed = sum(row[3].count("\n") + 1 for row in bad)
    assert good + listed >= 2 + sum(bool(line) for line in lines)


def test_a_file_of_bad_rows_alone_is_refused(folder: Folder) -> None:
    message = folder.refusal(b"a;b\n1\n2\n", strict=False).message
    assert message.startswith("none of the 2 rows of firms can be used; the first: line 2: 1 cells")


def test_a_file_that_changes_meanwhile_is_noticed(folder: Folder) -> None:
    uri = folder.put(b"a;b\n1;2\n")
    assert folder.take_in(uri, size=8)["rows"] == 1
    with pytest.raises(InputError, match="has changed since"):
        folder.take_in(uri, size=9)


def test_a_line_without_end_costs_only_itself(folder: Folder) -> None:
    uri = folder.put(b"a;b\n1;2\n" + b"x" * (ROW_LIMIT + 100_000) + b"\n3;4\n")
    tracemalloc.start()
    try:
        assert folder.rows(uri, strict=False) == [["a", "b"], ["1", "2"], ["3", "4"]]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * ROW_LIMIT
    [_, [line, column, reason, row]] = folder.rejects()
    assert (line, column) == ("3", "")
    assert "more than 8388608 bytes" in reason
    assert len(row) <= converting.REJECT_LIMIT + 1


def test_a_gigabyte_in_one_line_is_refused_at_once(folder: Folder) -> None:
    uri = folder.put(b"a;b\n")
    with Path(uri).open("r+b") as stream:
        stream.seek(2**30)
        stream.write(b"x")
    with pytest.raises(InputError, match="more than 8388608 bytes"):
        folder.take_in(uri)


# -- packed -----------------------------------------------------------------------------------------------


def zipped(*names: str, data: bytes = b"a;b\n1;2\n", **options: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data, **options)
    return out.getvalue()


def encrypted() -> bytes:
    data = bytearray(zipped("firms.csv"))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../firms.csv", "C:\\firms.csv", "a/b/c.csv"])
def test_names_in_archives_are_never_used(folder: Folder, name: str) -> None:
    before = set(folder.path.rglob("*"))
    assert folder.rows(folder.put(zipped(name, "__MACOSX/._firms.csv", "folder/"))) == [
        ["a", "b"],
        ["1", "2"],
    ]
    assert {path.name for path in set(folder.path.rglob("*")) - before} == {
        "firms",
        "results",
        "job",
        "copy.part",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped("a.csv", "b.csv"), "holds 2 files; it must hold exactly one"),
        (zipped(), "holds 0 files"),
        (zipped("a.csv", data=zipped("b.csv")), "a packed file inside a packed file"),
        (gzip.compress(gzip.compress(b"a;b\n")), "a packed file inside a packed file"),
        (zipped("a.csv", compress_type=zipfile.ZIP_BZIP2), "packed in an unusual way"),
        (encrypted(), "encrypted; save it without a password"),
        (zipped("a.csv")[:-30], "the zip archive is broken (BadZipFile)"),
        (gzip.compress(b"a;b\n" * 1000)[:-20], "cannot be unpacked to its end (EOFError)"),
        (gzip.compress(b"a;b\n1;2\n") + b"rubbish", "cannot be unpacked to its end (BadGzipFile)"),
        (zipped("word/document.xml"), "an office document that is no XLSX workbook"),
        (gzip.compress(b"x" * 257 + b"ustar\x0000" + bytes(200)), "a tar archive, which is not read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "archive",  # archives hold the time
)
def test_archives_that_are_refused(folder: Folder, content: bytes, message: str) -> None:
    assert message in folder.refusal(content).message


@pytest.mark.parametrize("container", ["gzip", "zip"])
def test_bombs_are_stopped(folder: Folder, container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "RATIO_FROM", 1024 * 1024)
    bomb = packed(b"a;b\n" + b"1;2\n" * 2_000_000, container)
    assert "more than 200 times as large" in folder.refusal(bomb).message
    monkeypatch.setattr(archives, "EXPANDED_LIMIT", 1_000_000)
    assert "more than 1000000 bytes once unpacked" in folder.refusal(bomb).message


# -- workbooks --------------------------------------------------------------------------------------------


def saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def book_of(rows: list[list[Any]]) -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    return book


def repacked(content: bytes, part: str, change: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name == part else data)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
TEXTS = "xl/sharedStrings.xml"


def shared() -> bytes:
    """A workbook as Excel writes it, with its texts in a part of their own."""
    out = io.BytesIO(saved(book_of([[1, 2], [3, 4]])))
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        texts = "".join(f"<si><t>{text}</t></si>" for text in ("name", "town", "A", "B"))
        main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
        archive.writestr(TEXTS, f'<?xml version="1.0"?><sst xmlns="{main}">{texts}</sst>')
    numbered = repacked(out.getvalue(), SHEET, lambda xml: xml.replace(b't="n"', b't="s"'))
    for number in range(1, 5):
        old, new = f"<v>{number}</v>".encode(), f"<v>{number - 1}</v>".encode()
        numbered = repacked(numbered, SHEET, lambda xml, old=old, new=new: xml.replace(old, new))
    return numbered


@on_one_folder
@given(
    st.lists(
        st.lists(st.text('abÄ株,;"\n 7_x0', max_size=6), min_size=2, max_size=2).filter(any),
        min_size=1,
        max_size=6,
    )
)
def test_any_workbook_comes_back_cell_by_cell(folder: Folder, rows: Rows) -> None:
    folder.clear()
    book = book_of([HEADER])
    for number, row in enumerate(rows, 2):
        for column, cell in enumerate(row, 1):
            book.active.cell(number, column).value = cell or None
            book.active.cell(number, column).data_type = "s"
    assert folder.rows(folder.put(saved(book))) == [HEADER, *rows]


def test_cells_of_a_workbook(folder: Folder) -> None:
    values = [
        (7, "7"),
        (7.0, "7"),
        (0.1 + 0.2, "0.3"),
        (1e20, "100000000000000000000"),
        (1e-7, "0.0000001"),
        (True, "TRUE"),
        (datetime.date(2026, 8, 3), "2026-08-03"),
        (datetime.datetime(2026, 8, 3, 9, 30), "2026-08-03T09:30:00"),  # noqa: DTZ001
        (datetime.time(9, 30), "09:30:00"),
        (datetime.date(1900, 1, 1), "1900-01-01"),
        ("007", "007"),
        ("=1+1", None),
    ]
    book = book_of([["value", "more"], *([value] for value, _ in values[:-1])])
    padded = book.active.cell(len(values) + 1, 1, 445790)
    padded.number_format = "00000000"
    rows = folder.rows(folder.put(saved(book)))
    assert rows == [["value", "more"], *([text, ""] for _, text in values[:-1]), ["00445790", ""]]


def test_workbooks_that_are_refused(folder: Folder) -> None:
    two = book_of([HEADER, ["A", "B"]])
    two.create_sheet("more").append(["x"])
    assert "2 sheets hold data; hide all but one" in folder.refusal(saved(two)).message
    two["more"].sheet_state = "hidden"
    two.create_sheet("empty")
    assert folder.rows(folder.put(saved(two))) == [HEADER, ["A", "B"]]
    two["Sheet"].sheet_state = "hidden"
    assert "no visible sheet holds anything" in folder.refusal(saved(two)).message

    wide = folder.refusal(saved(book_of([HEADER, ["A", "B"], ["C", None, None, "D"]])))
    assert wide.message == "firms, row 3, column 4: a value in column 4, where the header has 2"
    assert wide.detail == "the value there is 'D'"
    assert "row 3: an empty row" in folder.refusal(saved(book_of([HEADER, ["A"], [], ["B"]]))).message
    formula = saved(book_of([HEADER, ["A", "=1+1"]]))
    assert "row 2, column 2: a formula without its result" in folder.refusal(formula).message
    error = repacked(
        saved(book_of([HEADER, ["A", 5]])), SHEET, lambda xml: xml.replace(b'r="B2" t="n"', b'r="B2" t="e"')
    )
    assert "row 2, column 2: the cell is an error" in folder.refusal(error).message


def test_workbooks_that_are_hostile(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    good = shared()
    assert folder.rows(folder.put(good)) == [HEADER, ["A", "B"]]
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    for part in (SHEET, TEXTS, "xl/workbook.xml"):
        bad = repacked(
            good,
            part,
            lambda xml: entities + xml[xml.index(b"?>") + 2 :] if b"?>" in xml[:60] else entities + xml,
        )
        assert "defines XML entities" in folder.refusal(bad).message
        assert "is broken" in folder.refusal(repacked(good, part, lambda xml: xml[:-20])).message
    far = repacked(good, SHEET, lambda xml: xml.replace(b'r="2"', b'r="99999999"'))
    assert "broken behind row 1" in folder.refusal(far).message
    backwards = repacked(good, SHEET, lambda xml: xml.replace(b'r="B2"', b'r="A2"'))
    assert "broken in row 2" in folder.refusal(backwards).message
    wrong = repacked(good, SHEET, lambda xml: xml.replace(b"<v>3</v>", b"<v>99</v>"))
    assert "holds no value of its kind" in folder.refusal(wrong).message
    monkeypatch.setattr(xlsx, "PIECE_LIMIT", 1_000_000)
    long = repacked(good, TEXTS, lambda xml: xml.replace(b"name", b"x" * 2_000_000))
    assert "more than 1000000 bytes" in folder.refusal(long).message
    monkeypatch.setattr(archives, "RATIO_FROM", 1_000_000)
    assert "200 times as large" in folder.refusal(long).message


# -- columns ----------------------------------------------------------------------------------------------


@on_one_folder
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), min_size=1, max_size=8), st.integers(1, 4))
def test_any_parquet_comes_back_cell_by_cell(folder: Folder, rows: Rows, group: int) -> None:
    folder.clear()
    out = io.BytesIO()
    columns = [list(column) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(dict(zip(HEADER, columns, strict=True))), out, row_group_size=group)
    uri = folder.put(out.getvalue())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converting, "PIECE_ROWS", 1_000)
        assert folder.rows(uri) == [HEADER, *rows]
        whole = folder.written()
        patch.setattr(converting, "PIECE_ROWS", 1)
        folder.take_in(uri, stops=1)
    assert folder.written() == whole


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def test_values_of_parquet(folder: Folder) -> None:
    content = parquet(
        whole=[7, None],
        half=[1.5, 7.0],
        exact=[Decimal("7.10"), Decimal("0.00")],
        yes=[True, False],
        day=[datetime.date(2026, 8, 3)] * 2,
        at=pa.array([datetime.datetime(2026, 8, 3, 9, 30)] * 2, pa.timestamp("s")),  # noqa: DTZ001
        word=pa.array(["a", "b"]).dictionary_encode(),
        raw=[b"caf\xc3\xa9", b""],
    )
    _, first, second = folder.rows(folder.put(content))
    assert first == ["7", "1.5", "7.10", "true", "2026-08-03", "2026-08-03T09:30:00", "a", "café"]
    assert second == ["", "7", "0.00", "false", "2026-08-03", "2026-08-03T09:30:00", "b", ""]


def test_parquet_that_is_refused(folder: Folder) -> None:
    good = parquet(name=["A", "B"])
    assert "column 1 holds lists" in folder.refusal(parquet(name=[["A"]])).message
    assert "the Parquet file is broken" in folder.refusal(good[:-9]).message
    assert "the Parquet file is broken" in folder.refusal(good[:40] + b"\xff" * 20 + good[60:]).message
    bad = folder.refusal(parquet(name=["A", "B"], raw=[b"x", b"\xff"]))
    assert bad.message == "firms, row 2, column 2: not UTF-8 at byte 1 of the cell"
    nul = parquet(name=["A", "B\0", "C"])
    assert "row 2, column 1: NUL in the cell" in folder.refusal(nul).message
    assert folder.rows(folder.put(nul), strict=False) == [["name"], ["A"], ["C"]]
    assert folder.rejects()[1] == ["2", "1", "NUL in the cell; take it out", "B\ufffd"]
