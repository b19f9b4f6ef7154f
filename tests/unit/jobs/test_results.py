"""Results in every format: whole or not at all, the same bytes each time, and read back as they were."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messages.base import File, TableFormat, dump
from tests.support.turn_harness import LIMITS, TurnHarness
from tests.unit.files.formats.test_csv_table import CELLS
from workers.engine.context import Run
from workers.engine.turns import Turns
from workers.files.formats import parquet_writer
from workers.files.formats.csv_table import csv_line, dedupe_header
from workers.files.storage import Storage
from workers.files.storage.local import LocalDraft
from workers.jobs import results
from workers.jobs.results import publish_table

TABLES = st.integers(1, 4).flatmap(
    lambda width: st.tuples(
        st.lists(CELLS.filter(str.strip), min_size=width, max_size=width),
        st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=12),
    )
)
Rows = list[list[str]]


class Publishing:
    """A job that writes a table and publishes it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.storage = Storage([str(folder)], str(folder / "results"))
        self.folder = folder
        self.turns = TurnHarness(url, folder, self._play)
        self.number = 0
        self.play: Callable[[Run], dict[str, Any]] = lambda _run: {}

    def _play(self, run: Run) -> dict[str, Any]:
        return self.play(run)

    def publish(self, header: list[str], rows: Rows, format: TableFormat, records: int | None = None) -> File:
        self.number += 1

        def play(run: Run) -> dict[str, Any]:
            def write(at: Any) -> Generator[dict[str, Any]]:
                if at is not None:
                    return
                with self.storage.draft(run.job_id, "out.csv").append(0) as out:
                    out.writelines(csv_line(cells) for cells in [header, *rows])
                yield {"done": len(rows)}

            run.transfer("write", write, kind="write")
            count = len(rows) if records is None else records
            return dump(publish_table(run, self.storage, "out", count, format))

        self.play = play
        job_id = f"job-{self.number}"
        self.turns.arrive(job_id)
        job = self.turns.drive(job_id)
        assert job.result is not None, job.error
        return File.model_validate(job.result["statistics"])

    def files(self) -> list[str]:
        return [path.name for path in (self.folder / "results" / f"job-{self.number}").iterdir()]


@pytest.fixture
def publishing(tmp_path: Path, sqlite_url: str) -> Iterator[Publishing]:
    publishing = Publishing(tmp_path, sqlite_url)
    yield publishing
    publishing.turns.database.close()


def path(file: File) -> Path:
    return Path(unquote(file.uri.removeprefix("file://")))


def read(file: File) -> Rows:
    """The rows of a result that is not CSV."""
    if file.media_type == results.PARQUET:
        return [list(map(str, row.values())) for row in pq.read_table(path(file)).to_pylist()]
    return [list(json.loads(line).values()) for line in path(file).read_text().split("\n")[:-1]]


@pytest.mark.parametrize(
    ("format", "media_type"),
    [("csv", "text/csv"), ("jsonl", "application/x-ndjson"), ("parquet", "application/vnd.apache.parquet")],
)
def test_a_table_is_published_in_the_format_asked_for(
    publishing: Publishing, format: TableFormat, media_type: str
) -> None:
    header, rows = ["name", "name", "n"], [["Nestlé", "=1+1", "007"], ["two\nlines", "", "1e3"]]
    file = publishing.publish(header, rows, format)
    assert (file.media_type, file.records) == (media_type, 2)
    assert publishing.files() == [f"out.{format}"]
    if format == "csv":
        assert path(file).read_bytes() == b"".join(csv_line(cells) for cells in [header, *rows])
    else:
        assert read(file) == rows
    if format == "jsonl":
        assert json.loads(path(file).read_text().splitlines()[0]) == {
            "name": "Nestlé",
            "name_2": "=1+1",
            "n": "007",
        }


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_conversions_read_back_and_are_the_same_again(
    publishing: Publishing, format: TableFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when each slice is as short as can be."""
    monkeypatch.setattr(parquet_writer, "GROUP_ROWS", 3)
    turns = publishing.turns.turns

    @settings(max_examples=20, deadline=None)
    @given(TABLES)
    def check(table: tuple[list[str], Rows]) -> None:
        header, rows = table
        publishing.turns.turns = turns
        monkeypatch.setattr(results, "CONVERT_ROWS", 5_000)
        first = publishing.publish(header, rows, format)
        monkeypatch.setattr(results, "CONVERT_ROWS", 2)
        publishing.turns.turns = Turns(
            turns._store, turns._jobs, turns._services, replace(LIMITS, time_slice=0.0), 60.0, lambda: False
        )
        second = publishing.publish(header, rows, format)
        assert read(first) == rows
        assert (first.sha256, first.bytes) == (second.sha256, second.bytes)

    check()


@given(st.lists(st.sampled_from(["a", "a_2", "a_3", "b"]), max_size=8))
def test_distinct_names_are_distinct_and_as_they_were_where_they_can_be(header: list[str]) -> None:
    names = dedupe_header(header)
    assert len(set(names)) == len(header)
    assert set(header) <= set(names)
    if len(set(header)) == len(header):
        assert names == header


def test_a_crash_after_the_name_was_given_changes_nothing(
    publishing: Publishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = LocalDraft.remove

    def crash(draft: LocalDraft) -> None:
        monkeypatch.setattr(LocalDraft, "remove", remove)
        raise SystemExit

    monkeypatch.setattr(LocalDraft, "remove", crash)
    with pytest.raises(SystemExit):
        publishing.publish(["a"], [["1"]], "parquet")
    job = publishing.turns.drive(f"job-{publishing.number}")
    assert job.result is not None, job.error
    assert read(File.model_validate(job.result["statistics"])) == [["1"]]
    assert publishing.files() == ["out.parquet"]


def test_a_wrong_count_is_a_defect_and_nothing_appears(publishing: Publishing) -> None:
    for format in ("jsonl", "parquet"):
        with pytest.raises(AssertionError, match="internal_error"):
            publishing.publish(["a"], [["1"]], format, records=2)
        assert f"out.{format}" not in publishing.files()
