"""Follow events with pika alone: `python consume.py amqp://guest:guest@localhost/ 'creditsafe.#'`."""

import json
import sys

import pika

url, key = sys.argv[1:]
with pika.BlockingConnection(pika.URLParameters(url)) as connection:
    channel = connection.channel()
    channel.queue_declare("crm.kyb-events", durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind("crm.kyb-events", "kyb.events", key)
    channel.basic_qos(prefetch_count=20)
    for delivery, _properties, body in channel.consume("crm.kyb-events"):
        event = json.loads(body)
        data = event["data"]
        print(event["id"], event["type"], data.get("result") or data.get("error") or "", flush=True)  # noqa: T201 - your own work goes here
        channel.basic_ack(delivery.delivery_tag)
