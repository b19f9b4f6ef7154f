"""The common part of jobs about known entities: reading their ids, and looking them up in order."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, NotRequired, TypedDict

from clients.errors import NotFound
from messages.errors import Code
from messages.sayari_graph import ENTITY_ID, EntitiesCommand
from workers.engine.context import Run
from workers.errors import JobFailed
from workers.files.formats.csv_table import Position, Table, csv_line
from workers.files.storage import Appender, Draft, Storage, file_name
from workers.jobs.input import InputTable, intake
from workers.observability.turn_stats import TransferKind

#: The column of a file that holds the ids; all others are passed over.
COLUMN = "entity_id"
#: Ids between two checkpoints while a file is read through.
READ_ROWS = 5_000

_ID = re.compile(ENTITY_ID)


class ReadCheckpoint(TypedDict):
    """Checkpoint of reading ids: their number; `row` is missing once they were read to their end."""

    done: int
    row: NotRequired[dict[str, int]]


class Written(TypedDict):
    """Records and bytes of a file."""

    records: int
    bytes: int


class OpenEntity(Written):
    """What is written of an unfinished entity, and where its next piece begins."""

    rest: Any


class Finished(TypedDict):
    """The part of a checkpoint that an entity changes when it is finished."""

    row: Any
    done: int
    open: None


class LookUpCheckpoint(Written):
    """Checkpoint of looking up entities: the last finished row, entities, and both files."""

    row: Any
    done: int
    open: OpenEntity | None
    missing: Written


class Piece(NamedTuple):
    """A part of what is written of one entity.

    Attributes:
        content: lines, or a part of one.
        records: how many lines end in it.
        rest: from where the next piece goes on, as JSON; None when the entity is finished.
    """

    content: bytes
    records: int
    rest: Any


#: Asks for an entity by its id, from where a piece before has ended (None at first), piece by piece to its end.
Ask = Callable[[str, Any], Iterator[Piece]]


class Ids:
    """The ids of one command in their order, a repeated one as often as it is there.

    A file is read through before anything is asked for, so that a bad one costs no call.

    Attributes:
        count: how many there are.
    """

    def __init__(self, command: EntitiesCommand, run: Run, storage: Storage) -> None:
        self._run = run
        self._given = command.entity_ids or []
        self._source: InputTable | None = None
        self.count = len(self._given)
        if command.file is not None:
            self._source = intake(run, storage, command.file, repeated_headers=True)
            self.count = run.transfer("read", partial(read_through, self._source), kind="read")["done"]

    def after(self, row: Any) -> Generator[tuple[str, Any]]:
        """The ids behind `row`, each with the row to go on from; None for all of them.

        Raises:
            JobFailed: `input_invalid` if the file is not what it was when it was read through.
        """
        if self._source is None:
            yield from ((id, number) for number, id in enumerate(self._given, 1) if number > (row or 0))
            return
        position = start = Position.of(row) if row else None
        for id, position in ids_of(self._source, start):
            if position.row > self.count:
                break
            yield id, position.json()
        if position is None or position.row != self.count:
            changed = f"{file_name(self._source.uri)} has changed since it was read through"
            raise JobFailed(Code.INPUT_INVALID, changed)

    def discard(self) -> None:
        """Nothing reads the ids any more."""
        if self._source is not None:
            self._source.discard(self._run)


def read_through(source: InputTable, at: ReadCheckpoint | None) -> Generator[ReadCheckpoint]:
    """Check a whole file of ids; the last checkpoint holds their number as `done`.

    Raises:
        JobFailed: `input_invalid` for a file without the column, without rows, or with a cell that is no id.
    """
    if at is not None and "row" not in at:
        return
    last = start = Position.of(at["row"]) if at else None
    for _, last in ids_of(source, start):
        if last.row % READ_ROWS == 0:
            yield {"done": last.row, "row": last.json()}
    if last is None:
        raise JobFailed(Code.INPUT_INVALID, f"{file_name(source.uri)} holds no ids, only a header")
    yield {"done": last.row}


def ids_of(source: InputTable, after: Position | None) -> Iterator[tuple[str, Position]]:
    """The ids of a file and the position behind each; errors name file, line and column."""
    uri = source.uri
    with source.open() as stream:
        table = Table.open(stream, uri, allow_repeated_headers=True)
        if table.header.count(COLUMN) != 1:
            problem = "no column" if COLUMN not in table.header else "more than one column"
            raise JobFailed(Code.INPUT_INVALID, f"{file_name(uri)}, line 1: there is {problem} {COLUMN}")
        column = table.header.index(COLUMN)
        for cells, position in table.rows(after):
            if not _ID.fullmatch(cells[column]):
                place = f"{file_name(uri)}, line {position.line}, column {column + 1} ({COLUMN})"
                what = "not the id of an entity: letters, digits, _ and - alone" if cells[column] else "empty"
                raise JobFailed(Code.INPUT_INVALID, f"{place}: {what}")
            yield cells[column], position


def look_up(
    run: Run, name: str, kind: TransferKind, at_once: int, ids: Ids, ask: Ask, found: Draft, missing: Draft
) -> Any:
    """Ask for every entity and write what comes to `found`, and the ids of those not there to `missing`, in order.

    It is the transfer `name`. The first calls for `at_once` entities are made at once, the further ones of an
    entity one by one. Gives the last checkpoint, see `_look_up`.
    """
    lines, absent = Appender(found), Appender(missing)

    def store() -> None:
        lines.store()
        absent.store()

    work = partial(_look_up, run, at_once, ids, ask, lines, absent)
    return run.transfer(name, work, kind=kind, total=ids.count, store=store)


def _look_up(
    run: Run,
    at_once: int,
    ids: Ids,
    ask: Ask,
    found: Appender,
    missing: Appender,
    at: LookUpCheckpoint | None,
) -> Generator[LookUpCheckpoint]:
    """The work of the transfer.

    A checkpoint holds `row` (of the last entity finished), `done` (entities), `records` and `bytes` (of `found`),
    `missing` (the same of the other), and `open` with what is written of an entity that is not finished.
    """
    if at is None or found.size < (at["open"] or at)["bytes"] or missing.size < at["missing"]["bytes"]:
        found.begin(0)
        missing.begin(0)
        missing.write(csv_line([COLUMN]))
        header: Written = {"records": 0, "bytes": missing.tell()}
        at = {"records": 0, "bytes": 0, "row": None, "done": 0, "open": None, "missing": header}
        yield at
    else:
        found.begin((at["open"] or at)["bytes"])
        missing.begin(at["missing"]["bytes"])
    with closing(ids.after(at["row"])) as following:
        if at["open"] is not None:
            id, row = next(following)
            at = yield from _write(id, row, ask(id, at["open"]["rest"]), found, missing, at)
        for (id, row), pieces in run.map_ordered(lambda entry: _begun(ask, entry[0]), following, at_once):
            at = yield from _write(id, row, pieces, found, missing, at)


def _begun(ask: Ask, id: str) -> Iterator[Piece] | None:
    """The pieces of an entity, the first of them fetched; None if it is not there."""
    pieces = ask(id, None)
    try:
        return chain([next(pieces)], pieces)
    except NotFound:
        return None


def _write(
    id: str,
    row: Any,
    pieces: Iterator[Piece] | None,
    found: Appender,
    missing: Appender,
    at: LookUpCheckpoint,
) -> Generator[LookUpCheckpoint, None, LookUpCheckpoint]:
    """Write what comes of one entity; yields the checkpoints and returns the last."""
    finished: Finished = {"row": row, "done": at["done"] + 1, "open": None}
    absent = pieces is None
    try:
        for piece in pieces or ():
            written = _written(found, at["open"] or at, piece.content, piece.records)
            if piece.rest is None:
                at = {**at, **finished, **written}
            else:
                at = {**at, "open": {**written, "rest": piece.rest}}
            yield at
    except NotFound:
        absent = True
    if absent:
        if at["open"] is not None:  # it has gone meanwhile: what was written of it is cut off
            found.begin(at["bytes"])
        at = {**at, **finished, "missing": _written(missing, at["missing"], csv_line([id]), 1)}
        yield at
    return at


def _written(out: Appender, end: Written, content: bytes, records: int) -> Written:
    """Write the content and return records and bytes of the file after it."""
    out.write(content)
    return {"records": end["records"] + records, "bytes": out.tell()}
