"""TaskIQ over aio-pika: `taskiq worker with_taskiq:broker`; sends with `python with_taskiq.py send|wait SECONDS`.

Its queues are quorum queues and it publishes with confirms by default. A queue of RabbitMQ keeps the delays.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from functools import cache
from itertools import islice

from taskiq import SmartRetryMiddleware
from taskiq_aio_pika import AioPikaBroker, Queue
from vendor_api import POLL_INTERVAL_SECONDS, AsyncData8, job_name

broker = AioPikaBroker(os.environ["PEER_BROKER"], delay_queue=Queue(name="taskiq.delay")).with_middlewares(
    SmartRetryMiddleware(default_retry_count=20, default_delay=1, use_delay_exponent=True)
)
data8 = cache(AsyncData8)
#: Messages published concurrently.
BATCH_SIZE = 100


@broker.task("start", retry_on_error=True)
async def start(id: str) -> None:
    """Start the job."""
    name = job_name(id)
    await data8().start(name)
    await poll.kicker().with_labels(delay=POLL_INTERVAL_SECONDS).kiq(name)


@broker.task("poll")
async def poll(name: str) -> None:
    """Poll the job until it is done."""
    job = await data8().finished(name)
    if job is None:
        await poll.kicker().with_labels(delay=POLL_INTERVAL_SECONDS).kiq(name)
    else:
        await data8().statistics(job)


async def give(line: str) -> None:
    """Publish one line and wait until RabbitMQ has confirmed it."""
    if sys.argv[1] == "send":
        await start.kiq(line)
    else:
        await poll.kicker().with_labels(delay=float(sys.argv[2])).kiq(line)


async def send() -> None:
    """Publish the lines of stdin."""
    await broker.startup()
    while lines := list(islice(sys.stdin, BATCH_SIZE)):
        await asyncio.gather(*(give(line.strip()) for line in lines))
    print(time.time())  # noqa: T201 - the last one waits from this moment
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(send())
