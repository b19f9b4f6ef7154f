"""Baseline loops: plain httpx, the same calls with the same concurrency; no validation, records or retries.

A loop runs in a process of its own: `python -m benchmarks.bulk.baseline LOOP URL INPUT OUTPUT CONCURRENCY` prints
`{"cpu", "seconds"}`. The seconds do not include the wait for the vendor's job.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import httpx

from sandbox.core import PASSWORD, USERNAME

T = TypeVar("T")
R = TypeVar("R")

BLOCK_ROWS = 1_000
PART_BYTES = 49_000_000
PAGE_SIZE = 100
POLL_INTERVAL_SECONDS = 0.2


def map_ordered(work: Callable[[T], R], items: Iterable[T], width: int) -> Iterator[R]:
    """Yield the results in order, of `width` concurrent calls."""
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(width) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) == width:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def wait_until(done: Callable[[], bool]) -> float:
    """Poll the vendor's job until it is done; return the seconds that took."""
    began = time.monotonic()
    while not done():
        time.sleep(POLL_INTERVAL_SECONDS)
    return time.monotonic() - began


def data8(http: httpx.Client, source: Path, target: Path, width: int) -> float:
    """Upload rows to a dataset, run a job over it, download its output."""
    form = {"grant_type": "client_credentials", "client_id": USERNAME, "client_secret": PASSWORD}
    token = http.post("/data8/connect/token", data=form | {"scope": "BatchApi"}).json()["access_token"]
    http.headers["authorization"] = f"Bearer {token}"
    with source.open(newline="", encoding="utf-8") as stream:
        rows = csv.reader(stream)
        header = next(rows)
        http.post("/data8/Dataset", json={"name": "baseline", "columns": dict.fromkeys(header, 0)})

        def send(block: tuple[int, list[list[str]]]) -> None:
            records = [dict(zip(header, row, strict=True)) for row in block[1]]
            body = {"blockNumber": block[0], "records": records}
            http.patch("/data8/Dataset/baseline/data", json=body).raise_for_status()

        blocks = enumerate(iter(lambda: list(islice(rows, BLOCK_ROWS)), []), 1)
        for _ in map_ordered(send, blocks, width):
            pass
    http.put("/data8/Dataset/baseline", json={"completed": True}).raise_for_status()
    job = {"name": "baseline", "workflowName": "Echo", "inputDatasets": {"In": "baseline"}}
    http.post("/data8/Job", json=job).raise_for_status()
    waited = wait_until(lambda: http.get("/data8/Job/baseline").json()["status"] == 2)
    output = http.get("/data8/Job/baseline").json()["outputDatasets"]["In"]
    count = http.get(f"/data8/Dataset/{output}").json()["recordCount"]

    def read(start: int) -> Any:
        answer = http.get(f"/data8/Dataset/{output}/data", params={"start": start, "count": BLOCK_ROWS})
        return answer.json()

    with target.open("w", newline="", encoding="utf-8") as out:
        lines = csv.DictWriter(out, header)
        lines.writeheader()
        for records in map_ordered(read, range(1, count + 1, BLOCK_ROWS), width):
            lines.writerows(records)
    return waited


def creditsafe(http: httpx.Client, source: Path, _: Path, __: int) -> float:
    """Import a file in compressed parts into a new portfolio, one after the other."""
    login = {"username": USERNAME, "password": PASSWORD}
    token = http.post("/creditsafe/v1/authenticate", json=login).json()["token"]
    http.headers["authorization"] = f"Bearer {token}"
    base = "/creditsafe/v1/datastudio/portfolios"
    portfolio = http.post(base, json={"name": "baseline"}).raise_for_status().json()
    records = f"{base}/{portfolio['portfolioId']}/records/import"
    with source.open("rb") as stream:
        header = stream.readline()
        while part := stream.read(PART_BYTES):
            packed = io.BytesIO()
            with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as archive:
                archive.write(header)
                archive.write(part)
                archive.write(stream.readline())
            packed.seek(0)
            http.post(records, files={"file": ("part.csv.gz", packed)}).raise_for_status()
    return 0.0


def sayari(http: httpx.Client, source: Path, target: Path, _: int) -> float:
    """Upload names to a project, and download what Sayari resolved and did not resolve, page by page."""
    login = {"client_id": USERNAME, "client_secret": PASSWORD, "audience": "sayari.com"}
    login |= {"grant_type": "client_credentials"}
    token = http.post("/sayari/oauth/token", json=login).raise_for_status().json()["access_token"]
    http.headers["authorization"] = f"Bearer {token}"
    created = http.post("/sayari/v1/projects", json={"label": "baseline"}).raise_for_status().json()
    project = f"/sayari/v1/project/{created['data']['id']}/resolutions"
    with source.open("rb") as stream:
        http.post(project, files={"file": ("names.csv", stream, "text/csv")}).raise_for_status()
    waited = wait_until(lambda: http.get(f"{project}/progress").json()["remaining"] == 0)
    with target.open("w", encoding="utf-8") as out:
        for kind in ("resolved", "unresolved"):
            query: dict[str, Any] | None = {"limit": PAGE_SIZE}
            while query is not None:
                page = http.get(f"{project}/{kind}", params=query).raise_for_status().json()
                out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in page["data"])
                query = {"limit": PAGE_SIZE, "next": page["next"]} if page.get("next") else None
    return waited


def entities(http: httpx.Client, source: Path, target: Path, width: int) -> float:
    """Download entities by their ids."""
    login = {"client_id": USERNAME, "client_secret": PASSWORD, "audience": "sayari.com"}
    login |= {"grant_type": "client_credentials"}
    token = http.post("/sayari/oauth/token", json=login).raise_for_status().json()["access_token"]
    http.headers["authorization"] = f"Bearer {token}"
    with source.open(encoding="utf-8") as ids, target.open("w", encoding="utf-8") as out:
        next(ids)
        for entity in map_ordered(
            lambda line: http.get(f"/sayari/v1/entity_summary/{line.strip()}").json(), ids, width
        ):
            out.write(json.dumps(entity, ensure_ascii=False) + "\n")
    return 0.0


LOOPS = {"data8": data8, "creditsafe": creditsafe, "sayari": sayari, "entities": entities}


def main() -> None:
    """Run one loop."""
    name, url, source, target, width = sys.argv[1:]
    with httpx.Client(base_url=url, timeout=60) as http:
        began, spent = time.monotonic(), time.process_time()
        waited = LOOPS[name](http, Path(source), Path(target), int(width))
        usage = {"seconds": time.monotonic() - began - waited, "cpu": time.process_time() - spent}
    sys.stdout.write(json.dumps(usage))


if __name__ == "__main__":
    main()
