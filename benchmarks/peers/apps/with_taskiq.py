"""TaskIQ over aio-pika: `taskiq worker with_taskiq:broker`; sends with `python with_taskiq.py send|wait SECONDS`.

Its queues are quorum queues and it publishes with confirms by default. Delays lie in a queue of RabbitMQ.
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
from vendor_api import INTERVAL, AsyncData8, job_name

broker = AioPikaBroker(os.environ["PEER_BROKER"], delay_queue=Queue(name="taskiq.delay")).with_middlewares(
    SmartRetryMiddleware(default_retry_count=20, default_delay=1, use_delay_exponent=True)
)
data8 = cache(AsyncData8)
#: Messages published at once.
AT_ONCE = 100


@broker.task("start", retry_on_error=True)
async def start(id: str) -> None:
    """Start the job."""
    name = job_name(id)
    await data8().start(name)
    await look.kicker().with_labels(delay=INTERVAL).kiq(name)


@broker.task("look")
async def look(name: str) -> None:
    """See whether it is done."""
    job = await data8().finished(name)
    if job is None:
        await look.kicker().with_labels(delay=INTERVAL).kiq(name)
    else:
        await data8().statistics(job)


async def give(line: str) -> None:
    """Publish one; it is waited for until RabbitMQ has confirmed it."""
    if sys.argv[1] == "send":
        await start.kiq(line)
    else:
        await look.kicker().with_labels(delay=float(sys.argv[2])).kiq(line)


async def send() -> None:
    """Publish what stdin says."""
    await broker.startup()
    while lines := list(islice(sys.stdin, AT_ONCE)):
        await asyncio.gather(*(give(line.strip()) for line in lines))
    print(time.time())  # noqa: T201 - from then on the last of them waits
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(send())
