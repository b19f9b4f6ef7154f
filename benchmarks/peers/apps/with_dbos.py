"""DBOS on PostgreSQL: `python with_dbos.py prepare`, then `work EXECUTOR`; sends with `send` or `wait SECONDS`."""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import cache
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions
from vendor_api import POLL_INTERVAL_SECONDS, AsyncData8, job_name

QUEUE = "jobs"
data8 = cache(AsyncData8)


@DBOS.step(retries_allowed=True, max_attempts=20)
async def start(id: str) -> str:
    """Start the job; return its name."""
    name = job_name(id)
    await data8().start(name)
    return name


@DBOS.step(retries_allowed=True, max_attempts=20)
async def poll(name: str) -> dict[str, Any] | None:
    """Return the job if it is done."""
    return await data8().finished(name)


@DBOS.step(retries_allowed=True, max_attempts=20)
async def statistics(job: dict[str, Any]) -> dict[str, Any]:
    """Return what the vendor says of the outputs."""
    return await data8().statistics(job)


@DBOS.workflow()
async def cleanse(id: str) -> dict[str, Any]:
    """Run the whole job."""
    return await finish(await start(id), POLL_INTERVAL_SECONDS)


@DBOS.workflow()
async def resume(name: str, seconds: float) -> dict[str, Any]:
    """Run the rest of a job that was started before."""
    return await finish(name, seconds)


async def finish(name: str, seconds: float) -> dict[str, Any]:
    """Poll the job until it is done."""
    await DBOS.sleep_async(seconds)
    while (job := await poll(name)) is None:
        await DBOS.sleep_async(POLL_INTERVAL_SECONDS)
    return await statistics(job)


def launch(executor: str) -> None:
    """Start to serve; this also creates the tables."""
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
    """Enqueue the lines of stdin."""
    client = DBOSClient(system_database_url=os.environ["PEER_DATABASE"])
    for line in sys.stdin:
        id = line.strip()
        if sys.argv[1] == "send":
            options: EnqueueOptions = {"workflow_name": "cleanse", "queue_name": QUEUE, "workflow_id": id}
            client.enqueue(options, id)
        else:
            options = {"workflow_name": "resume", "queue_name": QUEUE, "workflow_id": f"wait {id}"}
            client.enqueue(options, id, float(sys.argv[2]))
    print(time.time())  # noqa: T201 - the last one waits from this moment
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
