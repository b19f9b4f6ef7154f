"""Endpoints of records."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import serves
from sandbox.creditsafe.base import PORTFOLIO, Execution, Part, Refused, body, page, texts
from sandbox.creditsafe.files import IMPORT_LIMIT, RECORD_FIELDS, Upload

#: Records in one create (documented) or delete (assumed) request.
RECORDS_LIMIT = 300
#: Whether the answer to a create shows the new records (assumed).
CREATED_ARE_SHOWN = True


class Records(Part):
    """Companies and persons in a portfolio."""

    @serves(f"POST {PORTFOLIO}/records")
    async def records__create(self, request: Request) -> Response:
        """Add up to 300 records."""
        portfolio = self.portfolio(request)
        records = (await body(request, "records")).get("records")
        if not isinstance(records, list) or not 1 <= len(records) <= RECORDS_LIMIT:
            raise Refused(400, "invalid request", f"records must be a list of 1 to {RECORDS_LIMIT}")
        for record in records:
            _check(record)
        store = self.data.store
        before = store.count(portfolio.id)
        with store.whole():
            count = store.add(portfolio.id, records)
        self.state.effect("creditsafe.records.create", f"{portfolio.id}/{_digest(records)}")
        shown = {"records": store.page(portfolio.id, before, count)} if CREATED_ARE_SHOWN else {}
        return JSONResponse(shown | {"count": count}, 201)

    @serves(f"POST {PORTFOLIO}/records/import")
    async def records__import_file(self, request: Request) -> Response:
        """Add the rows of a file, at once unless the portfolio is named `[async]`; all of them or none."""
        portfolio = self.portfolio(request)
        if request.headers.get("content-type", "").partition(";")[0] != "multipart/form-data":
            raise Refused(400, "invalid request", "the body must be multipart/form-data")
        async with request.form() as form:
            file = form.get("file")
            if not isinstance(file, UploadFile) or len(form.multi_items()) != 1:
                raise Refused(400, "invalid request", "one part with a file named `file` is needed")
            if (file.size or 0) > IMPORT_LIMIT:
                raise Refused(413, "file too large", f"more than {IMPORT_LIMIT:,} bytes")
            upload = Upload(file.file)
            run = self.run(portfolio, "import", self._imported) if "[async]" in portfolio.name else None
            with self.data.store.whole():
                count = self.data.store.add(run.id if run else portfolio.id, upload.rows())
                if not count:
                    raise Refused(400, "invalid file", "there is no record in the file")
        self.state.effect("creditsafe.records.import_file", f"{portfolio.id}/{upload.digest.hexdigest()}")
        if run is None:
            return JSONResponse({"status": "COMPLETED"}, 202)
        self.data.executions[run.id] = run
        return JSONResponse({"executionId": run.id, "status": "PENDING"}, 202)

    @serves(f"GET {PORTFOLIO}/records")
    async def records__list(self, request: Request) -> Response:
        """A page of records, in the order in which they came."""
        portfolio = self.portfolio(request)
        offset, size, envelope = page(request, self.data.store.count(portfolio.id))
        return JSONResponse(envelope | {"data": self.data.store.page(portfolio.id, offset, size)})

    @serves(f"POST {PORTFOLIO}/records/delete")
    async def records__delete(self, request: Request) -> Response:
        """Delete up to 300 records; unknown ids are ignored. Where there was none, it is no effect."""
        portfolio = self.portfolio(request)
        ids = texts(await body(request, "recordIds"), "recordIds")
        if len(ids) > RECORDS_LIMIT:
            raise Refused(400, "invalid request", f"recordIds must be a list of 1 to {RECORDS_LIMIT}")
        deleted = self.data.store.delete(portfolio.id, ids)
        if deleted:
            self.state.effect("creditsafe.records.delete", f"{portfolio.id}/{_digest(ids)}")
        return JSONResponse({"deleted": deleted})

    def _imported(self, run: Execution) -> dict[str, Any]:
        return {"imported": self.data.store.move(run.id, run.portfolio.id)}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _check(record: object) -> None:
    if not isinstance(record, dict) or not record:
        raise Refused(400, "invalid request", "a record must be an object with at least one field")
    for name, value in record.items():
        if name not in RECORD_FIELDS:
            raise Refused(400, "invalid request", f"{name!r} is no field name")
        if not isinstance(value, str):
            raise Refused(400, "invalid request", f"{name} must be a string")
