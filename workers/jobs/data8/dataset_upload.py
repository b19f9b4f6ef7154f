"""CSV files into Data8's datasets: names, column types, blocks."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, NotRequired, TypedDict

from clients.data8 import Assumptions, Data8
from clients.data8.assumptions import BLOCK_LIMIT
from clients.errors import NotFound, OutcomeUnknown, RateLimited, Rejected, VendorUnavailable
from messages.data8 import ColumnType
from messages.errors import Code
from workers.engine.context import Run
from workers.errors import JobFailed
from workers.files.formats.csv_table import Position, Table
from workers.files.storage import file_name
from workers.jobs.input import InputTable

#: Bytes of the file in one block: the size of a request that Data8 accepts is not published.
BLOCK_BYTES = 1024 * 1024
#: The number of a dataset's first block; assumed: any whole number is one, their order is all that counts.
FIRST_BLOCK = 1
#: Blocks on their way at once, if `KYB_DATA8__CONCURRENCY` allows as many. Assumed: one may overtake another,
#: as Data8 processes them by their numbers; with 1 they go one by one.
BLOCKS_AT_ONCE = 8
#: Characters of ours in a name at Data8: how long names may be is not published.
NAME_LIMIT = 60

_WHOLE = re.compile("0|-?[1-9][0-9]{0,18}")
#: Cells with a NUL behind each, which no cell holds: empty, or whole numbers that are certainly of 64 bits.
_SHORT_NUMBERS = re.compile("(?:(?:0|-?[1-9][0-9]{0,17})?\0)*+")
_EMPTY, _WHOLE_NUMBER, _TEXT = range(3)
_DECLARED: dict[ColumnType | None, int] = {"whole_number": _WHOLE_NUMBER, "text": _TEXT}


class InspectCheckpoint(TypedDict):
    """Checkpoint of inspecting a file, with the kinds of its columns; `columns` once it was inspected whole."""

    done: int
    position: NotRequired[dict[str, int]]
    kinds: NotRequired[list[int]]
    columns: NotRequired[list[list[Any]]]


class UploadCheckpoint(TypedDict):
    """Checkpoint of an upload: the last block, and rows."""

    done: int
    position: NotRequired[dict[str, int]]
    block: NotRequired[int]


class DeclaredTypes:
    """The declared types of a file's columns, by their names in its header. Call `check_header` first."""

    def __init__(self, types: Mapping[str, ColumnType]) -> None:
        self._types = types
        self._numbers: list[int] = []

    def check_header(self, header: list[str], uri: str) -> None:
        """Raise `input_invalid` for a column that the file does not have."""
        if missing := self._types.keys() - set(header):
            shown = ", ".join(map(repr, sorted(missing)))
            raise JobFailed(Code.INPUT_INVALID, f"{file_name(uri)}, line 1: the header has no column {shown}")
        self._numbers = [i for i, title in enumerate(header) if self._types.get(title) == "whole_number"]

    def check_row(self, cells: list[str]) -> tuple[int, str] | None:
        """The first column (from 1) whose cell is not of its kind, and what is wrong with it."""
        for index in self._numbers:
            if kind_of(cells[index]) == _TEXT:
                return index + 1, "no whole number of 64 bits in its usual spelling"
        return None

    def contradict(self, kinds: list[int]) -> bool:
        """Return whether some row contradicts the declared types, now that the columns are known to be of these kinds."""
        return any(kinds[index] == _TEXT for index in self._numbers)

    def kinds(self, header: list[str]) -> list[int]:
        """Return what is known of each column before a row is read."""
        return [_DECLARED.get(self._types.get(title), _EMPTY) for title in header]


def inspect(
    source: InputTable, types: Assumptions, declared: DeclaredTypes, at: InspectCheckpoint | None
) -> Generator[InspectCheckpoint]:
    """Read a file through: its columns as [name, type] in order, and its number of rows as `done`.

    Args:
        source: the file.
        types: Data8's numbers of the types.
        declared: what columns hold; the others are what all their cells fit.
        at: the last checkpoint.

    Raises `JobFailed` (`input_invalid`) for a file that is no table, has no rows, lacks a declared column or has
    a cell that does not fit one.
    """
    if at is not None and "columns" in at:
        return
    uri = source.uri
    with source.open() as stream:
        table = Table.open(stream, uri)
        names = column_names(table.header)
        declared.check_header(table.header, uri)
        kinds: list[int] = [*at["kinds"]] if at else declared.kinds(table.header)
        position = start = Position.of(at["position"]) if at else None
        open_columns = [index for index, kind in enumerate(kinds) if kind != _TEXT]
        before = start
        for batch, position in table.batches(start, BLOCK_LIMIT, BLOCK_BYTES):
            for index in open_columns:
                kinds[index] = max(kinds[index], kind_of_all([cells[index] for cells in batch]))
            open_columns = [index for index in open_columns if kinds[index] != _TEXT]
            if declared.contradict(kinds):
                for cells, place in table.rows(before):
                    if fault := declared.check_row(cells):
                        raise _wrong(uri, cells, *fault, place)
            before = position
            yield {"position": position.json(), "kinds": [*kinds], "done": position.row}
    if position is None:
        raise JobFailed(Code.INPUT_INVALID, f"{file_name(uri)}, line 2, column 1: no row follows the header")
    codes = [types.whole_number if kind == _WHOLE_NUMBER else types.text for kind in kinds]
    yield {"columns": [list(pair) for pair in zip(names, codes, strict=True)], "done": position.row}


def _wrong(uri: str, cells: list[str], column: int, reason: str, position: Position) -> JobFailed:
    # a cell may hold line feeds: it begins where it and those behind it have not been read yet
    line = position.line - sum(cell.count("\n") for cell in cells[column - 1 :])
    return JobFailed(Code.INPUT_INVALID, f"{file_name(uri)}, line {line}, column {column}: {reason}")


def load(run: Run, data8: Data8, slot: str, name: str, source: InputTable, inspected: dict[str, Any]) -> None:
    """Make the completed dataset `name` of an inspected file: create, upload block by block, complete.

    `slot` is what the steps are called after.
    """
    uri = source.uri
    columns: dict[str, int] = dict(inspected["columns"])
    rows: int = inspected["done"]

    def created() -> bool:
        try:
            dataset = data8.datasets.get(name)
        except NotFound:
            return False
        return dataset.columns.keys() == columns.keys() and (run.restored or not dataset.completed)

    def completed() -> bool:
        dataset = data8.datasets.get(name)
        return bool(dataset.completed) and dataset.record_count in {None, rows}

    def upload(at: UploadCheckpoint | None) -> Generator[UploadCheckpoint]:
        if run.restored and completed():  # as the ledger has forgotten; nothing more would be taken
            yield {"done": rows}
            return
        position = start = Position.of(at["position"]) if at else None
        number: int = at["block"] + 1 if at else FIRST_BLOCK

        def send(numbered: tuple[int, tuple[list[list[str]], Position]]) -> None:
            number, (block, _) = numbered
            data8.datasets.upload(name, number, records(columns, data8.assumptions, block, uri))

        with source.open() as stream:
            blocks = Table.open(stream, uri).batches(start, BLOCK_LIMIT, BLOCK_BYTES)
            numbered = enumerate(blocks, number)
            for (number, (_, position)), _ in run.map_ordered(send, numbered, blocks_at_once(data8)):
                yield {"position": position.json(), "block": number, "done": position.row}
        if position is None or position.row != rows:
            raise changed(uri)

    once_by_unique_name(run, f"create {slot}", partial(data8.datasets.create, name, columns), created)
    run.transfer(f"upload {slot}", upload, kind="upload", total=rows)
    once_by_unique_name(
        run, f"complete {slot}", partial(data8.datasets.update, name, record_count=rows), completed
    )


def blocks_at_once(data8: Data8) -> int:
    """Return how many blocks of a dataset are sent, or read, at once."""
    return min(BLOCKS_AT_ONCE, data8.concurrency)


def once_by_unique_name(
    run: Run, step: str, effect: Callable[[], object], happened: Callable[[], bool]
) -> None:
    """Do an effect that Data8 refuses to do a second time, because it goes by a name.

    A refusal after an attempt whose outcome is not known may be that attempt's success.
    """
    attempted = False

    def recover() -> bool | None:
        nonlocal attempted
        attempted = True
        return happened() or None

    def attempt() -> bool:
        try:
            effect()
        except Rejected as refused:
            if not attempted:
                raise
            try:
                done_before = happened()
            except (VendorUnavailable, RateLimited) as unseen:
                message = "refused, perhaps because it was done before"
                raise OutcomeUnknown(refused.vendor, refused.operation, message) from unseen
            if not done_before:
                raise
        return True

    run.once(step, attempt, recover=recover, unique=True)


def kind_of(cell: str) -> int:
    """Empty, a whole number of 64 bits in its one usual spelling, which comes back as it was, or text."""
    if not cell:
        return _EMPTY
    return _WHOLE_NUMBER if _WHOLE.fullmatch(cell) and -(2**63) <= int(cell) < 2**63 else _TEXT


def kind_of_all(cells: list[str]) -> int:
    """Return the kind that fits all of these cells."""
    if _SHORT_NUMBERS.fullmatch("\0".join([*cells, ""])):  # of short numbers all are told at once
        return _WHOLE_NUMBER if any(cells) else _EMPTY
    return max(map(kind_of, cells))


def records(
    columns: dict[str, int], types: Assumptions, block: list[list[str]], uri: str
) -> list[dict[str, str | int | None]]:
    """Rows as Data8 takes them: objects by column (assumed). An empty cell is an empty text, or no number."""
    numbers = [(index, column) for index, (column, code) in enumerate(columns.items()) if code != types.text]
    names = list(columns)
    if {*map(len, block)} != {len(names)}:
        raise changed(uri)
    found: list[dict[str, str | int | None]] = [dict(zip(names, cells, strict=True)) for cells in block]
    for index, column in numbers:
        values = [cells[index] for cells in block]
        if kind_of_all(values) == _TEXT:
            raise changed(uri)
        for record, value in zip(found, values, strict=True):
            record[column] = int(value) if value else None
    return found


def changed(uri: str) -> JobFailed:
    """The file is not what it was when it was inspected."""
    return JobFailed(Code.INPUT_INVALID, f"{file_name(uri)}: the file has changed while the job ran")


def dataset_name(job_id: str, slot: str) -> str:
    """Return the dataset name for a slot of a job: readable, and unique by its hash."""
    return "_".join(filter(None, ("kyb", plain(job_id), plain(slot), digest(job_id, slot))))


def column_names(header: Sequence[str]) -> list[str]:
    """Valid column names, all different, as close to the headers as Data8's alphabet allows."""
    names: dict[str, None] = {}
    for number, title in enumerate(header, 1):
        stem = plain(title) or str(number)
        stem = f"column_{stem}" if stem[0].isdigit() else stem
        name, more = stem, 2
        while name in names:
            name, more = f"{stem}_{more}", more + 1
        names[name] = None
    return list(names)


def plain(text: str) -> str:
    """The text in a to z, 0 to 9 and single `_`; may be empty or begin with a digit."""
    letters = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return re.sub("[^a-z0-9]+", "_", letters).strip("_")[:NAME_LIMIT].rstrip("_")


def digest(*parts: str) -> str:
    """Twelve hex digits that, in all likelihood, only these parts have."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
