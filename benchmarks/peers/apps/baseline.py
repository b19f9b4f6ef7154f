"""Plain pika and httpx: `python bare.py work`, or `send` with ids, `wait SECONDS` with names, one a line on stdin.

One loop a process: a message is acknowledged when its job is done, and the jobs that wait are a heap in memory.
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
from vendor_api import INTERVAL, Data8, job_name

QUEUE = "bare"


def channel_of(connection: pika.BlockingConnection) -> pika.adapters.blocking_connection.BlockingChannel:
    """A channel that confirms, with the queue declared."""
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    return channel


def work() -> None:
    """Serve for ever."""
    data8 = Data8()
    connection = pika.BlockingConnection(pika.URLParameters(os.environ["PEER_BROKER"]))
    channel = channel_of(connection)
    waiting: list[tuple[float, int, str, int]] = []
    order = count()

    def arrive(_channel: object, method: pika.spec.Basic.Deliver, _properties: object, body: bytes) -> None:
        order_of = json.loads(body)
        if "name" not in order_of:
            order_of = {"name": job_name(order_of["id"]), "due": time.time() + INTERVAL}
            try:
                data8.start(order_of["name"])
            except httpx.HTTPStatusError as refused:
                print(refused, file=sys.stderr)  # noqa: T201
                channel.basic_ack(method.delivery_tag)
                return
        heapq.heappush(waiting, (order_of["due"], next(order), order_of["name"], method.delivery_tag))

    channel.basic_consume(QUEUE, arrive)
    while True:
        pause = waiting[0][0] - time.time() if waiting else 1.0
        connection.process_data_events(time_limit=min(max(pause, 0.0), 1.0))
        while waiting and waiting[0][0] <= time.time():
            _, _, name, tag = heapq.heappop(waiting)
            job = data8.finished(name)
            if job is None:
                heapq.heappush(waiting, (time.time() + INTERVAL, next(order), name, tag))
            else:
                data8.statistics(job)
                channel.basic_ack(tag)


def send(orders: list[dict[str, object]]) -> None:
    """Publish."""
    with pika.BlockingConnection(pika.URLParameters(os.environ["PEER_BROKER"])) as connection:
        channel = channel_of(connection)
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
            print(time.time())  # noqa: T201 - from then on the last of them waits
