"""A baseline loop of pika and httpx: `python baseline.py work`; `send` and `wait SECONDS` read ids or names from stdin.

Each process has one loop. It keeps waiting jobs in a heap in memory, and acknowledges a message when its job is done.
"""

from __future__ import annotations

import heapq
import json
import os
import sys
import time
from itertools import count

import httpx
import pika
from vendor_api import POLL_INTERVAL_SECONDS, Data8, job_name

QUEUE = "baseline"


def open_channel(connection: pika.BlockingConnection) -> pika.adapters.blocking_connection.BlockingChannel:
    """Return a channel with publisher confirms, and declare the queue."""
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    return channel


def work() -> None:
    """Serve forever."""
    data8 = Data8()
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["PEER_BROKER"]))
    channel = open_channel(connection)
    waiting: list[tuple[float, int, str, int]] = []
    order = count()

    def arrive(_channel: object, method: pika.spec.Basic.Deliver, _properties: object, body: bytes) -> None:
        request = json.loads(body)
        if "name" not in request:
            request = {"name": job_name(request["id"]), "due": time.time() + POLL_INTERVAL_SECONDS}
            try:
                data8.start(request["name"])
            except httpx.HTTPStatusError as refused:
                print(refused, file=sys.stderr)  # noqa: T201
                channel.basic_ack(method.delivery_tag)
                return
        heapq.heappush(waiting, (request["due"], next(order), request["name"], method.delivery_tag))

    channel.basic_consume(QUEUE, arrive)
    while True:
        pause = waiting[0][0] - time.time() if waiting else 1.0
        connection.process_data_events(time_limit=min(max(pause, 0.0), 1.0))
        while waiting and waiting[0][0] <= time.time():
            _, _, name, tag = heapq.heappop(waiting)
            job = data8.finished(name)
            if job is None:
                heapq.heappush(waiting, (time.time() + POLL_INTERVAL_SECONDS, next(order), name, tag))
            else:
                data8.statistics(job)
                channel.basic_ack(tag)


def send(orders: list[dict[str, object]]) -> None:
    """Publish the orders."""
    with pika.BlockingConnection(pika.URLParameters(os.environ["PEER_BROKER"])) as connection:
        channel = open_channel(connection)
        for order in orders:
            channel.basic_publish("", QUEUE, json.dumps(order), pika.BasicProperties(delivery_mode=2))


if __name__ == "__main__":
    match sys.argv[1]:
        case "work":
            work()
        case "send":
            send([{"id": line.strip()} for line in sys.stdin])
        case "wait":
            send([{"name": line.strip(), "due": time.time() + float(sys.argv[2])} for line in sys.stdin])
            print(time.time())  # noqa: T201 - the last one waits from this moment
