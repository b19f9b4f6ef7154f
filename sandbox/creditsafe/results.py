"""Result files, on a storage host of their own, behind links that expire."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import chain

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sandbox.core import serves
from sandbox.creditsafe.base import Part, Refused


class Results(Part):
    """The storage host."""

    @serves("GET /files/{token}.csv", public=True)
    async def download(self, request: Request) -> Response:
        """A file, or the rest of it. The link is the permission: an Authorization header beside it is refused.

        That, the `ETag` and the ranges are as S3 has them; a portfolio named `[whole files]` has none of these.
        """
        if "authorization" in request.headers:
            raise Refused(400, "only one way of authorisation is allowed")
        file, expires = self.data.links.get(request.path_params["token"], ("", 0.0))
        if self.state.clock() >= expires:
            raise Refused(403, "link expired")
        run = self.data.executions.get(file)
        if run is None:
            raise Refused(404, "no such file")
        size = self.data.store.size(file)
        etag = f'"{file}"'
        headers = {"content-length": str(size), "etag": etag, "accept-ranges": "bytes"}
        if "[whole files]" in run.portfolio.name:
            headers = {}
        begin = _begin(request, etag) if headers else 0
        if begin >= max(size, 1):
            return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
        if begin:
            headers |= {
                "content-length": str(size - begin),
                "content-range": f"bytes {begin}-{size - 1}/{size}",
            }
        status = 206 if begin else 200
        return StreamingResponse(self._content(file, begin), status, headers, media_type="text/csv")

    async def _content(self, file: str, begin: int) -> AsyncIterator[bytes]:
        for line in self.data.store.read(file):
            text = line.encode()
            if begin < len(text):
                yield text[begin:]
            begin = max(0, begin - len(text))


def _begin(request: Request, etag: str) -> int:
    """Return where an open range begins; 0 for the whole file, also if the file has changed."""
    requested = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if requested is None or request.headers.get("if-range", etag) != etag:
        return 0
    return int(requested[1])


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """CSV, line by line."""
    for row in chain([header], rows):
        buffer = io.StringIO()
        csv.writer(buffer).writerow(row)
        yield buffer.getvalue()
