"""Celery with `retry(countdown=…)`: `celery -A with_celery worker`; sends with `python with_celery.py send|wait SECONDS`."""

from __future__ import annotations

import os
import sys
import time
from functools import cache

from celery import Celery, Task
from vendor_api import POLL_INTERVAL_SECONDS, Data8, job_name

app = Celery("with_celery", broker=os.environ["PEER_BROKER"])
app.conf.update(
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    # With quorum queues and a topic exchange, RabbitMQ keeps the countdowns, not the worker.
    task_default_queue_type="quorum",
    task_default_exchange_type="topic",
)
data8 = cache(Data8)


@app.task(autoretry_for=(Exception,), retry_backoff=True, max_retries=20)
def start(id: str) -> None:
    """Start the job."""
    name = job_name(id)
    data8().start(name)
    poll.apply_async((name,), countdown=POLL_INTERVAL_SECONDS)


@app.task(bind=True, max_retries=None)
def poll(self: Task, name: str) -> None:
    """Poll the job until it is done."""
    job = data8().finished(name)
    if job is None:
        raise self.retry(countdown=POLL_INTERVAL_SECONDS)
    data8().statistics(job)


if __name__ == "__main__":
    for line in sys.stdin:
        if sys.argv[1] == "send":
            start.delay(line.strip())
        else:
            poll.apply_async((line.strip(),), countdown=float(sys.argv[2]))
    print(time.time())  # noqa: T201 - the last one waits from this moment
