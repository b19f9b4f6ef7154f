"""Dramatiq with its own retries: `dramatiq with_dramatiq`; sends with `python with_dramatiq.py send|wait SECONDS`."""

from __future__ import annotations

import os
import sys
import time
from functools import cache

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from vendor_api import POLL_INTERVAL_SECONDS, Data8, job_name

dramatiq.set_broker(RabbitmqBroker(url=os.environ["PEER_BROKER"], confirm_delivery=True))
data8 = cache(Data8)


@dramatiq.actor
def start(id: str) -> None:
    """Start the job."""
    name = job_name(id)
    data8().start(name)
    poll.send_with_options(args=(name,), delay=int(POLL_INTERVAL_SECONDS * 1000))


@dramatiq.actor(max_retries=None)
def poll(name: str) -> None:
    """Poll the job until it is done."""
    job = data8().finished(name)
    if job is None:
        raise dramatiq.errors.Retry("still running", delay=int(POLL_INTERVAL_SECONDS * 1000))
    data8().statistics(job)


if __name__ == "__main__":
    for line in sys.stdin:
        if sys.argv[1] == "send":
            start.send(line.strip())
        else:
            poll.send_with_options(args=(line.strip(),), delay=int(float(sys.argv[2]) * 1000))
    print(time.time())  # noqa: T201 - the last one waits from this moment
