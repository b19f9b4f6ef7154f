"""DBOS on PostgreSQL: `python with_dbos.py prepare`, then `work EXECUTOR`; sends with `send` or `wait SECONDS`."""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import cache
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions
from vendor_api import INTERVAL, AsyncData8, job_name

QUEUE = "jobs"
data8 = cache(AsyncData8)


@DBOS.step(retries_allowed=True, max_attempts=20)
async def start(id: str) -> str:
    """Start the job; gives its name."""
    name = job_name(id)
    await data8().start(name)
    return name


@DBOS.step(retries_allowed=True, max_attempts=20)
async def look(name: str) -> dict[str, Any] | None:
    """The job, if it is done."""
    return await data8().finished(name)


@DBOS.step(retries_allowed=True, max_attempts=20)
async def statistics(job: dict[str, Any]) -> dict[str, Any]:
    """What it says of its outputs."""
    return await data8().statistics(job)


@DBOS.workflow()
async def cleanse(id: str) -> dict[str, Any]:
    """The whole job."""
    return await finish(await start(id), INTERVAL)


@DBOS.workflow()
async def resume(name: str, seconds: float) -> dict[str, Any]:
    """The rest of a job that was started before."""
    return await finish(name, seconds)


async def finish(name: str, seconds: float) -> dict[str, Any]:
    """Wait until it is done."""
    await DBOS.sleep_async(seconds)
    while (job := await look(name)) is None:
        await DBOS.sleep_async(INTERVAL)
    return await statistics(job)


def launch(executor: str) -> None:
    """Begin to serve; the tables are made, too."""
    config: DBOSConfig = {
        "name": "with-dbos",
        "system_database_url": os.environ["PEER_DATABASE"],
        "executor_id": executor,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(QUEUE)


def send() -> None:
    """Enqueue what stdin says."""
    client = DBOSClient(system_database_url=os.environ["PEER_DATABASE"])
    for line in sys.stdin:
        id = line.strip()
        if sys.argv[1] == "send":
            options: EnqueueOptions = {"workflow_name": "cleanse", "queue_name": QUEUE, "workflow_id": id}
            client.enqueue(options, id)
        else:
            options = {"workflow_name": "resume", "queue_name": QUEUE, "workflow_id": f"wait {id}"}
            client.enqueue(options, id, float(sys.argv[2]))
    print(time.time())  # noqa: T201 - from then on the last of them waits
    client.destroy()


if __name__ == "__main__":
    match sys.argv[1]:
        case "prepare":
            launch("none")
            DBOS.destroy()
        case "work":
            launch(sys.argv[2])
            threading.Event().wait()
        case _:
            send()
