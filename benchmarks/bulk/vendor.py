"""Vendors that cost next to nothing, so that their clients are measured: `python -m benchmarks.bulk.vendor PORT`.

They check nothing. Data8 returns what was uploaded, Creditsafe counts rows and forgets them, Sayari invents its
lists. `POST /latency` with seconds makes calls take time.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import uvicorn

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BLOCK_ROWS = 1_000
PAGE_SIZE = 100
_TOKEN = json.dumps({"access_token": "t", "token": "t", "token_type": "Bearer", "expires_in": 3_600}).encode()
_TAKES_TIME = ("/data8/Dataset/", "/sayari/v1/entity_summary/", "/sayari/v1/project/")
_NUMBER = re.compile(rb'"blockNumber": ?(\d+)')


class Vendors:
    """All three as one ASGI application, with one dataset, one portfolio and one project of each name."""

    def __init__(self) -> None:
        self._latency = 0.0
        self._columns: dict[str, int] = {}
        self._blocks: dict[int, bytes] = {}
        self._rows = 0
        self._records = 0
        self._entities = 0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        parts: list[bytes] = []
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        answer = self._answer(scope["method"], scope["path"], query, b"".join(parts))
        if self._latency and scope["path"].startswith(_TAKES_TIME):
            await asyncio.sleep(self._latency)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Any:
        if path == "/latency":
            self._latency = float(body)
            return {}
        if "token" in path or "authenticate" in path:
            return _TOKEN
        vendor, _, rest = path[1:].partition("/")
        answers = {"data8": self._data8, "creditsafe": self._creditsafe, "sayari": self._sayari}
        return answers[vendor](method, rest, query, body)

    def _data8(self, method: str, path: str, query: dict[str, str], body: bytes) -> Any:
        if path.endswith("/data"):
            if method == "GET":
                return self._blocks[(int(query["start"]) - 1) // BLOCK_ROWS]
            number = _NUMBER.search(body)
            if number is None:
                raise ValueError("a block without its number")
            self._blocks[int(number[1]) - 1] = block = body[body.index(b"[") : body.rindex(b"]") + 1]
            self._rows += block.count(b'"id":')
            return {}
        if path.startswith("Dataset"):
            if method == "POST":
                self._columns, self._blocks, self._rows = json.loads(body)["columns"], {}, 0
            return {"name": "output", "columns": self._columns, "recordCount": self._rows, "completed": True}
        return {
            "name": path.rpartition("/")[2], "workflowName": "Echo", "status": 2, "percentComplete": 100,
            "outputDatasets": {"In": "output"},
        }  # fmt: skip

    def _creditsafe(self, method: str, path: str, _: dict[str, str], body: bytes) -> Any:
        if path.endswith("/import"):
            packed = body[body.index(b"\r\n\r\n") + 4 : body.rindex(b"\r\n--")]
            self._records += gzip.decompress(packed).count(b"\n") - 1
            return {"status": "COMPLETED"}
        if method == "POST":
            self._records = 0
        return {"portfolioId": "p", "name": "p", "description": "", "recordCount": self._records}

    def _sayari(self, method: str, path: str, query: dict[str, str], body: bytes) -> Any:
        if "/entity_summary/" in path:
            return _entity(path.rpartition("/")[2])
        if path.endswith("/projects"):
            return {"data": {"id": "p", "label": "p"}}
        if path.endswith("/progress"):
            return {"id": "p", "remaining": 0, "total": self._entities}
        if method == "POST":
            self._entities = body.count(b"High Street")
            return {"file": "names.csv", "count": self._entities}
        start = int(query.get("next", 0))
        count = self._entities // 4 if path.endswith("/resolved") else self._entities - self._entities // 4
        limit = int(query.get("limit", PAGE_SIZE))
        rows = [_resolution(start + n) for n in range(min(limit, count - start))]
        more = {"next": str(start + limit)} if start + limit < count else {}
        return {"limit": limit, "size": {"count": count, "qualifier": "eq"}, "data": rows} | more


def _resolution(number: int) -> dict[str, Any]:
    attributes = {"name": [f"Company {number} Ltd"], "country": ["GBR"], "address": ["1 High Street, Leeds"]}
    stamps = dict.fromkeys(("created", "updated"), "2026-01-01T00:00:00Z")
    return {"id": f"r{number}", "count": 0, "attributes": attributes} | stamps


def _entity(id: str) -> dict[str, Any]:
    return {
        "id": id, "label": f"Company {id} Ltd", "type": "company", "sanctioned": False, "pep": False, "degree": 3,
        "closed": False, "countries": ["GBR"], "addresses": ["1 High Street, Leeds"], "sources": ["UK Companies"],
        "entity_url": f"/v1/entity/{id}", "identifiers": [{"type": "uk_company_number", "value": "00445790"}],
    }  # fmt: skip


if __name__ == "__main__":
    uvicorn.run(
        Vendors(),
        port=int(sys.argv[1]),
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=600,
    )
