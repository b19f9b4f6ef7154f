"""What a user might write instead: bare httpx, the same calls, as many at once; no checks, records or repeats.

A process of its own: `python -m benchmarks.bulk.loops LOOP URL INPUT OUTPUT AT_ONCE` prints `{"cpu", "seconds"}`, the
latter without the wait for the vendor's job.
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

BLOCK = 1_000
PART = 49_000_000
PAGE = 100
#: Seconds between two looks at the vendor's job.
LOOK = 0.2


def at_once(work: Callable[[T], R], items: Iterable[T], width: int) -> Iterator[R]:
    """The results in order; `width` calls at once."""
    ahead: deque[Future[R]] = deque()
    with ThreadPoolExecutor(width) as pool:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) == width:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def until(ask: Callable[[], bool]) -> float:
    """Wait for the vendor's job; the seconds that took."""
    began = time.monotonic()
    while not ask():
        time.sleep(LOOK)
    return time.monotonic() - began


def data8(http: httpx.Client, source: Path, target: Path, width: int) -> float:
    """Rows into a dataset, a job over it, its output into a file."""
    form = {"grant_type": "client_credentials", "client_id": USERNAME, "client_secret": PASSWORD}
    token = http.post("/data8/connect/token", data=form | {"scope": "BatchApi"}).json()["access_token"]
    http.headers["authorization"] = f"Bearer {token}"
    with source.open(newline="", encoding="utf-8") as stream:
        rows = csv.reader(stream)
        header = next(rows)
        http.post("/data8/Dataset", json={"name": "bare", "columns": dict.fromkeys(header, 0)})

        def send(block: tuple[int, list[list[str]]]) -> None:
            found = [dict(zip(header, row, strict=True)) for row in block[1]]
            body = {"blockNumber": block[0], "records": found}
            http.patch("/data8/Dataset/bare/data", json=body).raise_for_status()

        blocks = enumerate(iter(lambda: list(islice(rows, BLOCK)), []), 1)
        for _ in at_once(send, blocks, width):
            pass
    http.put("/data8/Dataset/bare", json={"completed": True}).raise_for_status()
    job = {"name": "bare", "workflowName": "Echo", "inputDatasets": {"In": "bare"}}
    http.post("/data8/Job", json=job).raise_for_status()
    waited = until(lambda: http.get("/data8/Job/bare").json()["status"] == 2)
    output = http.get("/data8/Job/bare").json()["outputDatasets"]["In"]
    count = http.get(f"/data8/Dataset/{output}").json()["recordCount"]

    def read(start: int) -> Any:
        answer = http.get(f"/data8/Dataset/{output}/data", params={"start": start, "count": BLOCK})
        return answer.json()

    with target.open("w", newline="", encoding="utf-8") as out:
        lines = csv.DictWriter(out, header)
        lines.writeheader()
        for found in at_once(read, range(1, count + 1, BLOCK), width):
            lines.writerows(found)
    return waited


def creditsafe(http: httpx.Client, source: Path, _: Path, __: int) -> float:
    """A file in packed parts into a new portfolio, one after the other."""
    login = {"username": USERNAME, "password": PASSWORD}
    token = http.post("/creditsafe/v1/authenticate", json=login).json()["token"]
    http.headers["authorization"] = f"Bearer {token}"
    base = "/creditsafe/v1/datastudio/portfolios"
    made = http.post(base, json={"name": "bare"}).raise_for_status().json()
    records = f"{base}/{made['portfolioId']}/records/import"
    with source.open("rb") as stream:
        header = stream.readline()
        while part := stream.read(PART):
            packed = io.BytesIO()
            with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as archive:
                archive.write(header)
                archive.write(part)
                archive.write(stream.readline())
            packed.seek(0)
            http.post(records, files={"file": ("part.csv.gz", packed)}).raise_for_status()
    return 0.0


def sayari(http: httpx.Client, source: Path, target: Path, _: int) -> float:
    """A list of names into a project, and what Sayari found and did not find into files, page by page."""
    login = {"client_id": USERNAME, "client_secret": PASSWORD, "audience": "sayari.com"}
    login |= {"grant_type": "client_credentials"}
    token = http.post("/sayari/oauth/token", json=login).raise_for_status().json()["access_token"]
    http.headers["authorization"] = f"Bearer {token}"
    made = http.post("/sayari/v1/projects", json={"label": "bare"}).raise_for_status().json()
    project = f"/sayari/v1/project/{made['data']['id']}/resolutions"
    with source.open("rb") as stream:
        http.post(project, files={"file": ("names.csv", stream, "text/csv")}).raise_for_status()
    waited = until(lambda: http.get(f"{project}/progress").json()["remaining"] == 0)
    with target.open("w", encoding="utf-8") as out:
        for kind in ("resolved", "unresolved"):
            following: dict[str, Any] | None = {"limit": PAGE}
            while following is not None:
                page = http.get(f"{project}/{kind}", params=following).raise_for_status().json()
                out.writelines(json.dumps(found, ensure_ascii=False) + "\n" for found in page["data"])
                following = {"limit": PAGE, "next": page["next"]} if page.get("next") else None
    return waited


def entities(http: httpx.Client, source: Path, target: Path, width: int) -> float:
    """Entities by their ids into a file."""
    login = {"client_id": USERNAME, "client_secret": PASSWORD, "audience": "sayari.com"}
    login |= {"grant_type": "client_credentials"}
    token = http.post("/sayari/oauth/token", json=login).raise_for_status().json()["access_token"]
    http.headers["authorization"] = f"Bearer {token}"
    with source.open(encoding="utf-8") as ids, target.open("w", encoding="utf-8") as out:
        next(ids)
        for found in at_once(
            lambda line: http.get(f"/sayari/v1/entity_summary/{line.strip()}").json(), ids, width
        ):
            out.write(json.dumps(found, ensure_ascii=False) + "\n")
    return 0.0


LOOPS = {"data8": data8, "creditsafe": creditsafe, "sayari": sayari, "entities": entities}


def main() -> None:
    """Run one loop."""
    name, url, source, target, width = sys.argv[1:]
    with httpx.Client(base_url=url, timeout=60) as http:
        began, spent = time.monotonic(), time.process_time()
        waited = LOOPS[name](http, Path(source), Path(target), int(width))
        took = {"seconds": time.monotonic() - began - waited, "cpu": time.process_time() - spent}
    sys.stdout.write(json.dumps(took))


if __name__ == "__main__":
    main()
