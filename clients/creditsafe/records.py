"""Operations on the records of a portfolio."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import IO, Literal

from clients.creditsafe.models import NewRecord, NewRecords, RecordIds
from clients.creditsafe.paging import PAGE_SIZE, items, query
from clients.creditsafe.paths import path
from clients.creditsafe.replies import CreatedRecords, DeletedRecords, Import, Page, Record
from clients.operation import Call
from clients.resource import Resource, operation

#: Largest import file, in bytes. "50 MB" is documented; whether decimal and of which bytes is not: the
#: smaller reading is kept, of the bytes that are sent.
IMPORT_LIMIT = 50_000_000
#: The name of the file's part in the multipart body (assumed).
IMPORT_PART = "file"

#: The documented formats by their documented names, which are those of Python's archives.
Format = Literal["csv", "gzip", "tar", "gztar"]
_FILES: dict[Format, tuple[str, str]] = {
    "csv": ("records.csv", "text/csv"),
    "gzip": ("records.csv.gz", "application/gzip"),
    "tar": ("records.tar", "application/x-tar"),
    "gztar": ("records.tar.gz", "application/gzip"),
}


class Records(Resource):
    """Companies and persons in a portfolio."""

    group = "records"

    @operation("POST /v1/datastudio/portfolios/{portfolioId}/records")
    def create(self, call: Call, portfolio_id: str, records: Sequence[NewRecord]) -> CreatedRecords:
        """Add up to 300 records; `ValueError` for more. Not idempotent: a repeat adds them again."""
        body = NewRecords(records=[*records])
        return call(path=path(portfolio_id), json=body.json_body()).model(CreatedRecords)

    @operation("POST /v1/datastudio/portfolios/{portfolioId}/records/import")
    def import_file(
        self, call: Call, portfolio_id: str, file: IO[bytes], *, format: Format = "csv"
    ) -> Import:
        """Add the rows of a file; its first row holds field names. Not idempotent. The path is assumed.

        `file` is seekable; it is streamed from its start. `format` is `csv`, `gzip` (of a CSV), `tar` or
        `gztar` (each with one CSV in it). Raises `ValueError` if it is larger than `IMPORT_LIMIT`.
        """
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size > IMPORT_LIMIT:
            raise ValueError(f"the file has {size:,} bytes, more than the {IMPORT_LIMIT:,} of one import")
        filename, media_type = _FILES[format]
        parts = {IMPORT_PART: (filename, file, media_type)}
        answer = call(path=path(portfolio_id), files=parts)
        return answer.model(Import) if answer.json() else Import()

    @operation("GET /v1/datastudio/portfolios/{portfolioId}/records")
    def list(
        self, call: Call, portfolio_id: str, *, page: int = 0, page_size: int = PAGE_SIZE
    ) -> Page[Record]:
        """List one page of records; the first page is 0. The path is assumed."""
        return call(path=path(portfolio_id), params=query(page, page_size)).model(Page[Record])

    @operation("POST /{apiVersion}/datastudio/portfolios/{portfolioId}/records/delete")
    def delete(self, call: Call, portfolio_id: str, record_ids: Sequence[str]) -> DeletedRecords:
        """Delete up to 300 records by id; `ValueError` for more. May be repeated: unknown ids are ignored (assumed)."""
        body = RecordIds(record_ids=[*record_ids])
        answer = call(path=path(portfolio_id), json=body.json_body())
        return answer.model(DeletedRecords) if answer.json() else DeletedRecords()

    def all(self, portfolio_id: str, *, page_size: int = PAGE_SIZE) -> Iterator[Record]:
        """Yield all records of a portfolio; fetch one page at a time."""
        return items(lambda page: self.list(portfolio_id, page=page, page_size=page_size))
