"""`/Dataset`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import SandboxState, serves
from sandbox.data8.answers import (
    Body,
    Part,
    absent,
    body,
    done,
    flag,
    here,
    invalid,
    page_of,
    problem,
    whole,
)

Row = list[Any]

NAME = re.compile(r"[a-z][a-z0-9_]*")
BLOCK_LIMIT = 1_000

#: Column types by number. Only that 0 fits names and 1 fits a priority is documented, the rest is assumed.
COLUMN_TYPES: dict[int, tuple[type, ...]] = {
    0: (str,),
    1: (int,),
    2: (int, float, Decimal),
    3: (str,),
    4: (bool,),
}


class DatasetBody(Body):
    """A dataset as it is sent."""

    name: str
    columns: dict[str, int]


class UpdateBody(Body):
    """An update as it is sent; `recordCount` is a check on what was uploaded (assumed)."""

    record_count: int | None = None
    completed: bool | None = None


class BlockBody(Body):
    """A block of records: objects by column, or arrays in column order (which of them is assumed)."""

    block_number: int = Field(ge=0)
    records: list[dict[str, Any] | list[Any]] = Field(max_length=BLOCK_LIMIT)


@dataclass
class Dataset:
    """A dataset.

    Attributes:
        columns: types by name.
        input: made by the caller rather than by a job.
        completed: for inputs, whether the caller said so.
        blocks: an input's rows by block number.
        result: an output's rows, once its job has ended well.
    """

    name: str
    columns: dict[str, int]
    input: bool = True
    completed: bool = False
    blocks: dict[int, list[Row]] = field(default_factory=dict)
    result: Callable[[], list[Row] | None] | None = None

    def rows(self) -> Iterator[Row]:
        """All rows in the order in which they are processed."""
        for number in sorted(self.blocks):
            yield from self.blocks[number]

    def output(self) -> list[Row] | None:
        """The rows of a completed output dataset."""
        return self.result() if self.result else None

    def is_complete(self) -> bool:
        """Return whether an input was marked as complete, or an output's job has succeeded."""
        return self.completed if self.input else self.output() is not None

    def shown(self) -> dict[str, object]:
        """In full."""
        count = sum(map(len, self.blocks.values())) if self.input else len(self.output() or ())
        return {
            "name": self.name,
            "columns": self.columns,
            "input": self.input,
            "recordCount": count,
            "completed": self.is_complete(),
        }


class Datasets(Part):
    """`/Dataset`. The names of deleted datasets stay taken for good."""

    def __init__(self, state: SandboxState) -> None:
        super().__init__(state)
        self._datasets: dict[str, Dataset] = {}
        self._burned: set[str] = set()

    @serves("GET /Dataset")
    async def datasets__list(self, request: Request) -> Response:
        """100 a page by name; the flags' names, and that they default to true, are assumed."""
        wanted = {True: flag(request, "input"), False: flag(request, "output")}
        names = sorted(name for name, dataset in self._datasets.items() if wanted[dataset.input])
        return JSONResponse(
            [
                {
                    "name": name,
                    "input": self._datasets[name].input,
                    "completed": self._datasets[name].is_complete(),
                    "location": here(request, f"/Dataset/{name}"),
                }
                for name in page_of(names, request)
            ]
        )

    @serves("POST /Dataset")
    async def datasets__create(self, request: Request) -> Response:
        """A new input dataset. The document's example says it is completed, its text that it is not: it is not."""
        sent = await body(request, DatasetBody)
        for field_, name in [("name", sent.name), *(("columns", column) for column in sent.columns)]:
            if not NAME.fullmatch(name):
                raise invalid(field_, f"{name!r} must start with a-z and hold only a-z, 0-9 and _")
        if not sent.columns:
            raise invalid("columns", "an input dataset needs columns")
        if not COLUMN_TYPES.keys() >= set(sent.columns.values()):
            raise invalid("columns", f"the types are {sorted(COLUMN_TYPES)}")
        if sent.name in self._datasets or sent.name in self._burned:
            return problem(409, f"another dataset is or was named {sent.name}")
        dataset = self._datasets[sent.name] = Dataset(sent.name, sent.columns)
        self.state.effect("data8.datasets.create", sent.name)
        return JSONResponse(dataset.shown(), 201, {"location": here(request, f"/Dataset/{sent.name}")})

    @serves("GET /Dataset/{name}")
    async def datasets__get(self, request: Request) -> Response:
        """One dataset."""
        return JSONResponse(self._dataset(request).shown())

    @serves("PUT /Dataset/{name}")
    async def datasets__update(self, request: Request) -> Response:
        """Mark an incomplete input dataset as complete."""
        sent = await body(request, UpdateBody)
        dataset = self._writable(request)
        count = sum(map(len, dataset.blocks.values()))
        if sent.record_count is not None and sent.record_count != count:
            raise invalid("recordCount", f"{count} records were uploaded")
        if sent.completed:
            dataset.completed = True
            self.state.effect("data8.datasets.update", dataset.name)
        return done()

    @serves("DELETE /Dataset/{name}")
    async def datasets__delete(self, request: Request) -> Response:
        """Gone with its data; the name stays taken."""
        dataset = self._dataset(request)
        del self._datasets[dataset.name]
        self._burned.add(dataset.name)
        self.state.effect("data8.datasets.delete", dataset.name)
        return done()

    @serves("PATCH /Dataset/{name}/data")
    async def datasets__upload(self, request: Request) -> Response:
        """A block of records; the same number again overwrites."""
        sent = await body(request, BlockBody)
        dataset = self._writable(request)
        rows = [_row(dataset, record, number) for number, record in enumerate(sent.records)]
        if dataset.blocks.get(sent.block_number) == rows:
            return done()  # nothing has changed: a block may be sent again
        dataset.blocks[sent.block_number] = rows
        self.state.effect("data8.datasets.upload", f"{dataset.name}/{sent.block_number}")
        return done()

    @serves("GET /Dataset/{name}/data")
    async def datasets__download(self, request: Request) -> Response:
        """Up to 1,000 records of a completed output dataset; past its end there are none (assumed)."""
        dataset = self._dataset(request, f"no dataset {request.path_params['name']}")
        start = whole(request, "start", None)
        count = whole(request, "count", BLOCK_LIMIT, BLOCK_LIMIT)
        rows = dataset.output()
        if rows is None:
            raise invalid("name", "not a completed output dataset")
        page = rows[start - 1 : start - 1 + count]
        return JSONResponse([dict(zip(dataset.columns, row, strict=True)) for row in page])

    def _dataset(self, request: Request, detail: str | None = None) -> Dataset:
        try:
            return self._datasets[request.path_params["name"]]
        except KeyError:
            raise absent(detail) from None

    def _writable(self, request: Request) -> Dataset:
        dataset = self._dataset(request)
        if not dataset.input or dataset.completed:
            raise invalid("name", "not an incomplete input dataset")
        return dataset


def _row(dataset: Dataset, record: dict[str, Any] | list[Any], number: int) -> Row:
    """One record as values in column order, checked against the columns; absent values are null."""
    place = f"records[{number}]"
    if isinstance(record, dict):
        if not record.keys() <= dataset.columns.keys():
            raise invalid(place, "holds a column that the dataset has not")
        record = [record.get(column) for column in dataset.columns]
    if len(record) != len(dataset.columns):
        raise invalid(place, f"{len(record)} values for {len(dataset.columns)} columns")
    for (column, kind), value in zip(dataset.columns.items(), record, strict=True):
        typed = isinstance(value, COLUMN_TYPES[kind]) and (kind == 4 or not isinstance(value, bool))  # noqa: PLR2004
        too_large = typed and kind == 1 and not -(2**63) <= value < 2**63
        if value is not None and (not typed or too_large):
            raise invalid(f"{place}.{column}", f"does not fit column type {kind}")
    return record
