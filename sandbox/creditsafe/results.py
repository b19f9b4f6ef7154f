"""Result files, on a storage host of their own, behind links that expire."""

from __future__ import annotations

import csv
import io
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
        """A file. The link is the permission: an Authorization header beside it is refused, as S3 does."""
        if "authorization" in request.headers:
            raise Refused(400, "only one way of authorisation is allowed")
        file, expires = self.state.links.get(request.path_params["token"], ("", 0.0))
        if self.world.clock() >= expires:
            raise Refused(403, "link expired")
        return StreamingResponse(self._content(file), media_type="text/csv")

    async def _content(self, file: str) -> AsyncIterator[str]:
        for line in self.state.store.read(file):
            yield line


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """CSV, line by line."""
    for row in chain([header], rows):
        buffer = io.StringIO()
        csv.writer(buffer).writerow(row)
        yield buffer.getvalue()
