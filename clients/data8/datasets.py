"""`/Dataset`: what goes into jobs, and what comes out of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from clients.data8.assumptions import BLOCK_LIMIT, PAGE_SIZE, Assumptions
from clients.data8.models import Dataset, DatasetBody, DatasetRef, DatasetUpdate, Record
from clients.errors import VendorUnavailable
from clients.operation import Call
from clients.resource import Resource, operation
from clients.transport import Transport

_REFS = TypeAdapter(list[DatasetRef] | None)


class Datasets(Resource):
    """`/Dataset`. Input datasets are created and filled here; output datasets appear when a job starts."""

    group = "datasets"

    def __init__(self, transport: Transport, assumptions: Assumptions) -> None:
        super().__init__(transport)
        self._assumptions = assumptions

    @operation("GET /Dataset")
    def list(
        self, call: Call, page: int = 1, *, input: bool | None = None, output: bool | None = None
    ) -> Sequence[DatasetRef]:
        """Retrieve a list of datasets: 100 a page, sorted by name, the first page is 1.

        Args:
            page: the page's number.
            input: whether input datasets are included; the vendor's default if not given.
            output: whether output datasets are included; the vendor's default if not given.
        """
        names = self._assumptions
        params = {"page": page, names.include_input: input, names.include_output: output}
        return call(params=params).adapt(_REFS) or []

    def all(self, *, input: bool | None = None, output: bool | None = None) -> Iterator[DatasetRef]:
        """Yield every dataset; fetch one page at a time."""
        page = 1
        while found := self.list(page, input=input, output=output):
            yield from found
            if len(found) < PAGE_SIZE:
                return
            page += 1

    @operation("POST /Dataset")
    def create(self, call: Call, name: str, columns: Mapping[str, int]) -> Dataset:
        """Create a new, incomplete input dataset.

        Args:
            name: unique for all time: `a` to `z`, then `a` to `z`, digits or `_`; so are column names.
            columns: column types by name, e.g. `Assumptions.text`.

        Raises:
            Conflict: a dataset of that name exists or has existed.
            Rejected: some name or type is not valid.
        """
        body = DatasetBody(name=name, columns=dict(columns))
        return call(json=body.json_body()).model(Dataset)

    @operation("GET /Dataset/{name}")
    def get(self, call: Call, name: str) -> Dataset:
        """Get the details of a named dataset."""
        return call(path={"name": name}).model(Dataset)

    @operation("PUT /Dataset/{name}")
    def update(
        self, call: Call, name: str, *, record_count: int | None = None, completed: bool | None = True
    ) -> None:
        """Update a dataset: marks an incomplete input dataset as complete, so that jobs can use it.

        Raises `Rejected` for an output dataset and for one that is complete already.
        """
        body = DatasetUpdate(record_count=record_count, completed=completed)
        call(path={"name": name}, json=body.json_body())

    @operation("DELETE /Dataset/{name}")
    def delete(self, call: Call, name: str) -> None:
        """Delete a dataset and its data for good; its name can never be used again."""
        call(path={"name": name})

    @operation("PATCH /Dataset/{name}/data")
    def upload(
        self, call: Call, name: str, block_number: int, records: Sequence[Mapping[str, Any] | Sequence[Any]]
    ) -> None:
        """Upload records to an incomplete input dataset, 1,000 at most; the same block again overwrites.

        Args:
            name: the dataset.
            block_number: blocks are processed in ascending order.
            records: values by column name. How a record is written is not documented: an object keyed
                by column name is assumed; sequences are sent as they are, as arrays.
        """
        call(path={"name": name}, json={"blockNumber": block_number, "records": records})

    @operation("GET /Dataset/{name}/data")
    def download(
        self, call: Call, name: str, start: int = 1, count: int = BLOCK_LIMIT
    ) -> Sequence[Record | Sequence[Any]]:
        """Download data from a completed output dataset.

        Args:
            name: the dataset.
            start: number of the first record, from 1.
            count: how many records, 1,000 at most.

        Returns:
            Records as the vendor gave them, objects or arrays in column order: see `keyed`. The list may come
            bare or as the `records` of an object; fractions are read as `Decimal`, no digit is lost.
        """
        answer = call(path={"name": name}, params={"start": start, self._assumptions.count: count})
        body = answer.json(parse_float=Decimal)
        records = body.get("records") if isinstance(body, dict) else body
        if not isinstance(records, list) or not all(isinstance(r, (dict, list)) for r in records):
            raise VendorUnavailable(
                self._transport.vendor, call.operation.name, "the answer is no list of records"
            )
        return records

    def records(self, name: str, start: int = 1) -> Iterator[Record]:
        """All records of a completed output dataset from number `start` on, 1,000 a request.

        Raises `VendorUnavailable` if the vendor has fewer records than it said, or of another shape.
        """
        dataset = self.get(name)
        total = dataset.record_count or 0
        while start <= total:
            page = self.page(name, tuple(dataset.columns), start, min(BLOCK_LIMIT, total - start + 1))
            yield from page
            start += len(page)

    def page(self, name: str, columns: Sequence[str], start: int, count: int) -> Sequence[Record]:
        """Records from number `start` on, keyed by column: at least one and `count` at most.

        Raises `VendorUnavailable` if there are none, too many, or arrays that do not fit the columns.
        """
        rows = self.download(name, start, count)
        arrays = [record for record in rows if not isinstance(record, dict)]
        if not 0 < len(rows) <= count or any(len(record) != len(columns) for record in arrays):
            request = f"where {count} of {len(columns)} columns were asked for"
            message = f"{len(rows)} records came, {len(arrays)} of them arrays, {request}"
            raise VendorUnavailable(self._transport.vendor, "datasets.download", message)
        return [r if isinstance(r, dict) else dict(zip(columns, r, strict=True)) for r in rows]
